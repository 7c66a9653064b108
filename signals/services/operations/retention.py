"""Keeps the tables from growing without end, a bounded number of rows at a time."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.settings import RetentionSettings
from signals.store.detection import new_series
from signals.store.operations import retention
from signals.store.operations.retention import DeletedRows

PAGE_ROWS: Final = 2_000  # guess: read and deleted within some 20 ms
PAGES: Final = 10  # a round; a round a minute removes up to 28 million rows a day
HOURS_DAYS: Final = 35  # a season looks back four weeks, and a day of daylight saving
KEY_USAGE_DAYS: Final = 7  # only today's is read
NEW_SERIES_AGE: Final = timedelta(days=35)  # as long as series are known
NOTICE_ATTEMPTS_DAYS: Final = 30  # guess: who asks why a message did not come, asks within a month

log = structlog.get_logger(__name__)


class _Remove(Protocol):
    def __call__(self, connection: Connection, *, after: int, days: int, rows: int) -> DeletedRows: ...


@dataclass(slots=True)
class _Walk:
    """Walks through one table repeatedly; its position is lost with the process, at no cost."""

    kind: str
    remove: _Remove
    days: int
    after: int = 0


class Retention:
    """Removes minute buckets and incident events that are older than the policy says.

    Several may do it at once: each row is removed by one of them.
    """

    def __init__(
        self, pool: ConnectionPool[Connection], settings: RetentionSettings, *, page_rows: int = PAGE_ROWS
    ) -> None:
        self._pool = pool
        self._page_rows = page_rows
        self._walks = [
            _Walk("minute buckets", retention.remove_buckets, settings.keep_buckets_days),
            _Walk("incident events", retention.remove_incident_events, settings.keep_incident_events_days),
            _Walk("hours of series", retention.remove_hours, HOURS_DAYS),
        ]

    def round(self) -> int:
        """Read some pages of each table, each in a transaction of its own; return how many rows were removed.

        Raises:
            DependencyUnavailable: when PostgreSQL is away.
        """
        removed = sum(self._go_on(walk) for walk in self._walks if walk.days)
        with transaction(self._pool) as connection:
            removed += retention.remove_notice_attempts(
                connection, days=NOTICE_ATTEMPTS_DAYS, rows=self._page_rows
            )
            removed += new_series.trim(connection, age=NEW_SERIES_AGE)
            return removed + retention.remove_key_usage(connection, days=KEY_USAGE_DAYS)

    def _go_on(self, walk: _Walk) -> int:
        removed = 0
        for _ in range(PAGES):
            with transaction(self._pool) as connection:
                page = walk.remove(connection, after=walk.after, days=walk.days, rows=self._page_rows)
            removed += page.removed
            walk.after = page.last or 0
            if page.read < self._page_rows:  # the end; the next round begins anew
                walk.after = 0
                break
        if removed:
            log.info("removed by age", kind=walk.kind, rows=removed, older_than_days=walk.days)
        return removed
