"""Counts of every series of an environment in a few minutes: what a deploy changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString

from signals.clients.postgres import Connection
from signals.domain.deploys.deploy import Deploy

MAX_SERIES: Final = 2_000  # guess: bounds the statement to some ten milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesCounts:
    """Events a minute (since the epoch) of one fingerprint, and the first minute that is known of it."""

    fingerprint: str
    first_at: datetime
    counts: Mapping[int, int]


# The unique index has the fingerprint before the time: each series is one step and one range of it.
READ: LiteralString = """
WITH RECURSIVE series(fingerprint, number) AS (
    (SELECT fingerprint, 1 FROM metrics_buckets
     WHERE project_id = %(project_id)s AND environment = %(environment)s AND metric_name = %(metric_name)s
     ORDER BY fingerprint LIMIT 1)
    UNION ALL
    SELECT (SELECT b.fingerprint FROM metrics_buckets b
            WHERE b.project_id = %(project_id)s AND b.environment = %(environment)s
              AND b.metric_name = %(metric_name)s AND b.fingerprint > s.fingerprint
            ORDER BY b.fingerprint LIMIT 1), s.number + 1
    FROM series s
    WHERE s.fingerprint IS NOT NULL AND s.number < %(most)s
)
SELECT s.fingerprint, known.first_at, bucket.minutes, bucket.values
FROM series s
CROSS JOIN LATERAL (
    SELECT array_agg((extract(epoch FROM b.bucket_start)::bigint / 60)::int) AS minutes,
           array_agg(b.value) AS values
    FROM metrics_buckets b
    WHERE b.project_id = %(project_id)s AND b.environment = %(environment)s
      AND b.metric_name = %(metric_name)s AND b.fingerprint = s.fingerprint
      AND b.bucket_start >= %(start)s AND b.bucket_start < %(end)s AND b.bucket_seconds = 60
) AS bucket
CROSS JOIN LATERAL (
    SELECT b.bucket_start AS first_at
    FROM metrics_buckets b
    WHERE b.project_id = %(project_id)s AND b.environment = %(environment)s
      AND b.metric_name = %(metric_name)s AND b.fingerprint = s.fingerprint
    ORDER BY b.bucket_start LIMIT 1
) AS known
WHERE bucket.minutes IS NOT NULL
"""


def read(
    connection: Connection, deploy: Deploy, metric_name: str, start: datetime, end: datetime
) -> list[SeriesCounts]:
    """Return the series of the deploy's environment that counted in `start <= t < end`."""
    values = {
        "project_id": deploy.project_id,
        "environment": deploy.environment,
        "metric_name": metric_name,
        "most": MAX_SERIES,
        "start": start,
        "end": end,
    }
    return [
        SeriesCounts(
            fingerprint=fingerprint, first_at=first_at, counts=dict(zip(minutes, events, strict=True))
        )
        for fingerprint, first_at, minutes, events in connection.execute(READ, values)
    ]
