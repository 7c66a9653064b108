"""The incident engine's loop body: read a batch, count it exactly once, judge it, tell who waits."""

import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Self
from uuid import UUID, uuid4

import orjson
import structlog
from psycopg_pool import ConnectionPool

from signals.clients.kafka import ENGINE_GROUP, JOBS_TOPIC, RAW_TOPIC
from signals.clients.kafka.consumer import Ownership, PartitionConsumer
from signals.clients.kafka.dead_letters import bury, offsets_by_partition
from signals.clients.kafka.publisher import OutgoingRecord, Publisher
from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import minute_of, ranges
from signals.domain.detection.recent_ids import RecentIds
from signals.domain.detection.rules import HISTORY_MINUTES
from signals.domain.events.sightings import SightingReader
from signals.domain.operations.dead_letter_limits import MAX_SHARE, DeadLetterLimits
from signals.domain.operations.watermark import Barrier, Barriers
from signals.services.detection.batch import Batch
from signals.services.detection.drops import judge_drops
from signals.services.detection.incident_writes import write
from signals.services.detection.partitions import OwnedPartition, Refilling, take_over
from signals.settings import KafkaSettings
from signals.store.detection import buckets, signup_series
from signals.store.ledger import ledger
from signals.store.operations import dead_letter_windows, offsets
from signals.store.operations.offsets import OffsetMove

GROUP: Final = ENGINE_GROUP
MAX_BATCH: Final = 20_000  # a fifth of a second of work; the consumer prefetches 16 MiB at most anyway

log = structlog.get_logger(__name__)


class Detecting:
    """One member of the incident engine's consumer group, used by one thread.

    Its memory is a cache of PostgreSQL and the log: on `Fenced` or `DependencyUnavailable` leave the
    context and enter a new one.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        pool: ConnectionPool[Connection],
        publisher: Publisher,
        *,
        tick_s: float,
        dlq_max_share: float = MAX_SHARE,
    ) -> None:
        self._pool = pool
        self._publisher = publisher
        self._tick_s = tick_s
        self._next_tick = 0.0
        self._owned: dict[int, OwnedPartition] = {}
        self._recent = RecentIds()
        self._reader = SightingReader()
        self._barriers = Barriers()
        self._limits = DeadLetterLimits(dlq_max_share)
        self._partition_count = 0
        ownership = Ownership(gained=self._gained, lost=self._lost)
        self._consumer = PartitionConsumer(kafka, group=GROUP, topic=RAW_TOPIC, ownership=ownership)
        self._refilling = Refilling(self._consumer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def owned(self) -> list[int]:
        """Return the partitions owned now, ascending."""
        return sorted(self._owned)

    def lag(self) -> int:
        """Return how many records are accepted but not counted yet, over the owned partitions.

        Raises:
            DependencyUnavailable: when the broker does not answer.
        """
        return sum(
            max(0, self._consumer.log_range(number)[1] - next_offset)
            for number, next_offset in self._next_offsets().items()
        )

    def step(self, timeout_s: float) -> int:
        """Count one batch, waiting up to `timeout_s` for it, and tick when due; return its records.

        Raises:
            Fenced: when somebody else counted meanwhile; nothing of this batch was kept.
            DependencyUnavailable: when the batch may or may not have been kept.
            TooManyDeadLetters: when most of a partition's newest records are broken; nothing was kept.
        """
        records = self._refilling.admit(self._consumer.poll(MAX_BATCH, timeout_s), self._owned)
        batch = Batch(self._owned, self._recent, self._reader)
        batch.add_all(records)
        if moves := batch.moves():
            self._count(batch, moves)
        else:
            batch.settle()  # there was nothing but the tail, read again
        if time.monotonic() >= self._next_tick:
            self._next_tick = time.monotonic() + self._tick_s
            self._raise_barriers()
        if reached := self._barriers.take_reached(self._next_offsets()):
            self._tick(reached)
        return len(records)

    def _count(self, batch: Batch, moves: Sequence[OffsetMove]) -> None:
        windows = self._limits.admit(offsets_by_partition(batch.dead_letters))
        bury(self._publisher, batch.dead_letters)
        with transaction(self._pool) as connection:
            offsets.advance(connection, group=GROUP, topic=RAW_TOPIC, moves=moves)
            dead_letter_windows.keep(connection, group=GROUP, topic=RAW_TOPIC, windows=windows)
            ledger.add(connection, batch.entries())
            job_ids = self._count_and_judge(connection, batch)
        self._limits.remember(windows)
        next_offsets = batch.settle()
        self._consumer.commit(next_offsets)
        self._notify(job_ids)
        if batch.dead_letters or batch.duplicates:
            log.warning("records set aside", dead=len(batch.dead_letters), duplicates=batch.duplicates)

    def _count_and_judge(self, connection: Connection, batch: Batch) -> list[UUID]:
        if not batch.tally.buckets:
            return []
        buckets.increment(connection, batch.tally.counts())
        if batch.newest_signups:
            signup_series.note(connection, batch.newest_signups)
        reads = list(ranges(batch.tally.touched(), HISTORY_MINUTES))
        judged = batch.tally.judge(reads, buckets.read(connection, reads))
        return write(connection, judged, batch.tally.records(), uuid4)

    def _raise_barriers(self) -> None:
        """Note where the log ends now, and which partitions there are."""
        noted_at = datetime.now(UTC)
        partitions = range(self._consumer.partition_count())
        if len(partitions) != self._partition_count:
            with transaction(self._pool) as connection:
                offsets.ensure(connection, group=GROUP, topic=RAW_TOPIC, partitions=partitions)
            self._partition_count = len(partitions)
        self._barriers.note(noted_at, self._consumer.log_ends(self._next_offsets()))

    def _tick(self, reached: Mapping[int, Barrier]) -> None:
        """Judge signups by the clock wherever everything accepted in time has been counted; say so."""
        for number, barrier in reached.items():
            partition = self._owned[number]
            minute = minute_of(barrier.noted_at) - 1  # the newest minute that was over
            if minute <= partition.ticked_minute:
                continue
            still_here = OffsetMove(
                partition=number,
                expected_offset=partition.next_offset,
                next_offset=partition.next_offset,
            )
            with transaction(self._pool) as connection:
                offsets.advance(connection, group=GROUP, topic=RAW_TOPIC, moves=[still_here])
                job_ids = judge_drops(connection, number, minute)
            partition.ticked_minute = minute
            self._notify(job_ids)
        with transaction(self._pool) as connection:
            offsets.complete(connection, group=GROUP, topic=RAW_TOPIC, reached=reached)

    def _next_offsets(self) -> dict[int, int]:
        return {number: partition.next_offset for number, partition in self._owned.items()}

    def _notify(self, job_ids: Sequence[UUID]) -> None:
        """Wake the ai-workers; a lost notice costs a second, since they poll as well."""
        notices = [
            OutgoingRecord(key=job_id.bytes, value=orjson.dumps({"job_id": job_id})) for job_id in job_ids
        ]
        if notices:
            self._publisher.publish(JOBS_TOPIC, notices, _log_lost_notices)

    def _gained(self, partitions: Collection[int]) -> Mapping[int, int]:
        with transaction(self._pool) as connection:
            stored = offsets.load(connection, group=GROUP, topic=RAW_TOPIC, partitions=partitions)
            windows = dead_letter_windows.load(
                connection, group=GROUP, topic=RAW_TOPIC, partitions=partitions
            )
        self._limits.remember(windows)
        owned, starts = take_over(self._consumer, stored)
        if gaps := [
            OffsetMove(
                partition=number,
                expected_offset=stored[number].next_offset,
                next_offset=partition.next_offset,
            )
            for number, partition in owned.items()
            if partition.next_offset != stored[number].next_offset
        ]:
            with transaction(self._pool) as connection:
                offsets.advance(connection, group=GROUP, topic=RAW_TOPIC, moves=gaps)
        self._owned |= owned
        self._refilling.begin(starts, owned)
        log.info("partitions gained", partitions=sorted(owned))
        return starts

    def _lost(self, partitions: Collection[int]) -> None:
        for number in partitions:
            self._owned.pop(number, None)
            self._recent.forget(number)
        self._refilling.forget(partitions)
        self._barriers.forget(partitions)
        log.info("partitions lost", partitions=sorted(partitions))


def _log_lost_notices(errors: Sequence[str | None]) -> None:
    lost = [error for error in errors if error]
    if lost:
        log.warning("job notices lost", count=len(lost), error=lost[0])
