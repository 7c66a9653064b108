"""Says how far each stage has read each partition of the events' topic, and whether that is well."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

from psycopg_pool import ConnectionPool

from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.log_ends import LogSpan, log_spans
from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, reading
from signals.domain.ledger import ReadingStage
from signals.domain.operations.reading_progress import LATE_AFTER, ReadingProgress, reading_progress
from signals.errors import DependencyUnavailable
from signals.settings import KafkaSettings
from signals.store.operations import offsets

KEPT_S: Final = 2.0  # open pages ask every few seconds; one question to the broker serves all of them
WORST_FIRST: Final[tuple[ReadingProgress, ...]] = ("standing", "late", "well")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionLag:
    """How far a stage has read one partition: `next_offset` of `end`, and when it last moved.

    Kafka keeps the records from `begin` on.
    """

    stage: ReadingStage
    partition: int
    next_offset: int
    begin: int
    end: int
    moved_at: datetime | None
    progress: ReadingProgress

    @property
    def waiting(self) -> int:
        """The records that the stage has not handled yet."""
        return max(0, self.end - max(self.next_offset, self.begin))


@dataclass(frozen=True, slots=True, kw_only=True)
class StageReading:
    """How far a stage has read all partitions: the worst progress, and which partitions have it.

    `waiting` counts records of all partitions; `partitions` is empty when all are well.
    """

    stage: ReadingStage
    progress: ReadingProgress
    waiting: int
    partitions: list[int]


def stage_readings(lags: Sequence[PartitionLag]) -> list[StageReading]:
    """Sum up the partitions of each stage, which stand together."""
    return [_stage_reading(stage, list(of_stage)) for stage, of_stage in groupby(lags, lambda one: one.stage)]


def _stage_reading(stage: ReadingStage, lags: Sequence[PartitionLag]) -> StageReading:
    worst = min((one.progress for one in lags), key=WORST_FIRST.index)
    return StageReading(
        stage=stage,
        progress=worst,
        waiting=sum(one.waiting for one in lags),
        partitions=[one.partition for one in lags if one.progress == worst != "well"],
    )


class PartitionLags:
    """Reads spans from Kafka and offsets from PostgreSQL; safe to call from several threads.

    `groups` are the consumer groups by stage.
    """

    def __init__(
        self,
        pool: ConnectionPool[Connection],
        settings: Callable[[], KafkaSettings],
        groups: Mapping[ReadingStage, str],
    ) -> None:
        self._pool = pool
        self._groups = dict(groups)
        self._settings = settings
        self._lock = threading.Lock()
        self._spans: Mapping[int, LogSpan] = {}
        self._failure: DependencyUnavailable | None = None
        self._asked_at = float("-inf")

    def read(self) -> Sequence[PartitionLag]:
        """Return each stage's lag by partition.

        Raises:
            DependencyUnavailable: when Kafka or PostgreSQL does not answer.
            SettingsError: when no broker is named.
        """
        spans = self._known_spans()
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            stored = offsets.of_topic(connection, topic=RAW_TOPIC)
        return [
            _lag(stage, partition, span, stored.get((group, partition)))
            for stage, group in self._groups.items()
            for partition, span in sorted(spans.items())
        ]

    def _known_spans(self) -> Mapping[int, LogSpan]:
        with self._lock:
            if time.monotonic() - self._asked_at > KEPT_S:
                self._failure = None
                try:
                    old_before = datetime.now(UTC) - LATE_AFTER
                    self._spans = log_spans(self._settings(), RAW_TOPIC, old_before=old_before)
                except DependencyUnavailable as error:  # kept, too: readers must not queue for a dead broker
                    self._failure = error
                self._asked_at = time.monotonic()
            if self._failure is not None:
                raise self._failure
            return self._spans


def _lag(
    stage: ReadingStage, partition: int, span: LogSpan, held: offsets.StoredOffset | None
) -> PartitionLag:
    next_offset = held.next_offset if held else 0
    return PartitionLag(
        stage=stage,
        partition=partition,
        next_offset=next_offset,
        begin=span.begin,
        end=span.end,
        moved_at=held.updated_at if held and next_offset else None,
        progress=reading_progress(
            # What Kafka keeps no longer is not waited for.
            next_offset=max(next_offset, span.begin),
            old_until=span.old_until,
            touched_at=held.updated_at if held else None,
            now=datetime.now(UTC),
        ),
    )
