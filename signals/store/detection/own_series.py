"""Series of the rules that people wrote: found, counted, and added within a bound."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, LiteralString

import orjson

from signals.clients.postgres import Connection
from signals.domain.detection.buckets import Series

# Lateral: one probe by key a series, with any statistics.
FIND: LiteralString = """
SELECT r.ordinal, s.id
FROM json_to_recordset(%(rows)s::json) AS r(ordinal int, project_id text, environment text,
     metric_name text, fingerprint text)
CROSS JOIN LATERAL (
    SELECT o.id FROM pipeline.rule_series o
    WHERE o.project_id = r.project_id AND o.environment = r.environment
      AND o.metric_name = r.metric_name AND o.fingerprint = r.fingerprint
    OFFSET 0
) AS s
"""


def find(connection: Connection, series: Collection[Series]) -> Mapping[Series, int]:
    """Return the ids of those series that are there."""
    ordered = list(series)
    rows = [{**_key(one), "ordinal": ordinal} for ordinal, one in enumerate(ordered)]
    found = connection.execute(FIND, {"rows": orjson.dumps(rows).decode()})
    return {ordered[ordinal]: series_id for ordinal, series_id in found}


# A writer that adds series of a rule waits for the one before: the bound holds over all processes.
LOCK: LiteralString = """
SELECT pg_advisory_xact_lock(hashtextextended(%(project_id)s || '|' || %(metric_name)s, 19))
"""
COUNT: LiteralString = """
SELECT count(*) FROM (
    SELECT FROM pipeline.rule_series s
    WHERE s.project_id = %(project_id)s AND s.metric_name = %(metric_name)s
      AND s.metric_name LIKE 'rule:%%' AND s.fingerprint <> %(other)s
    LIMIT %(most)s
) AS counted
"""


def count_locked(connection: Connection, other: Series, *, most: int) -> int:
    """Lock the series of a rule against additions; return how many it has, `other` apart, `most` at most."""
    parameters = {
        "project_id": other.project_id,
        "metric_name": other.metric_name,
        "other": other.fingerprint,
        "most": most,
    }
    connection.execute(LOCK, {"project_id": other.project_id, "metric_name": other.metric_name})
    row = connection.execute(COUNT, parameters).fetchone()
    assert row is not None
    return int(row[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOwnSeries:
    """A series to add: its first minute with events, and the series whose buckets it shares, if it does.

    `learns`: older buckets teach it something.
    """

    series: Series
    partition: int
    minute: int
    buckets: Series | None
    learns: bool


ADD: LiteralString = """
WITH given AS (
    SELECT r.*, to_timestamp(r.minute * 60) AS touched_at, coalesce(first.bucket_start,
           to_timestamp(r.minute * 60)) AS first_at
    FROM json_to_recordset(%(rows)s::json) AS r(ordinal int, org_id text, project_id text,
         environment text, metric_name text, fingerprint text, partition int, minute bigint,
         bucket_metric text, bucket_fingerprint text, learns boolean)
    LEFT JOIN LATERAL (
        SELECT b.bucket_start FROM metrics_buckets b
        WHERE b.project_id = r.project_id AND b.environment = r.environment
          AND b.metric_name = r.bucket_metric AND b.fingerprint = r.bucket_fingerprint
        ORDER BY b.bucket_start LIMIT 1
    ) AS first ON true
), added AS (
    INSERT INTO pipeline.rule_series (org_id, project_id, environment, metric_name, fingerprint,
                                      first_bucket_at, bucket_metric, bucket_fingerprint)
    SELECT org_id, project_id, environment, metric_name, fingerprint, first_at, bucket_metric,
           bucket_fingerprint
    FROM given ORDER BY ordinal
    ON CONFLICT (project_id, environment, metric_name, fingerprint)
    DO UPDATE SET metric_name = excluded.metric_name
    RETURNING id, project_id, environment, metric_name, fingerprint
), states AS (
    INSERT INTO pipeline.rule_state (series_id, partition, by_clock, is_due, needs_history, judged_at)
    SELECT a.id, g.partition, false, true, g.learns AND g.first_at < g.touched_at,
           g.touched_at - interval '1 minute'
    FROM given g JOIN added a USING (project_id, environment, metric_name, fingerprint)
    ON CONFLICT (series_id) DO NOTHING
)
SELECT g.ordinal, a.id FROM given g JOIN added a USING (project_id, environment, metric_name, fingerprint)
"""


def add(connection: Connection, new: Sequence[NewOwnSeries]) -> Mapping[Series, int]:
    """Add series that wait for the clock; return the ids of all, of those as well that another added."""
    ordered = sorted(new, key=lambda one: one.series)
    rows = [
        {
            **_key(one.series),
            "ordinal": ordinal,
            "org_id": one.series.org_id,
            "partition": one.partition,
            "minute": one.minute,
            "bucket_metric": one.buckets.metric_name if one.buckets else None,
            "bucket_fingerprint": one.buckets.fingerprint if one.buckets else None,
            "learns": one.learns,
        }
        for ordinal, one in enumerate(ordered)
    ]
    found = connection.execute(ADD, {"rows": orjson.dumps(rows).decode()})
    return {ordered[ordinal].series: series_id for ordinal, series_id in found}


COUNTS: LiteralString = """
SELECT s.metric_name, count(*) FILTER (WHERE NOT s.fingerprint LIKE '%%|other'),
       bool_or(s.fingerprint LIKE '%%|other')
FROM pipeline.rule_series s
WHERE s.project_id = %(project_id)s AND s.metric_name = ANY(%(metric_names)s)
  AND s.metric_name LIKE 'rule:%%'
GROUP BY s.metric_name
"""


def counts(
    connection: Connection, project_id: str, metric_names: Collection[str]
) -> Mapping[str, tuple[int, bool]]:
    """Return how many series each counter has, `other` apart, and whether it has that one."""
    parameters = {"project_id": project_id, "metric_names": list(metric_names)}
    rows = connection.execute(COUNTS, parameters)
    return {metric_name: (series, has_other) for metric_name, series, has_other in rows}


MOST_ACTIVE: Final = 5_000  # series that are looked at: two probes by key each

# OFFSET 0 keeps the inner reads probes by key.
ACTIVE: LiteralString = """
SELECT s.fingerprint
FROM (
    SELECT o.* FROM pipeline.rule_series o
    WHERE o.project_id = %(project_id)s AND o.metric_name = ANY(%(metric_names)s)
      AND o.metric_name LIKE 'rule:%%'
    LIMIT %(most)s
) AS s
WHERE EXISTS (SELECT FROM pipeline.rule_minutes m
              WHERE m.series_id = s.id
                AND m.minute_at BETWEEN to_timestamp(%(since_minute)s * 60)
                                    AND to_timestamp(%(until_minute)s * 60)
              OFFSET 0)
   OR EXISTS (SELECT FROM metrics_buckets b
              WHERE b.project_id = s.project_id AND b.environment = s.environment
                AND b.metric_name = s.bucket_metric AND b.fingerprint = s.bucket_fingerprint
                AND b.bucket_start BETWEEN to_timestamp(%(since_minute)s * 60)
                                       AND to_timestamp(%(until_minute)s * 60)
              OFFSET 0)
"""


def active(
    connection: Connection,
    project_id: str,
    metric_names: Collection[str],
    *,
    since_minute: int,
    until_minute: int,
    most: int = MOST_ACTIVE,
) -> list[str]:
    """Return the fingerprints of the series of these rules that had an event in a range of minutes."""
    parameters = {
        "project_id": project_id,
        "metric_names": list(metric_names),
        "since_minute": since_minute,
        "until_minute": until_minute,
        "most": most,
    }
    return [fingerprint for (fingerprint,) in connection.execute(ACTIVE, parameters)]


def _key(series: Series) -> dict[str, str]:
    return {
        "project_id": series.project_id,
        "environment": series.environment,
        "metric_name": series.metric_name,
        "fingerprint": series.fingerprint,
    }
