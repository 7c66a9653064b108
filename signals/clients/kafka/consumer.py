"""Reads the partitions that a consumer group assigns, starting where the caller says."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from typing import Final, Self

import msgspec
import structlog
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from confluent_kafka._types import HeadersType

from signals.clients.kafka.broker_faults import BrokerFaults
from signals.clients.kafka.connection import connection_config, group_config
from signals.clients.kafka.publisher import Headers
from signals.errors import DependencyUnavailable
from signals.settings import KafkaSettings

BROKER_TIMEOUT_S: Final = 5.0

_SECOND: Final = itemgetter(1)

log = structlog.get_logger(__name__)


class Record(msgspec.Struct, frozen=True, gc=False):
    """One consumed record; `timestamp_ms` is the producer's or the broker's, since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes
    headers: Headers | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """The caller's callbacks for gained and lost partitions.

    `gained` returns the offset to start from for each partition (missing: the group's committed offset).
    It runs inside `poll`; what it raises ends the session there.
    """

    gained: Callable[[Collection[int]], Mapping[int, int]]
    lost: Callable[[Collection[int]], None]


class PartitionConsumer:
    """One member of a consumer group on one topic. Not safe for use from several threads.

    Questions about the log go over connections of their own: behind a fetch that waits for records the
    broker would answer each of them a second late, while nothing is read.
    """

    def __init__(self, settings: KafkaSettings, *, group: str, topic: str, ownership: Ownership) -> None:
        self._topic = topic
        self._ownership = ownership
        self._expected: dict[int, int] = {}  # the offset that each partition's next record has
        self._faults = BrokerFaults(settings)
        config = connection_config(settings, self._faults) | group_config(settings, group)
        self._consumer = Consumer(dict(config))
        self._asking = Consumer(dict(config))  # never subscribes, so it is no member
        self._is_closing = False
        self._consumer.subscribe([topic], on_assign=self._gained, on_revoke=self._lost, on_lost=self._lost)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the group; partitions that it assigns meanwhile are not taken."""
        self._is_closing = True
        self._asking.close()
        self._consumer.close()

    def poll(self, max_records: int, timeout_s: float, *, gather_s: float = 0.0) -> list[Record]:
        """Return what is there, at most `max_records`; wait up to `timeout_s` only for the first.

        With `gather_s` wait so much longer for others when one is there.

        Raises:
            DependencyUnavailable: when this member must leave and start again.
        """
        with self._unavailable_when_down():
            first = self._consumer.poll(timeout_s)
            if first is None:
                self._check_connected()
                return []
            messages = [first, *self._consumer.consume(max_records - 1, timeout=gather_s)]
        records = records_of(messages)
        self._tell_gaps(records)
        return records

    def pause_reading(self, partitions: Collection[int]) -> None:
        """Let `poll` return nothing more of these assigned partitions until `resume_reading`."""
        with self._unavailable_when_down():
            self._consumer.pause([TopicPartition(self._topic, partition) for partition in partitions])

    def resume_reading(self, partitions: Collection[int]) -> None:
        """Go on where a pause, if there was one, began."""
        with self._unavailable_when_down():
            self._consumer.resume([TopicPartition(self._topic, partition) for partition in partitions])

    def owned(self) -> list[int]:
        """Return the partitions assigned now, ascending."""
        return sorted(partition.partition for partition in self._consumer.assignment())

    def log_range(self, partition: int) -> tuple[int, int]:
        """Ask the broker for (oldest offset, log end) of a partition: offsets, end exclusive.

        Raises:
            DependencyUnavailable: when it does not answer.
        """
        with self._unavailable_when_down():
            self._asking.poll(0)  # has no records, only errors to tell
            answer = self._asking.get_watermark_offsets(
                TopicPartition(self._topic, partition), timeout=BROKER_TIMEOUT_S, cached=False
            )
        if answer is None:
            raise DependencyUnavailable("Kafka", f"no log end for partition {partition}")
        return answer

    def log_ends(self, next_offsets: Mapping[int, int]) -> dict[int, int]:
        """Ask the broker where the log of each of these partitions ends.

        Raises:
            DependencyUnavailable: when it does not answer, or when all that was to be read next is gone:
                no record will come to show that, a new session must `resume` behind it.
        """
        ends = {}
        for partition, next_offset in next_offsets.items():
            oldest, ends[partition] = self.log_range(partition)
            if next_offset < oldest == ends[partition]:
                reason = f"partition {partition} is empty, and its offset {next_offset} was not read yet"
                raise DependencyUnavailable("Kafka", reason)
        return ends

    def resume(self, partition: int, next_offset: int) -> int:
        """Return where to go on: at `next_offset`, or at the oldest record when those before it are gone.

        Raises:
            DependencyUnavailable: when the broker does not answer, or the log is shorter than what was
                handled.
        """
        oldest, end = self.log_range(partition)
        if next_offset > end:
            raise DependencyUnavailable(
                "Kafka",
                f"partition {partition} ends at {end} but {next_offset} were handled: the topic was "
                "recreated; delete its rows from pipeline.offsets to handle it from the start",
            )
        if next_offset < oldest:
            self._tell_gap(partition, next_offset, oldest)
        return max(oldest, next_offset)

    def partition_count(self) -> int:
        """Ask the broker how many partitions the topic has now.

        Raises:
            DependencyUnavailable: when it does not answer, or has no such topic.
        """
        try:
            topic = self._asking.list_topics(self._topic, timeout=BROKER_TIMEOUT_S).topics[self._topic]
        except KafkaException as error:
            self._asking.poll(0)  # only this serves the error callback; the session ends here
            raise DependencyUnavailable("Kafka", self._faults.explain(error)) from error
        if topic.error is not None:
            raise DependencyUnavailable("Kafka", topic.error.str())
        return len(topic.partitions)

    def offset_at(self, partition: int, timestamp_ms: int) -> int | None:
        """Return the first offset whose timestamp is at least `timestamp_ms`; None when there is none.

        Raises:
            DependencyUnavailable: when the broker does not answer.
        """
        with self._unavailable_when_down():
            found = self._asking.offsets_for_times(
                [TopicPartition(self._topic, partition, timestamp_ms)], timeout=BROKER_TIMEOUT_S
            )
        return found[0].offset if found[0].offset >= 0 else None

    def commit(self, next_offsets: Mapping[int, int]) -> None:
        """Store the offsets to read next in Kafka, without waiting for the answer."""
        offsets = [TopicPartition(self._topic, p, offset) for p, offset in next_offsets.items()]
        with self._unavailable_when_down():
            self._consumer.commit(offsets=offsets, asynchronous=True)

    @contextmanager
    def _unavailable_when_down(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            raise DependencyUnavailable("Kafka", self._faults.explain(error)) from error

    def _check_connected(self) -> None:
        """Tell a quiet topic from brokers that do not let us in: librdkafka waits silently in both."""
        reason = self._faults.standing()
        if reason is not None and not self._consumer.assignment():
            raise DependencyUnavailable("Kafka", reason)

    def _gained(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._is_closing:  # the coordinator was quicker than our leaving
            return
        starts = self._ownership.gained([partition.partition for partition in partitions])
        for partition in partitions:
            if partition.partition in starts:
                partition.offset = starts[partition.partition]
                self._expected[partition.partition] = partition.offset
        consumer.incremental_assign(partitions)

    def _lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        for partition in partitions:
            self._expected.pop(partition.partition, None)
        self._ownership.lost([partition.partition for partition in partitions])

    def _tell_gaps(self, records: Collection[Record]) -> None:
        next_offsets = self._expected
        for record in records:
            partition, offset = record.partition, record.offset
            expected = next_offsets.get(partition, offset)
            if offset > expected:
                self._tell_gap(partition, expected, offset)
            next_offsets[partition] = offset + 1

    def _tell_gap(self, partition: int, start: int, end: int) -> None:
        """They are lost to every reader: retention was shorter than the lag, or they were deleted."""
        log.error(
            "records gone before they were read",
            topic=self._topic,
            partition=partition,
            first_offset=start,
            count=end - start,
        )


def record_of(message: Message) -> Record:
    """Return what librdkafka consumed.

    Raises:
        DependencyUnavailable: when it is an error instead of a record.
    """
    return records_of([message])[0]


def records_of(messages: Sequence[Message]) -> list[Record]:
    """Return what librdkafka consumed: member by member, in half the time of message by message.

    Raises:
        DependencyUnavailable: when one is an error instead of a record.
    """
    for error in map(Message.error, messages):
        if error is not None:
            raise DependencyUnavailable("Kafka", error.str())
    made: Iterator[Record] = map(
        Record,
        map(Message.topic, messages),
        map(Message.partition, messages),
        map(Message.offset, messages),
        map(_SECOND, map(Message.timestamp, messages)),
        map(Message.key, messages),
        [value or b"" for value in map(Message.value, messages)],
        [headers and _bytes_headers(headers) for headers in map(Message.headers, messages)],
    )
    return list(made)


def _bytes_headers(headers: HeadersType) -> Headers:
    pairs = headers.items() if isinstance(headers, dict) else headers
    return [(name, value.encode() if isinstance(value, str) else value or b"") for name, value in pairs]
