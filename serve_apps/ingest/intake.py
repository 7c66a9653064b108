"""Brings the events of a request into Kafka, within the limits of its key, for every protocol."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from serve_apps.http.problems import Problem
from serve_apps.ingest.acknowledgements import Acknowledgements
from signals.domain.access.limits import Exceeded
from signals.domain.access.principal import Principal
from signals.errors import DependencyUnavailable
from signals.services.access.authentication import KeyAuthenticator
from signals.services.access.quotas import LEASE_TIMEOUT_S, Quotas
from signals.services.events.ingestion import EventResult, Ingestion, prepare
from signals.services.ledger.entries import LedgerWriter

MAX_LEASES: Final = 50  # guess: so often a request may lose the race for leased events


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestResources:
    """Resources of the endpoints; the app's host opens them."""

    authenticator: KeyAuthenticator
    quotas: Quotas
    ingestion: Ingestion
    ledger_writer: LedgerWriter


class Intake:
    """The one way from events to Kafka."""

    def __init__(self, quotas: Quotas, acknowledgements: Acknowledgements) -> None:
        self._quotas = quotas
        self._acknowledgements = acknowledgements

    def check_limits(self, sender: Principal) -> None:
        """Accept a sender that may send at the moment; to be called before the body is read.

        Raises:
            Problem: 429 when nothing that it sends could be accepted now.
        """
        if exceeded := self._quotas.refusal(sender.key_id, sender.limits):
            raise limit_exceeded(exceeded)

    async def publish(
        self, events: Sequence[object], sender: Principal, *, idempotency_key: str | None = None
    ) -> list[EventResult]:
        """Publish the acceptable events and return one result an event, in order.

        Raises:
            Problem: 429 when they exceed a limit of the key; then none of them is taken.
            DependencyUnavailable: when the limits cannot be checked.
        """
        submission = prepare(events, sender.tenancy, idempotency_key)
        if not submission.records:
            return submission.results
        await self._keep_limits(sender, len(submission.records))
        results = await self._acknowledgements.publish(submission)
        failed = sum(result.status == "unavailable" for result in results)
        self._quotas.refund(sender.key_id, sender.limits, failed)
        return results

    async def _keep_limits(self, sender: Principal, count: int) -> None:
        for _ in range(MAX_LEASES):
            reserved = self._quotas.reserve(sender.key_id, sender.limits, count)
            if reserved is None:
                return
            if isinstance(reserved, Exceeded):
                raise limit_exceeded(reserved)
            leased = asyncio.wrap_future(reserved)
            await asyncio.wait({leased}, timeout=LEASE_TIMEOUT_S)
            if leased.done():
                leased.result()  # raises unexpected errors
        raise DependencyUnavailable("PostgreSQL", "too many requests of this key wait for its limits")


def limit_exceeded(exceeded: Exceeded) -> Problem:
    """Return the 429 that names the limit and when the same request will be accepted."""
    per = {"events_per_second": "second", "events_per_day": "UTC day"}[exceeded.limit]
    wait_s = max(1, ceil(exceeded.retry_after_s))  # the header has whole seconds
    return Problem(
        429,
        "limit_exceeded",
        f"This key may send {exceeded.allowed} events a {per}; nothing of this request was taken. "
        f"Send it again in {wait_s} s.",
        headers={"Retry-After": str(wait_s)},
        members={"limit": exceeded.limit, "allowed": exceeded.allowed},
    )
