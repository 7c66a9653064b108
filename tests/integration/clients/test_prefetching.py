"""A reader that is quicker than its prefetch queue is large."""

import time
from random import Random
from typing import Final

import pytest

from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.consumer import Ownership, PartitionConsumer
from signals.clients.kafka.publisher import OutgoingRecord, Publisher
from signals.settings import KafkaSettings
from tests.support.waiting import pause

RECORDS: Final = 100
RECORD_BYTES: Final = 100_000  # ten of them are a fetch (max.partition.fetch.bytes), and no compression helps
QUEUE_KBYTES: Final = 1  # each fetch fills it: the pauses last longer than the work of the slowest machine
LATE_MS: Final = 1_000  # librdkafka's own pause before it refills a full queue
WORK_S: Final = 0.02  # on a record, so that librdkafka finds the queue full even when its turn comes late
ASSIGNED_S: Final = 90.0


def test_full_queue_is_refilled_as_soon_as_it_has_room(
    kafka: KafkaSettings, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading with a queue that is always full takes much less time than with late refills."""
    chance = Random(1)
    records = [
        OutgoingRecord(key=b"one partition", value=chance.randbytes(RECORD_BYTES)) for _ in range(RECORDS)
    ]
    publisher.publish_and_wait(RAW_TOPIC, records)
    monkeypatch.setattr("signals.clients.kafka.connection.PREFETCH_KBYTES", QUEUE_KBYTES)
    ours = _seconds_to_read(kafka, group="ours")
    monkeypatch.setattr("signals.clients.kafka.connection.FULL_BACKOFF_MS", LATE_MS)
    late = _seconds_to_read(kafka, group="late")
    assert ours < late / 2


def _seconds_to_read(kafka: KafkaSettings, group: str) -> float:
    """Read the whole topic once; return the time from the first record to the last."""
    ownership = Ownership(gained=lambda _: {}, lost=lambda _: None)
    with PartitionConsumer(kafka, group=group, topic=RAW_TOPIC, ownership=ownership) as consumer:
        taken, began_at = len(consumer.poll(1, ASSIGNED_S)), time.monotonic()
        while taken < RECORDS:
            taken += len(consumer.poll(1, 5.0))
            pause(WORK_S)
    return time.monotonic() - began_at
