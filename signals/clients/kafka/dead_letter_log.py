"""Reads `signals.dlq.v1` in pieces, from either end; commits nothing and joins no group."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from signals.clients.kafka import DLQ_TOPIC
from signals.clients.kafka.broker_faults import describe
from signals.clients.kafka.connection import ADMIN_TIMEOUT_S, connection_config
from signals.clients.kafka.consumer import Record, record_of
from signals.errors import DependencyUnavailable
from signals.settings import KafkaSettings

PIECE: Final = 200  # letters at once; at a MiB each still bounded
ANSWER_S: Final = 10.0

Ranges = Mapping[int, tuple[int, int]]
"""Offsets by partition, end exclusive."""


class DeadLetterLog:
    """The letters as they lie; not safe for use from several threads."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    def ranges(self) -> Ranges:
        """Return where letters lie now.

        Raises:
            DependencyUnavailable: when the broker does not answer.
        """
        try:
            topic = self._consumer.list_topics(DLQ_TOPIC, timeout=ADMIN_TIMEOUT_S).topics[DLQ_TOPIC]
            if topic.error is not None:
                raise DependencyUnavailable("Kafka", f"{DLQ_TOPIC}: {topic.error.str()}")
            return {number: self._range(number) for number in sorted(topic.partitions)}
        except KafkaException as error:
            raise DependencyUnavailable("Kafka", describe(error)) from error

    def pieces(self, within: Ranges, *, newest_first: bool) -> Iterator[list[Record]]:
        """Read what lies there, partition by partition, at most `PIECE` letters at once.

        Raises:
            DependencyUnavailable: when the broker does not answer.
        """
        for partition, (oldest, end) in within.items():
            starts = range(oldest, end, PIECE)
            for start in reversed(starts) if newest_first else starts:
                piece = self.read(partition, start, min(start + PIECE, end))
                yield piece[::-1] if newest_first else piece

    def read(self, partition: int, start: int, end: int) -> list[Record]:
        """Return the letters from offset `start` up to, not including, `end`; some may be gone by age.

        Raises:
            DependencyUnavailable: when the broker does not answer.
        """
        found: list[Record] = []
        try:
            self._consumer.assign([TopicPartition(DLQ_TOPIC, partition, start)])
            next_offset = start
            while next_offset < end:
                message = self._consumer.poll(ANSWER_S)
                if message is None:
                    raise DependencyUnavailable("Kafka", f"{DLQ_TOPIC} was not read in {ANSWER_S:.0f} s")
                record = record_of(message)
                next_offset = record.offset + 1
                if record.offset < end:
                    found.append(record)
        except KafkaException as error:
            raise DependencyUnavailable("Kafka", describe(error)) from error
        return found

    def _range(self, partition: int) -> tuple[int, int]:
        found = self._consumer.get_watermark_offsets(
            TopicPartition(DLQ_TOPIC, partition), timeout=ADMIN_TIMEOUT_S
        )
        if found is None:
            raise DependencyUnavailable("Kafka", f"no log end for {DLQ_TOPIC}")
        return found


@contextmanager
def open_dead_letter_log(settings: KafkaSettings) -> Iterator[DeadLetterLog]:
    """Open a reader in this process and close it at the end."""
    config = connection_config(settings) | {
        "group.id": "signals-dlq",  # never joined: partitions are assigned by hand
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
    }
    consumer = Consumer(dict(config))
    try:
        yield DeadLetterLog(consumer)
    finally:
        consumer.close()
