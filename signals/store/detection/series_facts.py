"""Facts of one series around an instant: its first minute, and its incidents."""

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from signals.clients.postgres import Connection
from signals.domain.detection.buckets import Series

# Probes of the index of buckets: the first entry of a series, and any old one of the project.
FACTS: LiteralString = """
SELECT (SELECT b.bucket_start FROM metrics_buckets b
        WHERE b.project_id = %(project_id)s AND b.environment = %(environment)s
          AND b.metric_name = %(metric_name)s AND b.fingerprint = %(fingerprint)s
        ORDER BY b.bucket_start LIMIT 1),
       EXISTS (SELECT FROM metrics_buckets o
               WHERE o.project_id = %(project_id)s
                 AND o.bucket_start <= %(at)s - %(learning)s * interval '1 minute'
               OFFSET 0)
"""


def first_seen(
    connection: Connection, series: Series, at: datetime, *, learning_minutes: int
) -> tuple[datetime | None, bool]:
    """Return the series' first minute, and whether its project was older than `learning_minutes` at `at`."""
    parameters = {
        "project_id": series.project_id,
        "environment": series.environment,
        "metric_name": series.metric_name,
        "fingerprint": series.fingerprint,
        "at": at,
        "learning": learning_minutes,
    }
    row = connection.execute(FACTS, parameters).fetchone()
    return (row[0], row[1]) if row else (None, False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlappingIncident:
    """An incident of the series that was open in the range."""

    id: UUID
    status: str
    opened_at: datetime
    resolved_at: datetime | None


OVERLAPPING: LiteralString = """
SELECT id, status, opened_at, resolved_at FROM incidents
WHERE project_id = %(project_id)s AND environment = %(environment)s AND fingerprint = %(fingerprint)s
  AND opened_at < %(until)s AND (resolved_at IS NULL OR resolved_at >= %(since)s)
ORDER BY opened_at DESC LIMIT 10
"""


def overlapping_incidents(
    connection: Connection, series: Series, since: datetime, until: datetime
) -> list[OverlappingIncident]:
    """Return the incidents of a series that were open in the range, newest first, at most ten."""
    parameters = {
        "project_id": series.project_id,
        "environment": series.environment,
        "fingerprint": series.fingerprint,
        "since": since,
        "until": until,
    }
    with connection.cursor(row_factory=class_row(OverlappingIncident)) as cursor:
        return cursor.execute(OVERLAPPING, parameters).fetchall()
