"""What ingest-api does with a request: who sends, may they, what is it, and into Kafka with it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from serve_apps.http.authorization import api_key, require
from serve_apps.http.bodies import read_body
from serve_apps.http.parameters import check_parameters
from serve_apps.http.problems import Problem
from serve_apps.ingest.acknowledgements import Acknowledging
from serve_apps.ingest.answers import batch_answer, limit_exceeded, single_answer
from shared_types import InvalidEvent
from signals.domain.access.api_keys import Scope as KeyScope
from signals.domain.access.limits import Exceeded
from signals.errors import DependencyUnavailable
from signals.services.access.authentication import Authenticating, Granted
from signals.services.access.quotas import LEASE_TIMEOUT_S, Limiting
from signals.services.events.ingestion import EventResult, Ingesting, decode_event, decode_events, prepare
from signals.services.ledger.entries import Accounting

MAX_EVENT_BYTES: Final = 1024 * 1024  # guess: bounds memory; docs/how-to/send-events.md states it
MAX_BATCH_BYTES: Final = 8 * 1024 * 1024
MAX_IDEMPOTENCY_KEY: Final = 256
MAX_LEASES: Final = 50  # guess: so often a request may lose the race for leased events

JSON: Final = frozenset({"application/json", ""})
JSON_LINES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})

Decoded = TypeVar("Decoded")


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestResources:
    """What the handlers need; opened by whoever hosts the app."""

    authenticating: Authenticating
    limiting: Limiting
    ingesting: Ingesting
    accounting: Accounting


class Taking:
    """The two ways in: one event, or a batch."""

    def __init__(self, resources: IngestResources, acknowledging: Acknowledging) -> None:
        self._resources = resources
        self._acknowledging = acknowledging

    async def single(self, request: Request) -> Response:
        """Take one event."""
        granted = await _granted(request, self._resources)
        check_parameters(request, ())
        _content_type(request, JSON)
        event = _decoded(decode_event, await read_body(request, MAX_EVENT_BYTES))
        return single_answer((await self._take([event], granted, request))[0])

    async def batch(self, request: Request) -> Response:
        """Take as many as there are, each judged by itself."""
        granted = await _granted(request, self._resources)
        check_parameters(request, ())
        lines = _content_type(request, JSON | JSON_LINES) in JSON_LINES
        body = await read_body(request, MAX_BATCH_BYTES)
        events = _decoded(lambda data: decode_events(data, lines=lines), body)
        return batch_answer(await self._take(events, granted, request))

    async def _take(self, events: list[object], granted: Granted, request: Request) -> list[EventResult]:
        """Bring what is acceptable into Kafka, all or nothing where a limit is concerned."""
        # A blank key would give every request the same ids, and lose all but the first.
        idempotency_key = request.headers.get("idempotency-key", "").strip() or None
        if idempotency_key is not None and len(idempotency_key) > MAX_IDEMPOTENCY_KEY:
            raise Problem(
                400, "idempotency_key_too_long", f"Idempotency-Key: at most {MAX_IDEMPOTENCY_KEY} characters."
            )
        submission = prepare(events, granted.tenancy, idempotency_key)
        if not submission.records:
            return submission.results
        limiting = self._resources.limiting
        await _keep_limits(limiting, granted, len(submission.records))
        results = await self._acknowledging.publish(submission)
        failed = sum(result.status == "unavailable" for result in results)
        limiting.refund(granted.key_id, granted.limits, failed)
        return results


async def _granted(request: Request, resources: IngestResources) -> Granted:
    """Return whose key it is, unless it is refused or whatever it sends exceeds its rate."""
    key = api_key(request.headers)
    verdict = resources.authenticating.check_cached(key)
    if verdict is None:
        verdict = await asyncio.to_thread(resources.authenticating.check, key)
    granted = require(verdict, KeyScope.INGEST)
    if exceeded := resources.limiting.refusal(granted.key_id, granted.limits):
        raise limit_exceeded(exceeded)
    return granted


def _content_type(request: Request, allowed: frozenset[str]) -> str:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in allowed:
        names = ", ".join(sorted(allowed - {""}))
        raise Problem(415, "unsupported_content_type", f"Send Content-Type: {names}.")
    return content_type


def _decoded(decode: Callable[[bytes], Decoded], body: bytes) -> Decoded:
    try:
        return decode(body)
    except InvalidEvent as error:
        status = {"empty_batch": 422, "too_many_events": 413, "too_many_values": 413}.get(error.code, 400)
        raise Problem(status, error.code, error.message, members={"field": error.field}) from error


async def _keep_limits(limiting: Limiting, granted: Granted, count: int) -> None:
    for _ in range(MAX_LEASES):
        reserved = limiting.reserve(granted.key_id, granted.limits, count)
        if reserved is None:
            return
        if isinstance(reserved, Exceeded):
            raise limit_exceeded(reserved)
        leased = asyncio.wrap_future(reserved)
        await asyncio.wait({leased}, timeout=LEASE_TIMEOUT_S)
        if leased.done():
            leased.result()  # raises what nobody expected
    raise DependencyUnavailable("PostgreSQL", "too many requests of this key wait for its limits")
