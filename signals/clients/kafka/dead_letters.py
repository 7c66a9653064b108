"""Keeps records that can never be handled, with their original bytes and the reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shared_types import InvalidEvent
from signals.clients.kafka import DLQ_TOPIC
from signals.clients.kafka.consumer import Record
from signals.clients.kafka.publisher import OutgoingRecord, Publisher


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


def bury(publisher: Publisher, letters: Sequence[DeadLetter]) -> None:
    """Write dead letters and wait for the acknowledgement: only then may the offset move.

    Raises:
        DependencyUnavailable: when Kafka does not take them.
    """
    publisher.publish_and_wait(DLQ_TOPIC, [_outgoing(letter) for letter in letters])


def _outgoing(letter: DeadLetter) -> OutgoingRecord:
    record = letter.record
    origin = {
        "dlq-topic": record.topic,
        "dlq-partition": str(record.partition),
        "dlq-offset": str(record.offset),
        "dlq-timestamp-ms": str(record.timestamp_ms),
        "dlq-stage": letter.stage,
        "dlq-error": letter.error,
        "dlq-reason": letter.reason,
        "dlq-at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    return OutgoingRecord(
        key=record.key or b"", value=record.value, headers=[*origin.items(), *(record.headers or [])]
    )
