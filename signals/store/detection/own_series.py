"""Series of the rules that people wrote: found, added within a bound, woken by events, judged when due."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

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


# Locked in one order, and before a tick may let a series sleep: no event is missed in between.
WAKE_LOCK: LiteralString = """
SELECT t.series_id, t.is_due, t.state IS NULL, floor(extract(epoch FROM t.judged_at) / 60)::bigint
FROM pipeline.rule_state t WHERE t.series_id = ANY(%(ids)s) ORDER BY t.series_id FOR UPDATE
"""
WAKE: LiteralString = """
UPDATE pipeline.rule_state t
SET is_due = true, judged_at = CASE WHEN t.state IS NULL
    THEN least(t.judged_at, to_timestamp((r.minute - 1) * 60)) ELSE t.judged_at END
FROM unnest(%(ids)s::bigint[], %(minutes)s::bigint[]) AS r(series_id, minute)
WHERE t.series_id = r.series_id AND t.series_id = ANY(%(ids)s)
"""


def wake(connection: Connection, minutes: Mapping[int, int]) -> Collection[int]:
    """Let the next tick judge these series, by id with their first minute of events; return those found.

    A series that was never judged begins with its oldest event, whichever partition that came from.
    """
    found = connection.execute(WAKE_LOCK, {"ids": sorted(minutes)}).fetchall()
    asleep = [
        series_id
        for series_id, is_due, is_unjudged, judged in found
        if not is_due or (is_unjudged and minutes[series_id] <= judged)
    ]
    if asleep:
        connection.execute(WAKE, {"ids": asleep, "minutes": [minutes[one] for one in asleep]})
    return {row[0] for row in found}


@dataclass(frozen=True, slots=True, kw_only=True)
class DueSeries:
    """A series to be judged, with its state's bytes; minutes are since the epoch.

    `buckets` are those that it shares, None when it has minutes of its own. `has_open`: it has an unresolved
    incident. `needs_history`: older buckets exist that its state does not know.
    """

    series_id: int
    series: Series
    buckets: Series | None
    first_bucket: int
    partition: int
    needs_history: bool
    judged: int
    state: bytes | None
    has_open: bool


DUE: LiteralString = """
SELECT s.id, s.project_id, s.environment, s.metric_name, s.fingerprint, s.org_id, s.bucket_metric,
       s.bucket_fingerprint, floor(extract(epoch FROM s.first_bucket_at) / 60)::bigint, t.partition,
       t.needs_history, floor(extract(epoch FROM t.judged_at) / 60)::bigint, t.state,
       EXISTS (SELECT FROM incidents i
               WHERE i.project_id = s.project_id AND i.environment = s.environment
                 AND i.fingerprint = s.fingerprint AND i.status <> 'resolved'
               OFFSET 0)
FROM (
    SELECT u.series_id, u.partition, u.needs_history, u.judged_at, u.state
    FROM pipeline.rule_state u
    WHERE u.partition = %(partition)s AND u.is_due AND u.judged_at < to_timestamp(%(minute)s * 60)
    ORDER BY u.series_id
    FOR UPDATE
) AS t
CROSS JOIN LATERAL (
    SELECT o.* FROM pipeline.rule_series o WHERE o.id = t.series_id OFFSET 0
) AS s
"""


def due(connection: Connection, *, partition: int, minute: int) -> Sequence[DueSeries]:
    """Return and lock the series of a partition that are due and not judged at `minute` yet."""
    rows = connection.execute(DUE, {"partition": partition, "minute": minute})
    return [_due(*row) for row in rows]


def _due(
    series_id: int,
    project_id: str,
    environment: str,
    metric_name: str,
    fingerprint: str,
    org_id: str,
    bucket_metric: str | None,
    bucket_fingerprint: str | None,
    *state: object,
) -> DueSeries:
    first, partition, needs_history, judged, data, has_open = state
    shared = None
    if bucket_metric is not None and bucket_fingerprint is not None:
        shared = Series(project_id, environment, bucket_metric, bucket_fingerprint, org_id)
    return DueSeries(
        series_id=series_id,
        series=Series(project_id, environment, metric_name, fingerprint, org_id),
        buckets=shared,
        first_bucket=first,  # type: ignore[arg-type]  # columns of one statement
        partition=partition,  # type: ignore[arg-type]
        needs_history=bool(needs_history),
        judged=judged,  # type: ignore[arg-type]
        state=data,  # type: ignore[arg-type]
        has_open=bool(has_open),
    )


SAVE: LiteralString = """
UPDATE pipeline.rule_state t
SET is_due = r.is_due, judged_at = to_timestamp(r.judged * 60), state = r.state, updated_at = now()
FROM unnest(%(ids)s::bigint[], %(due)s::boolean[], %(judged)s::bigint[], %(states)s::bytea[])
     AS r(series_id, is_due, judged, state)
WHERE t.series_id = r.series_id AND t.series_id = ANY(%(ids)s)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnState:
    """A state to store, None to begin anew; `is_due`: the next tick judges the series as well."""

    series_id: int
    is_due: bool
    judged: int
    state: bytes | None


def save(connection: Connection, states: Iterable[OwnState]) -> None:
    """Store states that the caller has locked."""
    writes = list(states)
    parameters = {
        "ids": [one.series_id for one in writes],
        "due": [one.is_due for one in writes],
        "judged": [one.judged for one in writes],
        "states": [one.state for one in writes],
    }
    connection.execute(SAVE, parameters, binary=True)


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


def _key(series: Series) -> dict[str, str]:
    return {
        "project_id": series.project_id,
        "environment": series.environment,
        "metric_name": series.metric_name,
        "fingerprint": series.fingerprint,
    }
