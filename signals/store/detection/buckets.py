"""Minute buckets: set-based increments, and bounded range reads of the unique index."""

from collections.abc import Mapping, Sequence
from typing import LiteralString

import orjson

from signals.clients.postgres import Connection
from signals.domain.detection.buckets import BucketRange, Series

# Rows arrive sorted by the whole conflict key: concurrent writers then lock in one order.
INCREMENT: LiteralString = """
INSERT INTO metrics_buckets (org_id, project_id, environment, metric_name, fingerprint,
                             bucket_start, bucket_seconds, value, updated_at)
SELECT r.org_id, r.project_id, r.environment, r.metric_name, r.fingerprint,
       to_timestamp(r.minute * 60), 60, r.events, now()
FROM json_to_recordset(%(rows)s::json) AS r(org_id text, project_id text, environment text,
     metric_name text, fingerprint text, minute bigint, events int)
ON CONFLICT (project_id, environment, metric_name, fingerprint, bucket_start, bucket_seconds)
DO UPDATE SET value = metrics_buckets.value + excluded.value, updated_at = excluded.updated_at
"""


def increment(connection: Connection, events: Mapping[tuple[Series, int], int]) -> None:
    """Add the events of each (series, minute since the epoch) to its bucket, in one statement."""
    rows = [
        {**_columns(series), "minute": minute, "events": events[series, minute]}
        for series, minute in sorted(events)
    ]
    connection.execute(INCREMENT, {"rows": orjson.dumps(rows).decode()})


# The lateral aggregate stays whole: one index range scan a requested range, with any statistics. Arrays,
# because sixty rows a range cost more to receive than to find.
READ: LiteralString = """
SELECT r.ordinal, bucket.minutes, bucket.values
FROM json_to_recordset(%(ranges)s::json) AS r(ordinal int, project_id text, environment text,
     metric_name text, fingerprint text, first_minute bigint, end_minute bigint)
CROSS JOIN LATERAL (
    SELECT array_agg((extract(epoch FROM b.bucket_start)::bigint / 60)::int) AS minutes,
           array_agg(b.value) AS values
    FROM metrics_buckets b
    WHERE b.project_id = r.project_id AND b.environment = r.environment
      AND b.metric_name = r.metric_name AND b.fingerprint = r.fingerprint
      AND b.bucket_start >= to_timestamp(r.first_minute * 60)
      AND b.bucket_start < to_timestamp(r.end_minute * 60)
      AND b.bucket_seconds = 60
) AS bucket
WHERE bucket.minutes IS NOT NULL
"""


def read(connection: Connection, ranges: Sequence[BucketRange]) -> list[dict[int, int]]:
    """Return, for each range, its non-empty buckets as minute since the epoch → events."""
    values: list[dict[int, int]] = [{} for _ in ranges]
    for ordinal, minutes, events in connection.execute(READ, {"ranges": range_rows(ranges)}):
        values[ordinal] = dict(zip(minutes, events, strict=True))
    return values


def range_rows(ranges: Sequence[BucketRange]) -> str:
    """Serialize ranges as the statement's parameter."""
    rows = [
        {**_columns(r.series), "ordinal": ordinal, "first_minute": r.start, "end_minute": r.end}
        for ordinal, r in enumerate(ranges)
    ]
    return orjson.dumps(rows).decode()


def _columns(series: Series) -> dict[str, str]:
    return {
        "org_id": series.org_id,
        "project_id": series.project_id,
        "environment": series.environment,
        "metric_name": series.metric_name,
        "fingerprint": series.fingerprint,
    }
