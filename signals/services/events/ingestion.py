"""Turns a request's body into records for Kafka and one result per event."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Final, Literal, NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import orjson
import structlog

from shared_types import InvalidEvent, Tenancy, canonicalize, partition_key
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.publisher import OutgoingRecord, Publisher
from signals.domain.events.loose_json import holds_more_values
from signals.domain.events.plain_events import PlainEvents, PlainRecord
from signals.errors import DependencyUnavailable

MAX_BATCH_EVENTS: Final = 1_000  # guess: bounds memory; docs/how-to/send-events.md states it
MAX_VALUES: Final = 250_000  # guess: 250 an event of a full batch; parsed they cost some 20 MB
SILENT_S: Final = 0.4  # guess: a broker that is only slow acknowledges something within it
UNUSED_ID: Final = UUID(int=0)  # making one costs as much as half of an event
LINE: Final = re.compile(rb"\S[^\r\n]*")  # blank lines are none

log = structlog.get_logger(__name__)

EventStatus = Literal["accepted", "rejected", "unavailable"]


class EventResult(NamedTuple):
    """The outcome of the event at `position`; `code`, `field` and `message` say why it was not accepted."""

    position: int
    event_id: str | None
    status: EventStatus
    code: str | None = None
    field: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class MalformedEvent:
    """An event that a protocol refuses before its members are read: `reason` says why, and the remedy."""

    reason: str
    code: str = "malformed_json"
    field: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """The canonical events of one request, ready for Kafka, and the verdicts on the others."""

    project_id: str
    received_at: datetime
    results: list[EventResult]
    records: list[OutgoingRecord]
    positions: list[int]
    """Where in `results` each record belongs."""


def prepare(events: Sequence[object], tenancy: Tenancy, idempotency_key: str | None) -> Submission:
    """Canonicalize the events of one request, in order.

    With an idempotency key, events without an id get one derived from key and position, so that a
    repeated request makes no new events; otherwise the id is random.
    """
    received_at = datetime.now(UTC)
    timestamp_ms = int(received_at.timestamp() * 1000)
    plain_events = PlainEvents(tenancy, received_at)
    results: list[EventResult] = []
    records: list[OutgoingRecord] = []
    positions: list[int] = []
    for index, event in enumerate(events):
        has_id = isinstance(event, dict) and event.get("event_id") is not None
        spare_id = UNUSED_ID if has_id else _spare_id(tenancy, idempotency_key, index)
        try:
            event_id, key, value = plain_events.record(event, spare_id) or _canonical(
                event, tenancy, received_at, spare_id
            )
        except InvalidEvent as error:
            results.append(EventResult(index, None, "rejected", error.code, error.field, error.message))
            continue
        positions.append(index)
        results.append(EventResult(index, event_id, "accepted"))
        records.append(OutgoingRecord(key, value, None, timestamp_ms))
    return Submission(
        project_id=tenancy.project_id,
        received_at=received_at,
        results=results,
        records=records,
        positions=positions,
    )


def _canonical(event: object, tenancy: Tenancy, received_at: datetime, spare_id: UUID) -> PlainRecord:
    if isinstance(event, MalformedEvent):
        raise InvalidEvent(event.code, event.field, event.reason)
    if not isinstance(event, dict):
        raise InvalidEvent("not_an_object", None, "An event is a JSON object.")
    envelope = canonicalize(event, tenancy=tenancy, received_at=received_at, event_id=spare_id)
    return PlainRecord(str(envelope.event_id), partition_key(envelope).encode(), envelope.to_json())


def _spare_id(tenancy: Tenancy, idempotency_key: str | None, index: int) -> UUID:
    if idempotency_key is None:
        return uuid4()
    return uuid5(NAMESPACE_URL, f"signals:{tenancy.org_id}|{tenancy.project_id}|{idempotency_key}|{index}")


class Ingestion:
    """Publishes submissions and answers when Kafka has acknowledged them.

    `accepted` receives the project, time of receipt and number of each submission's accepted events.
    """

    def __init__(self, publisher: Publisher, accepted: Callable[[str, datetime, int], None]) -> None:
        self._publisher = publisher
        self._accepted = accepted

    def publish(self, submission: Submission, done: Callable[[list[EventResult]], None]) -> None:
        """Publish, then call `done` once with every result, from the thread that polls.

        An event that Kafka did not acknowledge has status `unavailable`: it may be there or not, and
        sending it again with the same id is safe.
        """

        def settled(errors: list[str | None]) -> None:
            results = list(submission.results)
            for position, error in zip(submission.positions, errors, strict=True):
                if error is not None:
                    results[position] = _unavailable(results[position])
            if acknowledged := errors.count(None):
                self._accepted(submission.project_id, submission.received_at, acknowledged)
            done(results)

        self._publisher.publish(RAW_TOPIC, submission.records, settled)

    def poll(self) -> bool:
        """Serve Kafka's acknowledgements, without waiting; say whether more are to come."""
        return self._publisher.poll()

    def is_kafka_silent(self) -> bool:
        """Whether waiting on makes no sense: Kafka is not slow but acknowledges nothing at all."""
        return self._publisher.silent_s() >= max(SILENT_S, self._publisher.tolerated_s())

    def unacknowledged(self, submission: Submission) -> list[EventResult]:
        """Return the results for a client that is not kept waiting any longer."""
        results = list(submission.results)
        for position in submission.positions:
            results[position] = _unavailable(results[position])
        return results

    def get_ready(self) -> None:
        """Connect to Kafka before the first event comes; a failure is logged only."""
        try:
            self._publisher.get_ready(RAW_TOPIC)
        except DependencyUnavailable as error:
            log.warning("started without a dependency", dependency=error.dependency)

    def check(self) -> None:
        """Raise when this process can never publish again and must be replaced."""
        self._publisher.check()


def _unavailable(result: EventResult) -> EventResult:
    return EventResult(
        position=result.position,
        event_id=result.event_id,
        status="unavailable",
        code="kafka_unavailable",
        message="Kafka did not acknowledge this event; send it again with the same event_id.",
    )


def decode_events(body: bytes, *, lines: bool) -> list[object]:
    """Read the events of a batch: a JSON array, `{"events": [...]}`, or one JSON object a line.

    A broken line spoils only itself.

    Raises:
        InvalidEvent: when the body as a whole cannot be read, or holds too much or no events.
    """
    if holds_more_values(body, MAX_VALUES):
        text = f"The batch holds more than {MAX_VALUES} JSON values; send fewer or smaller events at once."
        raise InvalidEvent("too_many_values", "events", text)
    events = _decode_lines(body) if lines else _decode_array(body)
    if not events:
        raise InvalidEvent("empty_batch", "events", "The batch holds no events; send at least one.")
    if len(events) > MAX_BATCH_EVENTS:
        raise InvalidEvent("too_many_events", "events", f"Send at most {MAX_BATCH_EVENTS} events a batch.")
    return events


def decode_event(body: bytes) -> object:
    """Read one JSON value.

    Raises:
        InvalidEvent: when the body is no JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidEvent("malformed_json", None, f"The body is no JSON: {error}.") from error


def _decode_array(body: bytes) -> list[object]:
    value = decode_event(body)
    if isinstance(value, dict):
        value = value.get("events")
    if not isinstance(value, list):
        raise InvalidEvent("not_a_batch", "events", 'Send a JSON array of events, or {"events": [...]}.')
    return value


def _decode_lines(body: bytes) -> list[object]:
    events: list[object] = []
    for line in islice(LINE.finditer(body), MAX_BATCH_EVENTS + 1):  # millions of lines are not kept
        try:
            events.append(orjson.loads(line.group()))
        except orjson.JSONDecodeError as error:
            events.append(MalformedEvent(f"This line is no JSON: {error}."))
    return events
