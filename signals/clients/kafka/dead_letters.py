"""Keeps records that can never be handled, with their original bytes and the reason; gives them back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from shared_types import InvalidEvent
from signals.clients.kafka import DLQ_TOPIC
from signals.clients.kafka.consumer import Record
from signals.clients.kafka.publisher import Headers, OutgoingRecord, Publisher

REQUEUED_FOR: Final = "signals-requeued-for"
"""Header of a record that came back from the dead letters: the one stage that has not handled it yet."""

ORIGIN_HEADERS: Final = (
    "dlq-topic",
    "dlq-partition",
    "dlq-offset",
    "dlq-timestamp-ms",
    "dlq-stage",
    "dlq-error",
    "dlq-reason",
    "dlq-at",
)
"""A letter's first headers, in this order; the record's own headers follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A record given up, by whom, and why. `reason` names codes and fields, never event text."""

    record: Record
    stage: str
    error: str
    reason: str


def not_an_event(record: Record, stage: str, error: InvalidEvent) -> DeadLetter:
    """Give up a record that is no valid event."""
    reason = f"{error.field}: {error}" if error.field else str(error)
    return DeadLetter(record=record, stage=stage, error=error.code, reason=reason)


def offsets_by_partition(letters: Iterable[DeadLetter]) -> Mapping[int, Sequence[int]]:
    """Return where these records lay, ascending."""
    found: dict[int, list[int]] = {}
    for letter in letters:
        found.setdefault(letter.record.partition, []).append(letter.record.offset)
    return {partition: sorted(offsets) for partition, offsets in found.items()}


def dead_letter(publisher: Publisher, letters: Sequence[DeadLetter]) -> None:
    """Write dead letters and wait for the acknowledgement: only then may the offset move.

    Raises:
        DependencyUnavailable: when Kafka does not take them.
    """
    publisher.publish_and_wait(DLQ_TOPIC, [_outgoing(letter) for letter in letters])


def opened(stored: Record) -> DeadLetter | None:
    """Read a record of `signals.dlq.v1`; None when it does not say where it came from."""
    headers = stored.headers or []
    ours, theirs = headers[: len(ORIGIN_HEADERS)], headers[len(ORIGIN_HEADERS) :]
    if tuple(name for name, _ in ours) != ORIGIN_HEADERS:
        return None
    topic, partition, offset, timestamp_ms, stage, error, reason, _ = (_text(value) for _, value in ours)
    if not (partition.isdecimal() and offset.isdecimal() and timestamp_ms.lstrip("-").isdecimal()):
        return None
    record = Record(
        topic=topic,
        partition=int(partition),
        offset=int(offset),
        timestamp_ms=int(timestamp_ms),
        key=stored.key,
        value=stored.value,
        headers=theirs or None,
    )
    return DeadLetter(record=record, stage=stage, error=error, reason=reason)


def requeued(letter: DeadLetter, at: datetime) -> OutgoingRecord:
    """Return the record as it was, addressed to the stage that gave it up, with `at` as its own time."""
    headers = [(name, value) for name, value in letter.record.headers or [] if name != REQUEUED_FOR]
    return OutgoingRecord(
        key=letter.record.key,
        value=letter.record.value,
        headers=[*headers, (REQUEUED_FOR, letter.stage)],
        timestamp_ms=int(at.timestamp() * 1000),
    )


def requeued_for(record: Record) -> str | None:
    """Return the stage that a record came back for, None when it did not: every stage handles it then."""
    if not record.headers:
        return None
    return next((_text(value) for name, value in record.headers if name == REQUEUED_FOR), None)


def _outgoing(letter: DeadLetter) -> OutgoingRecord:
    record = letter.record
    values = (
        record.topic,
        str(record.partition),
        str(record.offset),
        str(record.timestamp_ms),
        letter.stage,
        letter.error,
        letter.reason,
        datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
    origin: Headers = list(zip(ORIGIN_HEADERS, values, strict=True))
    return OutgoingRecord(key=record.key, value=record.value, headers=[*origin, *(record.headers or [])])


def _text(value: str | bytes | None) -> str:
    return value if isinstance(value, str) else (value or b"").decode(errors="replace")
