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
LONGEST_WAIT_S: Final = 0.5  # 0.04 measured; 0.7 to 0.9 when a full queue is refilled after a second only
PASSES: Final = 4  # a busy machine delays one poll of a pass; the missing refill delays each pass


def test_full_queue_is_refilled_as_soon_as_it_has_room(kafka: KafkaSettings, publisher: Publisher) -> None:
    record = OutgoingRecord(key=b"one partition", value=b"x" * RECORD_BYTES)
    for _ in range(0, RECORDS, CHUNK):
        publisher.publish_and_wait(RAW_TOPIC, [record] * CHUNK)
    longest = list[float]()
    while len(longest) < PASSES and min(longest, default=LONGEST_WAIT_S) >= LONGEST_WAIT_S:
        longest.append(_longest_wait_s(kafka, group=f"prefetching-{len(longest)}"))
    assert min(longest) < LONGEST_WAIT_S, longest


def _longest_wait_s(kafka: KafkaSettings, group: str) -> float:
    """Read the whole topic once; return the longest wait of one poll, in seconds."""
    ownership = Ownership(gained=lambda _: {}, lost=lambda _: None)
    with PartitionConsumer(kafka, group=group, topic=RAW_TOPIC, ownership=ownership) as consumer:
        taken, longest = len(consumer.poll(1, 30.0)), 0.0
        while taken < RECORDS:
            asked_at = time.monotonic()
            taken += len(consumer.poll(BATCH, 5.0))
            longest = max(longest, time.monotonic() - asked_at)
    return longest
