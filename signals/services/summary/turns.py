"""Compares when the search index is ready; until then a job waits in the queue, where it holds no thread."""

import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.kafka import ENGINE_GROUP, INDEXER_GROUP, RAW_TOPIC
from signals.clients.postgres import Connection, transaction
from signals.domain.summary.brief import Brief
from signals.domain.summary.patience import IndexProgress
from signals.services.summary.comparing import (
    ComparedIncident,
    ComparisonSource,
    compare_incident,
    compared_place,
)
from signals.store.summary import ai_jobs, ai_outputs, index_waits
from signals.store.summary.ai_jobs import JobLease
from signals.store.summary.index_waits import Readers

NO_WAIT: Final = IndexProgress(missing=0, age=timedelta(0), has_part=False)
READERS: Final = Readers(topic=RAW_TOPIC, ahead=ENGINE_GROUP, behind=INDEXER_GROUP)
LOOK_S: Final = 0.2  # how late a job that waits is found ready; one small query for all of them

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonTurn:
    """The comparison of one run of a job: none yet, that of a part, or of all (`is_last`)."""

    compared: ComparedIncident | None
    progress: IndexProgress
    is_last: bool

    @property
    def part(self) -> ComparedIncident | None:
        """The comparison of a part that may be told meanwhile; it stands until the next version."""
        found = self.compared
        if self.is_last or found is None or found.findings is None:
            return None
        return found if self.progress.is_sound(found.events) else None


class ComparisonTurns:
    """Decides for each run of a job whether to compare; safe to call from several threads."""

    def __init__(self, pool: ConnectionPool[Connection], source: ComparisonSource | None) -> None:
        self._pool = pool
        self._source = source
        self._waiting = threading.Event()

    def take(self, held: JobLease, brief: Brief, part_id: UUID) -> ComparisonTurn:
        """Compare now, or not yet; `part_id` is the output that tells of a part.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        if self._source is None or compared_place(brief.incident.parts) is None:
            nothing = ComparedIncident(findings=None)
            return ComparisonTurn(compared=nothing, progress=NO_WAIT, is_last=True)
        progress = self._progress(held, part_id)
        if not progress.is_worth_a_search:
            return ComparisonTurn(compared=None, progress=progress, is_last=False)
        began = time.monotonic()
        is_refreshed = self._source.refresh()
        log.info(
            "index awaited",
            job_id=str(held.job_id),
            waited_s=round(progress.age.total_seconds(), 3),
            missing=progress.missing,
            refresh_s=round(time.monotonic() - began, 3),
        )
        compared = compare_incident(self._pool, brief, self._source)
        is_last = progress.is_last(searchable=compared.searchable, is_refreshed=is_refreshed)
        return ComparisonTurn(compared=compared, progress=progress, is_last=is_last)

    def postpone(self, held: JobLease, progress: IndexProgress) -> bool:
        """Queue the job again, at no attempt's cost; False when its lease is not ours any more."""
        with transaction(self._pool) as connection:
            is_ours = ai_jobs.postpone(connection, held, delay=progress.pause)
        self._waiting.set()
        return is_ours

    def hasten(self) -> bool:
        """Make the jobs due that the index is ready for; return whether others wait still."""
        if not self._waiting.is_set():
            return False
        self._waiting.clear()  # before the query: a job that is postponed meanwhile sets it again
        with transaction(self._pool) as connection:
            if index_waits.hasten(connection, READERS):
                self._waiting.set()
        return self._waiting.is_set()

    def _progress(self, held: JobLease, part_id: UUID) -> IndexProgress:
        with transaction(self._pool) as connection:
            index_waits.begin(connection, held.job_id, READERS)
            found = index_waits.find(connection, held.job_id, READERS)
            progress = IndexProgress(
                missing=found.missing, age=found.age, has_part=ai_outputs.exists(connection, part_id)
            )
            if progress.is_reached or progress.is_over:
                index_waits.end(connection, held.job_id)
        return progress
