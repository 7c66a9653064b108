"""Sentry's arroyo: Reduce batches of 5,000 into a dictionary, write it with psycopg, then commit offsets.

Batches are as large as the engine's; `Reduce` with a dictionary is what arroyo offers for throughput (a
step per message, RunTask, would cost one more call an event). Counting and offsets are two commits: a
crash between them counts a batch twice.
"""

import os
import signal
from collections.abc import Mapping

from arroyo.backends.kafka import KafkaConsumer, KafkaPayload
from arroyo.backends.kafka.configuration import build_kafka_consumer_configuration
from arroyo.commit import IMMEDIATE
from arroyo.processing import StreamProcessor
from arroyo.processing.strategies import CommitOffsets, ProcessingStrategy, ProcessingStrategyFactory, RunTask
from arroyo.processing.strategies.reduce import Reduce
from arroyo.types import BaseValue, Commit, Message, Partition, Topic

from benchmarks.peers.counting import Bucket, add, bucket_of, connect
from benchmarks.peers.marks import FirstRecord

BATCH = 5_000
BATCH_S = 1.0

Counts = dict[Bucket, int]


class Factory(ProcessingStrategyFactory[KafkaPayload]):
    """Builds the steps at each assignment."""

    def __init__(self) -> None:
        self._connection = connect()
        self._first = FirstRecord()

    def create_with_partitions(
        self, commit: Commit, partitions: Mapping[Partition, int]
    ) -> ProcessingStrategy[KafkaPayload]:
        """Reduce, write, commit."""
        write = RunTask(self._write, CommitOffsets(commit))
        return Reduce(BATCH, BATCH_S, self._count, dict, write)

    def _count(self, counts: Counts, message: BaseValue[KafkaPayload]) -> Counts:
        self._first()
        bucket = bucket_of(message.payload.value)
        counts[bucket] = counts.get(bucket, 0) + 1
        return counts

    def _write(self, message: Message[Counts]) -> None:
        add(self._connection, message.payload)


def main() -> None:
    """Count until a SIGTERM."""
    # As in the product: by default librdkafka pauses for a second when its queue is full.
    quick = {"fetch.queue.backoff.ms": 50}
    config = build_kafka_consumer_configuration(
        quick, group_id=os.environ["BENCH_GROUP"], bootstrap_servers=[os.environ["KAFKA_BROKERS"]]
    )
    topic = Topic(os.environ["BENCH_TOPIC"])
    processor = StreamProcessor(KafkaConsumer(config), topic, Factory(), IMMEDIATE)
    signal.signal(signal.SIGTERM, lambda *_: processor.signal_shutdown())
    processor.run()


if __name__ == "__main__":
    main()
