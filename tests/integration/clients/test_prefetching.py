"""A reader that is quicker than its prefetch queue is large."""

import time
from typing import Final

from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.consumer import Ownership, PartitionConsumer
from signals.clients.kafka.publisher import OutgoingRecord, Publisher
from signals.settings import KafkaSettings

RECORDS: Final = 300_000  # many times the queue; few large ones would not fill it as quickly
RECORD_BYTES: Final = 500
CHUNK: Final = 30_000
BATCH: Final = 5_000
LONGEST_WAIT_S: Final = 0.5  # 0.04 measured; 0.87 when a full queue is looked at again after a second


def test_full_queue_is_refilled_as_soon_as_it_has_room(kafka: KafkaSettings, publisher: Publisher) -> None:
    record = OutgoingRecord(key=b"one partition", value=b"x" * RECORD_BYTES)
    for _ in range(0, RECORDS, CHUNK):
        publisher.publish_and_wait(RAW_TOPIC, [record] * CHUNK)
    ownership = Ownership(gained=lambda _: {}, lost=lambda _: None)
    with PartitionConsumer(kafka, group="prefetching", topic=RAW_TOPIC, ownership=ownership) as consumer:
        taken, waits = len(consumer.poll(1, 30.0)), list[float]()
        while taken < RECORDS:
            asked_at = time.monotonic()
            taken += len(consumer.poll(BATCH, 5.0))
            waits.append(time.monotonic() - asked_at)
    assert max(waits) < LONGEST_WAIT_S, sorted(waits)[-5:]
