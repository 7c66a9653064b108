"""The incident engine's loop body: read a batch, count it exactly once, judge it, tell who waits."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

import orjson
import structlog
from psycopg_pool import ConnectionPool

from signals.clients.kafka import ENGINE_GROUP, JOBS_TOPIC
from signals.clients.kafka.publisher import OutgoingRecord, Publisher
from signals.clients.postgres import Connection, reading, transaction
from signals.domain.detection.buckets import minute_of
from signals.domain.detection.recent_ids import RecentIds
from signals.domain.detection.rule_index import RuleIndex
from signals.domain.events.sightings import SightingReader
from signals.domain.operations.dead_letter_limits import MAX_SHARE
from signals.domain.operations.watermark import Barrier
from signals.services.consuming import ConsumerSession, Membership, utc_now
from signals.services.detection.batch import CountedBatch
from signals.services.detection.judging import judge_batch, judge_by_clock
from signals.services.detection.late_deploys import summarize_after
from signals.services.detection.own_counting import OwnCounting
from signals.services.detection.own_judging import judge_own
from signals.services.detection.own_tally import OwnSamples
from signals.services.detection.project_rules import RuleBook
from signals.services.detection.refilling import Refill, refill_starts
from signals.services.detection.series_cap import SeriesCap
from signals.settings import KafkaSettings
from signals.store.deploys import deploys
from signals.store.detection import buckets
from signals.store.operations import offsets
from signals.store.operations.offsets import StoredOffset

GROUP: Final = ENGINE_GROUP
MAX_BATCH: Final = 20_000  # a fifth of a second of work; the consumer prefetches 16 MiB at most anyway
NEVER_TICKED: Final = -1

log = structlog.get_logger(__name__)


class IncidentEngine(ConsumerSession):
    """One member of the incident engine's consumer group, used by one thread. `clock` gives the time."""

    def __init__(
        self,
        kafka: KafkaSettings,
        pool: ConnectionPool[Connection],
        publisher: Publisher,
        *,
        tick_s: float,
        dlq_max_share: float = MAX_SHARE,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        membership = Membership(group=GROUP, tick_s=tick_s, dlq_max_share=dlq_max_share, clock=clock)
        super().__init__(kafka, pool, publisher, membership)
        self._recent = RecentIds()
        self._reader = SightingReader()
        self._book = RuleBook()
        self._cap = SeriesCap()
        self._refill = Refill(self._consumer)
        self._own_counting = OwnCounting()
        self._samples = OwnSamples()
        self._own_ticked: dict[int, int] = {}  # series of own rules were judged up to these, by partition
        self._ticked_minutes: dict[int, int] = {}  # silence was judged by the clock up to these, by partition

    def step(self, timeout_s: float) -> int:
        """Count one batch, waiting up to `timeout_s` for it, and tick when due; return its records.

        Raises:
            Fenced: when another consumer counted meanwhile; nothing of this batch was kept.
            DependencyUnavailable: when the batch may or may not have been kept.
            TooManyDeadLetters: when most of a partition's newest records are broken; nothing was kept.
        """
        records = self._refill.admit(self._consumer.poll(MAX_BATCH, timeout_s), self._next_offsets)
        batch = CountedBatch(self._next_offsets, self._recent, self._reader, self._own_rules)
        batch.add_all(records)
        if batch.next_offsets:
            self._count(batch)
        else:
            batch.remember_ids()  # there was nothing but the tail, read again
        if reached := self.reached_barriers():
            self._tick(reached)
            self.complete(reached)
            self._tick_own_rules()
        return len(records)

    def _count(self, batch: CountedBatch) -> None:
        with self.settling(
            batch.next_offsets, dead_letters=batch.dead_letters, entries=batch.entries()
        ) as connection:
            new_deploys = deploys.insert_all(connection, batch.deploys)
            job_ids = self._count_and_judge(connection, batch)
            if new_deploys:
                job_ids = [*job_ids, *summarize_after(connection, batch.deploys, new_id=uuid4)]
        batch.remember_ids()
        self._cap.remember()
        self._samples.remember(batch.own)
        self._notify(job_ids)
        if batch.dead_letters or batch.duplicates:
            log.warning("records set aside", dead=len(batch.dead_letters), duplicates=batch.duplicates)

    def _count_and_judge(self, connection: Connection, batch: CountedBatch) -> list[UUID]:
        if batch.tally.buckets:
            self._cap.fold(connection, batch.tally)
            buckets.increment(connection, batch.tally.counts())
        self._own_counting.count(connection, batch.own)
        if not batch.tally.buckets:
            return []
        return judge_batch(connection, batch.tally, self._book, now=minute_of(self._clock()), new_id=uuid4)

    def _tick(self, reached: Mapping[int, Barrier]) -> None:
        """Judge silence by the clock wherever everything accepted in time has been counted."""
        for number, barrier in reached.items():
            minute = minute_of(barrier.noted_at) - 1  # the newest minute that was over
            if minute <= self._ticked_minutes.get(number, NEVER_TICKED):
                continue
            with transaction(self._pool) as connection:
                self._fence(connection, number)
                job_ids = judge_by_clock(connection, number, minute, self._book, new_id=uuid4)
            self._ticked_minutes[number] = minute
            self._notify(job_ids)

    def _tick_own_rules(self) -> None:
        """Judge the series of own rules up to the newest minute that every partition has counted."""
        with reading(self._pool) as connection:
            until = offsets.complete_until(connection, group=self._group, topic=self._topic)
        if until is None:
            return
        minute = minute_of(until) - 1
        for number in self.owned():
            if minute <= self._own_ticked.get(number, NEVER_TICKED):
                continue
            with transaction(self._pool) as connection:
                self._fence(connection, number)
                job_ids = judge_own(connection, number, minute, self._book, self._samples, new_id=uuid4)
            self._own_ticked[number] = minute
            self._notify(job_ids)

    def _own_rules(self, project_ids: Collection[str]) -> Mapping[str, RuleIndex]:
        """Return the own rules of those projects that have some, as they are now."""
        if not project_ids:
            return {}
        with reading(self._pool) as connection:
            found = self._book.of(connection, project_ids)
        return {one: rules.own for one, rules in found.items() if rules.own.by_metric}

    def _notify(self, job_ids: Sequence[UUID]) -> None:
        """Wake the ai-workers; a lost notice costs a second, since they poll as well."""
        notices = [
            OutgoingRecord(key=job_id.bytes, value=orjson.dumps({"job_id": job_id})) for job_id in job_ids
        ]
        if notices:
            self._publisher.publish(JOBS_TOPIC, notices, _log_lost_notices)

    def _gained(self, stored: Mapping[int, StoredOffset]) -> Mapping[int, int]:
        starts = refill_starts(self._consumer, stored)
        self._refill.begin(starts, {number: offset.next_offset for number, offset in stored.items()})
        return starts

    def _lost(self, partitions: Collection[int]) -> None:
        for number in partitions:
            self._recent.forget(number)
            self._ticked_minutes.pop(number, None)
            self._own_ticked.pop(number, None)
        self._refill.forget(partitions)


def _log_lost_notices(errors: Sequence[str | None]) -> None:
    lost = [error for error in errors if error]
    if lost:
        log.warning("job notices lost", count=len(lost), error=lost[0])
