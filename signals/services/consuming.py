"""One member of a consumer group: owned partitions, barriers, dead-letter windows, the settling transaction.

The offset, the windows of dead letters and the ledger move in
the same transaction as the consumer's own rows, by compare-and-set. Consumers derive from `ConsumerSession`;
its `step` polls a batch, handles it, settles it with `settling`, and completes the barriers reached.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.consumer import Ownership, PartitionConsumer
from signals.clients.kafka.dead_letters import DeadLetter, dead_letter, offsets_by_partition
from signals.clients.kafka.publisher import Publisher
from signals.clients.postgres import Connection, transaction
from signals.domain.ledger import LedgerAccount
from signals.domain.operations.dead_letter_limits import MAX_SHARE, DeadLetterLimits
from signals.domain.operations.watermark import Barrier, Barriers
from signals.periodic import Interval
from signals.settings import KafkaSettings
from signals.store.ledger import ledger
from signals.store.operations import dead_letter_windows, offsets
from signals.store.operations.offsets import OffsetMove, StoredOffset

log = structlog.get_logger(__name__)


def utc_now() -> datetime:
    """Return the present instant."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """Which group reads which topic, and how.

    Barriers are raised every `tick_s` seconds of the machine's time, and note the instant of `clock`.
    `dlq_max_share` is the share of a partition's newest records that may be dead letters before the
    consumer stops.
    """

    group: str
    topic: str = RAW_TOPIC
    tick_s: float
    dlq_max_share: float = MAX_SHARE
    clock: Callable[[], datetime] = utc_now


class ConsumerSession:
    """One member of a consumer group, used by one thread.

    On `Fenced` or `DependencyUnavailable` leave the context and enter a new one: what a session remembers
    is a cache of PostgreSQL and the log. A subclass may override `detail`, `_gained` and `_lost`.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        pool: ConnectionPool[Connection],
        publisher: Publisher,
        membership: Membership,
    ) -> None:
        self._pool = pool
        self._publisher = publisher
        self._group = membership.group
        self._topic = membership.topic
        self._clock = membership.clock
        self._next_offsets: dict[int, int] = {}  # of the partitions owned: everything below is settled
        self._limits = DeadLetterLimits(membership.dlq_max_share)
        self._barriers = Barriers()
        self._barrier_interval = Interval(membership.tick_s)
        self._partition_count = 0
        ownership = Ownership(gained=self._take_over, lost=self._let_go)
        self._consumer = PartitionConsumer(kafka, group=self._group, topic=self._topic, ownership=ownership)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def owned(self) -> list[int]:
        """Return the partitions owned now, ascending."""
        return sorted(self._next_offsets)

    def lag(self) -> int:
        """Return how many records are accepted but not settled yet, over the owned partitions.

        Raises:
            DependencyUnavailable: when the broker does not answer.
        """
        return sum(
            max(0, self._consumer.log_range(partition)[1] - next_offset)
            for partition, next_offset in self._next_offsets.items()
        )

    def detail(self) -> str:
        """Return what a heartbeat says of the work under way: nothing."""
        return ""

    @contextmanager
    def settling(
        self,
        next_offsets: Mapping[int, int],
        *,
        dead_letters: Sequence[DeadLetter] = (),
        entries: Mapping[LedgerAccount, int] | None = None,
    ) -> Iterator[Connection]:
        """Settle a batch; the block adds the consumer's own writes to the transaction.

        `next_offsets` says how far the batch reached in each partition, `entries` what to add to the ledger.
        Dead letters are written first. Offsets, windows and ledger then move together, or not at all.

        Raises:
            Fenced: when another consumer moved the offsets meanwhile; nothing was kept.
            DependencyUnavailable: when the batch may or may not have been kept.
            TooManyDeadLetters: when most of a partition's newest records are dead; nothing was kept.
        """
        windows = self._limits.admit(offsets_by_partition(dead_letters))
        dead_letter(self._publisher, dead_letters)
        with transaction(self._pool) as connection:
            self._advance(connection, next_offsets)
            dead_letter_windows.keep(connection, group=self._group, topic=self._topic, windows=windows)
            ledger.add(connection, entries or {})
            yield connection
        self._limits.remember(windows)
        self._next_offsets |= next_offsets
        self._consumer.commit(next_offsets)

    def reached_barriers(self, read_until: Mapping[int, int] | None = None) -> Mapping[int, Barrier]:
        """Raise barriers when they are due; return those reached, for `complete`.

        `read_until` gives the position in each partition when records are read ahead of being settled.

        Raises:
            DependencyUnavailable: when a server does not answer.
        """
        if self._barrier_interval.is_due():
            self._raise_barriers(self._next_offsets if read_until is None else read_until)
        return self._barriers.take_reached(self._next_offsets)

    def complete(self, reached: Mapping[int, Barrier]) -> None:
        """Note that everything appended before these barriers is handled."""
        with transaction(self._pool) as connection:
            offsets.complete(connection, group=self._group, topic=self._topic, reached=reached)

    def _fence(self, connection: Connection, partition: int) -> None:
        """Check in the caller's transaction that no other consumer moved this partition's offset.

        Raises:
            Fenced: when one did; the transaction must not be committed.
        """
        self._advance(connection, {partition: self._next_offsets[partition]})

    def _gained(self, stored: Mapping[int, StoredOffset]) -> Mapping[int, int]:
        """Return the offset to read each gained partition from, by where it is to be continued."""
        return {partition: offset.next_offset for partition, offset in stored.items()}

    def _lost(self, partitions: Collection[int]) -> None:
        """Forget what is remembered of these partitions; they are still owned during this call."""

    def _advance(self, connection: Connection, next_offsets: Mapping[int, int]) -> None:
        moves = [
            OffsetMove(partition=p, expected_offset=self._next_offsets[p], next_offset=next_offset)
            for p, next_offset in sorted(next_offsets.items())
        ]
        offsets.advance(connection, group=self._group, topic=self._topic, moves=moves)

    def _raise_barriers(self, positions: Mapping[int, int]) -> None:
        """Note where the log ends now, and which partitions there are."""
        noted_at = self._clock()
        partitions = range(self._consumer.partition_count())
        if len(partitions) != self._partition_count:
            with transaction(self._pool) as connection:
                offsets.ensure(connection, group=self._group, topic=self._topic, partitions=partitions)
            self._partition_count = len(partitions)
        self._barriers.note(noted_at, self._consumer.log_ends(positions))

    def _take_over(self, partitions: Collection[int]) -> Mapping[int, int]:
        group, topic = self._group, self._topic
        with transaction(self._pool) as connection:
            stored = offsets.load(connection, group=group, topic=topic, partitions=partitions)
            windows = dead_letter_windows.load(connection, group=group, topic=topic, partitions=partitions)
        self._limits.remember(windows)
        there = {
            partition: replace(offset, next_offset=self._consumer.resume(partition, offset.next_offset))
            for partition, offset in stored.items()
        }
        starts = self._gained(there)
        self._next_offsets |= {partition: offset.next_offset for partition, offset in stored.items()}
        gaps = {
            partition: offset.next_offset
            for partition, offset in there.items()
            if offset.next_offset != stored[partition].next_offset
        }
        if gaps:
            with transaction(self._pool) as connection:
                self._advance(connection, gaps)
            self._next_offsets |= gaps
        log.info("partitions gained", partitions=sorted(starts))
        return starts

    def _let_go(self, partitions: Collection[int]) -> None:
        self._lost(partitions)
        for partition in partitions:
            self._next_offsets.pop(partition, None)
        self._barriers.forget(partitions)
        log.info("partitions lost", partitions=sorted(partitions))
