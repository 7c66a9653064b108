"""Events for tests, canonical and published as ingest-api would."""

import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

from shared_types import Envelope, Tenancy, canonicalize, partition_key
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.consumer import Record
from signals.clients.kafka.publisher import OutgoingRecord, Publisher

TENANCY = Tenancy("org_1", "proj_1")
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

_ids = random.Random(7)


def event(
    event_type: str,
    at: datetime,
    *,
    event_id: UUID | None = None,
    tenancy: Tenancy = TENANCY,
    **attributes: object,
) -> Envelope:
    """Make one canonical event at `at`."""
    body = {
        "event_type": event_type,
        "occurred_at": at.isoformat(),
        "environment": "prod",
        "severity": "error" if event_type == "error" else "info",
        "message": f"{event_type} happened",
        "attributes": attributes,
    }
    spare = event_id or UUID(int=_ids.getrandbits(128), version=4)
    return canonicalize(body, tenancy=tenancy, received_at=datetime.now(UTC), event_id=spare)


def errors(count: int, start: datetime, *, every_s: float = 1.0, code: str = "TIMEOUT") -> Iterator[Envelope]:
    """Make errors of one fingerprint, `every_s` apart."""
    for number in range(count):
        at = start + timedelta(seconds=number * every_s)
        yield event("error", at, error_code=code, route="/checkout", status_code=503)


def signups(count: int, start: datetime, *, every_s: float) -> Iterator[Envelope]:
    """Make signups, `every_s` apart."""
    for number in range(count):
        yield event("signup", start + timedelta(seconds=number * every_s))


def raw_record(event: Envelope, *, partition: int = 0, offset: int = 0) -> Record:
    """Return an event's record as a consumer would, at the epoch."""
    return Record(RAW_TOPIC, partition, offset, 0, partition_key(event).encode(), event.to_json(), None)


def publish(publisher: Publisher, events: Iterable[Envelope]) -> None:
    """Publish events and wait until Kafka has them."""
    records = [OutgoingRecord(key=partition_key(e).encode(), value=e.to_json()) for e in events]
    publisher.publish_and_wait(RAW_TOPIC, records)
