"""Minute buckets: set-based increments, and bounded range reads of the unique index."""

from collections.abc import Mapping, Sequence
from typing import LiteralString

import orjson

from shared_types.fingerprints import RULE_PREFIX
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


# Series of rules that people wrote have minutes of their own, or share buckets (migration 0021).
READ_OF_RULES: LiteralString = """
SELECT r.ordinal, found.minutes, found.values
FROM json_to_recordset(%(ranges)s::json) AS r(ordinal int, project_id text, environment text,
     metric_name text, fingerprint text, first_minute bigint, end_minute bigint)
CROSS JOIN LATERAL (
    SELECT o.id, o.bucket_metric, o.bucket_fingerprint FROM pipeline.rule_series o
    WHERE o.project_id = r.project_id AND o.environment = r.environment
      AND o.metric_name = r.metric_name AND o.fingerprint = r.fingerprint
    OFFSET 0
) AS s
CROSS JOIN LATERAL (
    SELECT array_agg((extract(epoch FROM counted.at)::bigint / 60)::int) AS minutes,
           array_agg(counted.value) AS values
    FROM (
        SELECT m.minute_at AS at, m.value FROM pipeline.rule_minutes m
        WHERE m.series_id = s.id AND m.minute_at >= to_timestamp(r.first_minute * 60)
          AND m.minute_at < to_timestamp(r.end_minute * 60) AND m.value > 0
        UNION ALL
        SELECT b.bucket_start, b.value FROM metrics_buckets b
        WHERE b.project_id = r.project_id AND b.environment = r.environment
          AND b.metric_name = s.bucket_metric AND b.fingerprint = s.bucket_fingerprint
          AND b.bucket_start >= to_timestamp(r.first_minute * 60)
          AND b.bucket_start < to_timestamp(r.end_minute * 60) AND b.bucket_seconds = 60
    ) AS counted
) AS found
WHERE found.minutes IS NOT NULL
"""


def read(connection: Connection, ranges: Sequence[BucketRange]) -> list[dict[int, int]]:
    """Return, for each range, its non-empty minutes since the epoch → events.

    A range of a rule that people wrote is read from that rule's minutes.
    """
    values: list[dict[int, int]] = [{} for _ in ranges]
    of_rules = any(one.series.metric_name.startswith(RULE_PREFIX) for one in ranges)
    for statement in (READ, READ_OF_RULES) if of_rules else (READ,):
        for ordinal, minutes, events in connection.execute(statement, {"ranges": range_rows(ranges)}):
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
