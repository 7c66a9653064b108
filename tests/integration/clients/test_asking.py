"""Queries about a consumer's log must not keep it from reading: incidents would open late."""

import time
from collections.abc import Collection
from typing import Final

from confluent_kafka import TopicPartition

from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.consumer import Ownership, PartitionConsumer
from signals.settings import KafkaSettings
from tests.support.waiting import until

PARTITIONS: Final = 3
ROUNDS: Final = 5
FETCH_WAIT_S: Final = 1.0  # each question took this long behind a fetch


def test_log_queries_do_not_wait_for_records(kafka: KafkaSettings) -> None:
    ownership = Ownership(gained=lambda partitions: dict.fromkeys(partitions, 0), lost=lambda _: None)
    with PartitionConsumer(kafka, group="asking", topic=RAW_TOPIC, ownership=ownership) as consumer:

        def joined() -> bool:
            assert consumer.poll(1, 0.5) == []
            return len(consumer.owned()) == PARTITIONS

        until(joined, within_s=60)
        consumer.log_ends(dict.fromkeys(range(PARTITIONS), 0))  # connects
        started = time.monotonic()
        for _ in range(ROUNDS):
            assert consumer.poll(1, FETCH_WAIT_S / 2) == []
            ends = consumer.log_ends(dict.fromkeys(range(PARTITIONS), 0))
            assert ends == dict.fromkeys(range(PARTITIONS), 0)
        asked_s = time.monotonic() - started - ROUNDS * FETCH_WAIT_S / 2
    assert asked_s < ROUNDS * PARTITIONS * FETCH_WAIT_S / 3


def test_assignment_during_the_close_is_not_taken(kafka: KafkaSettings) -> None:
    gained = list[Collection[int]]()

    def note(partitions: Collection[int]) -> dict[int, int]:
        gained.append(partitions)
        return {}

    ownership = Ownership(gained=note, lost=lambda _: None)
    consumer = PartitionConsumer(kafka, group="leaving", topic=RAW_TOPIC, ownership=ownership)
    consumer.close()
    consumer._gained(consumer._consumer, [TopicPartition(RAW_TOPIC, 0)])  # as librdkafka may
    assert gained == []
