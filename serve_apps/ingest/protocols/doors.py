"""Parts common to all doors for other products' clients: keys, patience, counts, and CORS."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from serve_apps.http.authorization import Authorizer, foreign_keys, only_key
from serve_apps.http.bodies import ALL_DECOMPRESSORS, MAX_BATCH_BYTES, read_body
from serve_apps.http.problems import Problem, unavailable
from serve_apps.ingest.intake import Intake
from shared_types import InvalidEvent
from signals.domain.access.api_keys import Scope
from signals.domain.access.principal import Principal
from signals.domain.events.foreign import ForeignReading, RawEvent, Receipt
from signals.domain.ledger import ForeignKind
from signals.services.events.ingestion import EventResult
from signals.services.ledger.entries import LedgerWriter

PATIENCE_S: Final = 10.0  # guess: Sentry's SDKs wait 30 s, send from the background, and never repeat
AGAIN_S: Final = 0.25  # guess: between two tries within that patience
PREFLIGHT_S: Final = 3600
TOO_MUCH: Final = frozenset({"too_many_events", "too_many_items", "too_many_values", "too_large"})


@dataclass(frozen=True, slots=True)
class Doors:
    """Resources of the doors' endpoints."""

    intake: Intake
    authorizer: Authorizer
    ledger_writer: LedgerWriter
    patience_s: float = PATIENCE_S

    async def early_sender(self, request: Request) -> Principal | None:
        """Return whose key stands outside the body, None when there is none; raises as `sender` does."""
        return await self.sender(request) if foreign_keys(request) else None

    async def sender(self, request: Request, key_in_body: str | None = None) -> Principal:
        """Return whose key the request carries, wherever it stands, if it may send at the moment.

        Raises:
            Problem: 401 or 403 for the key, 429 when nothing could be accepted now.
        """
        key = only_key(foreign_keys(request) | ({key_in_body} if key_in_body else set()))
        sender = await self.authorizer.admit_key(key, Scope.INGEST)
        self.intake.check_limits(sender)
        return sender

    def note(self, door: str, sender: Principal, reading: ForeignReading, receipt: Receipt) -> None:
        """Enter what is no event into the ledger, beside its balance."""
        counts: dict[ForeignKind, Counter[str]] = {
            "ignored": reading.ignored,
            "refused": reading.refused,
            "lost_before": reading.lost,
        }
        self.ledger_writer.noted(sender.tenancy.project_id, receipt.received_at, door, counts)

    async def publish(
        self, door: str, sender: Principal, reading: ForeignReading, receipt: Receipt
    ) -> list[EventResult]:
        """Publish the events of a reading and enter the rest into the ledger.

        Raises:
            Problem: 429 beyond a limit of the key, 503 when Kafka did not acknowledge all of them.
        """
        self.note(door, sender, reading, receipt)
        if not reading.events:
            return []
        results = await self._published(sender, reading.events)
        rejected = Counter(result.code or "invalid" for result in results if result.status == "rejected")
        if rejected:
            self.note(door, sender, ForeignReading(refused=rejected), receipt)
        if any(result.status == "unavailable" for result in results):
            raise unavailable("Kafka did not acknowledge all events; send them again.")
        return results

    async def _published(self, sender: Principal, events: list[RawEvent]) -> list[EventResult]:
        """Publish, and again what Kafka did not acknowledge while there is patience: ids stay the same."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.patience_s
        results = await self.intake.publish(events, sender)
        while loop.time() < until and (
            waiting := [at for at, result in enumerate(results) if result.status == "unavailable"]
        ):
            await asyncio.sleep(AGAIN_S)
            again = await self.intake.publish([events[at] for at in waiting], sender)
            for at, result in zip(waiting, again, strict=True):
                results[at] = result
        return results


def receipt_of(sender: Principal, environment: str = "prod") -> Receipt:
    """Return the receipt of a request that is read now."""
    return Receipt(tenancy=sender.tenancy, received_at=datetime.now(UTC), environment=environment)


async def foreign_body(request: Request) -> bytes:
    """Return the body of any content type, in any encoding that clients use."""
    return await read_body(request, MAX_BATCH_BYTES, ALL_DECOMPRESSORS)


def unreadable(error: InvalidEvent) -> Problem:
    """Return the problem of a payload that cannot be read as a whole."""
    status = 413 if error.code in TOO_MUCH else 400
    return Problem(status, error.code, error.message, members={"field": error.field})


def cors(request: Request) -> Mapping[str, str]:
    """Return what lets a page of any origin read an answer."""
    if "origin" not in request.headers:
        return {}
    return {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "X-Sentry-Error, X-Sentry-Rate-Limits, Retry-After",
    }


def preflight(request: Request) -> Response:
    """Answer a browser that asks before it posts."""
    asked = request.headers.get("access-control-request-headers", "")
    headers = {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "POST, OPTIONS",
        "Access-Control-Allow-Headers": asked
        or "content-type, content-encoding, authorization, x-sentry-auth",
        "Access-Control-Max-Age": str(PREFLIGHT_S),
        "Vary": "Access-Control-Request-Headers",
    }
    return Response(status_code=204, headers=headers)
