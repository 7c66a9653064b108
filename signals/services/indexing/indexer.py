"""The indexer's loop body: read a batch, have its documents created, then move the offset by compare-and-set.

While OpenSearch works on some batches the next one is read and decoded; they are settled in order.
"""

import threading
import time
from collections import deque
from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final, NamedTuple, Self

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.kafka import INDEXER_GROUP, RAW_TOPIC
from signals.clients.kafka.consumer import Ownership, PartitionConsumer
from signals.clients.kafka.dead_letters import bury, offsets_by_partition
from signals.clients.kafka.publisher import Publisher
from signals.clients.opensearch.connection import Client
from signals.clients.postgres import Connection, transaction
from signals.domain.events.sightings import SightingReader
from signals.domain.operations.dead_letter_limits import MAX_SHARE, DeadLetterLimits
from signals.domain.operations.watermark import Barriers
from signals.services.indexing.batch import Batch
from signals.services.indexing.bulk import Writer
from signals.settings import KafkaSettings
from signals.store.ledger import ledger
from signals.store.operations import dead_letter_windows, offsets
from signals.store.operations.offsets import OffsetMove

GROUP: Final = INDEXER_GROUP
MAX_BATCH: Final = 2_000
GATHER_S: Final = 0.1  # guess: small against the second until a refresh; a batch costs as much as 100 records
WRITERS: Final = 2  # OpenSearch works on one bulk while the other's answer is read
MAX_IN_FLIGHT: Final = WRITERS + 1  # and one that is ready for the next free writer

log = structlog.get_logger(__name__)


class _Flight(NamedTuple):
    """A batch on its way, and the future that ends when every document of it is settled."""

    batch: Batch
    written: Future[None]


class Indexing:
    """One member of the indexer's consumer group, used by one thread.

    Documents are keyed by event id, so reading a batch again creates nothing twice. On `Fenced` or
    `DependencyUnavailable` leave the context and enter a new one.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        pool: ConnectionPool[Connection],
        client: Client,
        publisher: Publisher,
        *,
        stopping: threading.Event,
        tick_s: float,
        dlq_max_share: float = MAX_SHARE,
    ) -> None:
        self._pool = pool
        self._publisher = publisher
        self._writer = Writer(client, stopping)
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="bulk")
        self._in_flight: deque[_Flight] = deque()
        self._read_until: dict[int, int] = {}
        self._reader = SightingReader()
        self._tick_s = tick_s
        self._next_tick = 0.0
        self._next_offsets: dict[int, int] = {}
        self._barriers = Barriers()
        self._limits = DeadLetterLimits(dlq_max_share)
        self._partition_count = 0
        ownership = Ownership(gained=self._gained, lost=self._lost)
        self._consumer = PartitionConsumer(kafka, group=GROUP, topic=RAW_TOPIC, ownership=ownership)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._in_flight.clear()  # read again by whoever comes next, and found to be there
        self._writers.shutdown(cancel_futures=True)
        self._consumer.close()

    def owned(self) -> list[int]:
        """Return the partitions owned now, ascending."""
        return sorted(self._next_offsets)

    def lag(self) -> int:
        """Return how many records are accepted but not searchable yet, over the owned partitions.

        Raises:
            DependencyUnavailable: when the broker does not answer.
        """
        return sum(
            max(0, self._consumer.log_range(number)[1] - next_offset)
            for number, next_offset in self._next_offsets.items()
        )

    def step(self, timeout_s: float) -> int:
        """Send one batch on its way, waiting up to `timeout_s` for it, and settle what is written.

        Returns how many records were read.

        Raises:
            Fenced: when somebody else moved the offsets meanwhile; what is in the index stays right.
            DependencyUnavailable: when it could not be settled; the next session reads it again.
            TooManyDeadLetters: when most of a partition's newest records are refused; none was buried.
        """
        patience_s = min(GATHER_S, timeout_s) if self._in_flight else timeout_s
        records = self._consumer.poll(MAX_BATCH, patience_s, gather_s=GATHER_S)
        batch = Batch(self._read_until, self._reader)
        batch.add_all(records)
        if batch.next_offsets:
            self._read_until |= batch.next_offsets
            self._in_flight.append(_Flight(batch, self._writers.submit(self._writer.write, batch)))
        while self._in_flight and (
            self._in_flight[0].written.done() or len(self._in_flight) >= MAX_IN_FLIGHT
        ):
            self._settle(self._in_flight.popleft())
        if time.monotonic() >= self._next_tick:
            self._next_tick = time.monotonic() + self._tick_s
            self._raise_barriers()
        if reached := self._barriers.take_reached(self._next_offsets):
            with transaction(self._pool) as connection:
                offsets.complete(connection, group=GROUP, topic=RAW_TOPIC, reached=reached)
        return len(records)

    def _settle(self, flight: _Flight) -> None:
        flight.written.result()
        batch = flight.batch
        windows = self._limits.admit(offsets_by_partition(batch.dead_letters))
        bury(self._publisher, batch.dead_letters)
        with transaction(self._pool) as connection:
            offsets.advance(connection, group=GROUP, topic=RAW_TOPIC, moves=batch.moves())
            dead_letter_windows.keep(connection, group=GROUP, topic=RAW_TOPIC, windows=windows)
            ledger.add(connection, batch.entries())
        self._limits.remember(windows)
        self._next_offsets |= batch.next_offsets
        self._consumer.commit(batch.next_offsets)
        if batch.dead_letters:
            log.warning("records set aside", dead=len(batch.dead_letters))

    def _raise_barriers(self) -> None:
        """Note where the log ends now, and which partitions there are."""
        noted_at = datetime.now(UTC)
        partitions = range(self._consumer.partition_count())
        if len(partitions) != self._partition_count:
            with transaction(self._pool) as connection:
                offsets.ensure(connection, group=GROUP, topic=RAW_TOPIC, partitions=partitions)
            self._partition_count = len(partitions)
        self._barriers.note(noted_at, self._consumer.log_ends(self._read_until))

    def _gained(self, partitions: Collection[int]) -> Mapping[int, int]:
        with transaction(self._pool) as connection:
            stored = offsets.load(connection, group=GROUP, topic=RAW_TOPIC, partitions=partitions)
            windows = dead_letter_windows.load(
                connection, group=GROUP, topic=RAW_TOPIC, partitions=partitions
            )
        self._limits.remember(windows)
        starts = {
            number: self._consumer.resume(number, offset.next_offset) for number, offset in stored.items()
        }
        gaps = [
            OffsetMove(partition=number, expected_offset=offset.next_offset, next_offset=starts[number])
            for number, offset in stored.items()
            if starts[number] != offset.next_offset
        ]
        if gaps:
            with transaction(self._pool) as connection:
                offsets.advance(connection, group=GROUP, topic=RAW_TOPIC, moves=gaps)
        self._next_offsets |= starts
        self._read_until |= starts
        log.info("partitions gained", partitions=sorted(starts))
        return starts

    def _lost(self, partitions: Collection[int]) -> None:
        while self._in_flight:  # while the partitions are still ours; fenced when they are not
            self._settle(self._in_flight.popleft())
        for number in partitions:
            self._next_offsets.pop(number, None)
            self._read_until.pop(number, None)
        self._barriers.forget(partitions)
        log.info("partitions lost", partitions=sorted(partitions))
