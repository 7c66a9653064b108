"""Parts common to all doors for other products' clients: keys, rights, patience and counts."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request

from serve_apps.http.authorization import Authorizer, foreign_keys, only_key
from serve_apps.http.bodies import ALL_DECOMPRESSORS, MAX_BATCH_BYTES, read_body
from serve_apps.http.pages import check_page
from serve_apps.http.problems import Problem, unavailable
from serve_apps.ingest.intake import Intake
from serve_apps.ingest.protocols.reading import BodyReading
from shared_types import InvalidEvent
from signals.domain.access.principal import Principal
from signals.domain.access.scopes import RIGHT_TO_SEND, Right
from signals.domain.access.unknown_keys import UnknownKeys
from signals.domain.events.foreign import ForeignReading, RawEvent, Receipt, count
from signals.domain.events.grouping_guard import GroupingGuard
from signals.domain.ledger import ForeignKind
from signals.services.events.ingestion import MAX_BATCH_EVENTS, EventResult
from signals.services.ledger.entries import LedgerWriter

PATIENCE_S: Final = 10.0  # guess: Sentry's SDKs wait 30 s, send from the background, and never repeat
AGAIN_S: Final = 0.25  # guess: between two tries within that patience
BASIC_DOOR: Final = "segment"  # whose libraries send the key as the user of Basic
NO_PROJECT: Final = ""  # of hits whose key names none
SENDS_ONCE: Final = frozenset({"sentry"})  # doors whose clients take any refusal for the end (recorded)
TOO_MUCH: Final = frozenset({"too_many_events", "too_many_items", "too_many_values", "too_large"})


class NotTaken(Problem):
    """A refusal of events that could be read: `items` of them."""

    def __init__(self, cause: Problem, items: int) -> None:
        super().__init__(cause.status, cause.code, cause.detail, headers=cause.headers, members=cause.members)
        self.items = items


@dataclass(frozen=True, slots=True)
class Doors:
    """Resources of the doors' endpoints."""

    intake: Intake
    authorizer: Authorizer
    ledger_writer: LedgerWriter
    unknown_keys: UnknownKeys
    grouping_guard: GroupingGuard
    reading: BodyReading
    patience_s: float = PATIENCE_S

    async def early_sender(self, request: Request, door: str) -> Principal | None:
        """Return whose key stands outside the body, None when there is none; raises as `sender` does."""
        return await self.sender(request, door) if _keys(request, door) else None

    async def sender(self, request: Request, door: str, key_in_body: str | None = None) -> Principal:
        """Return whose key the request carries, wherever it stands, if it may send at the moment.

        Raises:
            Problem: 401 or 403 for the key or its page, 429 when nothing could be accepted now.
        """
        key, now = None, datetime.now(UTC)
        try:
            key = only_key(_keys(request, door) | ({key_in_body} if key_in_body else set()))
            sender = await self.authorizer.admit_key(key, Right.SEND_BY_CLIENTS)
        except Problem as problem:
            reason = problem.code.replace("_", " ")
            if key and problem.code in ("unknown_key", "revoked_key"):
                reason = f"{reason} {self.unknown_keys.hint(key, now)}"
            self._refused(NO_PROJECT, now, door, reason)
            raise
        try:
            check_page(request, sender)
        except Problem as problem:
            self._refused(sender.tenancy.project_id, now, door, problem.code.replace("_", " "))
            raise
        request.state.sender = sender
        self.intake.check_limits(sender)
        return sender

    def note_refusal(self, request: Request, door: str, error: Exception) -> None:
        """Enter the answer to a request that is refused: its client may never say what it lost."""
        sender = getattr(request.state, "sender", None)
        if sender is None:  # the hits with unknown keys and of foreign pages are entered already
            return
        project_id, now = sender.tenancy.project_id, datetime.now(UTC)
        if isinstance(error, Problem):
            items = error.items if isinstance(error, NotTaken) else 1
            self._refused(project_id, now, door, f"answered {error.status} {error.code}", items)
        else:
            self._refused(project_id, now, door, "answered 503 unavailable")

    def _refused(self, project_id: str, at: datetime, door: str, reason: str, items: int = 1) -> None:
        self.ledger_writer.noted(project_id, at, door, {"refused": Counter({reason: items})})

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
        """Publish the events of a reading that the key may send, and enter the rest into the ledger.

        The rest of a refused request is entered only if its client never sends it again.

        Raises:
            Problem: 429 beyond a limit of the key, 503 when Kafka did not acknowledge all of them.
        """
        events = _permitted(reading, sender)
        if door in SENDS_ONCE:
            self.note(door, sender, reading, receipt)
        results = await self.publish_events(door, sender, events, receipt) if events else []
        if lacking := sum(result.status == "unavailable" for result in results):
            cause = unavailable("Kafka did not acknowledge all events; send them again.")
            raise NotTaken(cause, lacking)
        if door not in SENDS_ONCE:
            self.note(door, sender, reading, receipt)
        return results

    async def publish_events(
        self, door: str, sender: Principal, events: Sequence[object], receipt: Receipt
    ) -> list[EventResult]:
        """Publish events and enter those that are not acceptable into the ledger; one result an event.

        Raises:
            Problem: 429 beyond a limit of the key.
        """
        try:
            results = await self._published(sender, events)
        except Problem as problem:
            raise NotTaken(problem, len(events)) from problem
        rejected = Counter(result.code or "invalid" for result in results if result.status == "rejected")
        if rejected:
            self.note(door, sender, ForeignReading(refused=rejected), receipt)
        return results

    async def _published(self, sender: Principal, events: Sequence[object]) -> list[EventResult]:
        """Publish in slices: other requests are answered between them."""
        until = asyncio.get_running_loop().time() + self.patience_s
        results: list[EventResult] = []
        for start in range(0, len(events), MAX_BATCH_EVENTS):
            part = await self._published_slice(sender, events[start : start + MAX_BATCH_EVENTS], until)
            results += [one._replace(position=start + one.position) for one in part] if start else part
        return results

    async def _published_slice(
        self, sender: Principal, events: Sequence[object], until: float
    ) -> list[EventResult]:
        """Publish, and again what Kafka did not acknowledge while there is patience: ids stay the same."""
        self.grouping_guard.bound(sender.key_id, events, datetime.now(UTC))
        loop = asyncio.get_running_loop()
        results = await self.intake.publish(events, sender)
        while loop.time() < until and (
            waiting := [at for at, result in enumerate(results) if result.status == "unavailable"]
        ):
            await asyncio.sleep(AGAIN_S)
            again = await self.intake.publish([events[at] for at in waiting], sender)
            for at, result in zip(waiting, again, strict=True):
                results[at] = result._replace(position=at)
        return results


def _keys(request: Request, door: str) -> set[str]:
    return foreign_keys(request, any_user=door == BASIC_DOOR)


def _permitted(reading: ForeignReading, sender: Principal) -> list[RawEvent]:
    """Return the events that the key may send; count the others as refused."""
    if Right.SEND_FROM_PAGES not in sender.rights:  # almost always: such a key may send everything
        return reading.events
    permitted: list[RawEvent] = []
    for event in reading.events:
        right = RIGHT_TO_SEND.get(str(event["event_type"]))
        if right is None or right in sender.rights:
            permitted.append(event)
        else:
            count(reading.refused, f"{event['event_type']} not allowed for this key")
    return permitted


def receipt_of(sender: Principal, environment: str = "prod") -> Receipt:
    """Return the receipt of a request that is read now."""
    return Receipt(
        tenancy=sender.tenancy,
        received_at=datetime.now(UTC),
        environment=environment,
        settings=sender.doors,
    )


async def foreign_body(request: Request) -> bytes:
    """Return the body of any content type, in any encoding that clients use."""
    return await read_body(request, MAX_BATCH_BYTES, ALL_DECOMPRESSORS)


def unreadable(error: InvalidEvent) -> Problem:
    """Return the problem of a payload that cannot be read as a whole."""
    status = 413 if error.code in TOO_MUCH else 400
    return Problem(status, error.code, error.message, members={"field": error.field})
