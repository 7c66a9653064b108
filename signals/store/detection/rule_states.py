"""Watched series and their states: locked by key or by the clock, written in the batch's transaction."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

import orjson

from signals.clients.postgres import Connection
from signals.domain.detection.buckets import Series
from signals.domain.incidents.stored_state import StoredState, stored_state


@dataclass(frozen=True, slots=True, kw_only=True)
class StateWrite:
    """A state to store. `by_clock`: silence is judged as well."""

    series_id: int
    partition: int
    by_clock: bool
    judged: int
    state: bytes


# Lateral: one probe by key a series, with any statistics. Locked in the order of the keys.
LOAD: LiteralString = """
SELECT r.ordinal, s.id, floor(extract(epoch FROM s.first_bucket_at) / 60)::bigint, t.partition,
       t.needs_history, t.is_disordered, floor(extract(epoch FROM t.judged_at) / 60)::bigint, t.state,
       EXISTS (SELECT FROM incidents i
               WHERE i.project_id = s.project_id AND i.environment = s.environment
                 AND i.fingerprint = s.fingerprint AND i.status <> 'resolved'
               OFFSET 0)
FROM json_to_recordset(%(rows)s::json) AS r(ordinal int, project_id text, environment text,
     metric_name text, fingerprint text)
CROSS JOIN LATERAL (
    SELECT o.id, o.project_id, o.environment, o.fingerprint, o.first_bucket_at
    FROM pipeline.rule_series o
    WHERE o.project_id = r.project_id AND o.environment = r.environment
      AND o.metric_name = r.metric_name AND o.fingerprint = r.fingerprint
    OFFSET 0
) AS s
CROSS JOIN LATERAL (
    SELECT u.partition, u.needs_history, u.disordered_since IS NOT NULL AS is_disordered, u.judged_at,
           u.state
    FROM pipeline.rule_state u WHERE u.series_id = s.id
    FOR UPDATE
) AS t
"""


def load(connection: Connection, series: Collection[Series]) -> Mapping[Series, StoredState]:
    """Return and lock the states of those series that have one."""
    ordered = sorted(series)
    rows = [{**_key(one), "ordinal": ordinal} for ordinal, one in enumerate(ordered)]
    found = connection.execute(LOAD, {"rows": orjson.dumps(rows).decode()})
    return {
        ordered[ordinal]: StoredState(
            series_id=series_id,
            series=ordered[ordinal],
            first_bucket=first,
            partition=partition,
            needs_history=needs_history,
            is_disordered=is_disordered,
            judged=judged,
            state=state,
            has_open=has_open,
        )
        for (
            ordinal,
            series_id,
            first,
            partition,
            needs_history,
            is_disordered,
            judged,
            state,
            has_open,
        ) in found
    }


# The first bucket is one entry of the index.
INSERT: LiteralString = """
WITH given AS (
    SELECT r.ordinal, r.org_id, r.project_id, r.environment, r.metric_name, r.fingerprint, r.partition,
           r.by_clock, to_timestamp(r.minute * 60) AS touched_at, first.bucket_start
    FROM json_to_recordset(%(rows)s::json) AS r(ordinal int, org_id text, project_id text,
         environment text, metric_name text, fingerprint text, partition int, by_clock boolean,
         minute bigint)
    CROSS JOIN LATERAL (
        SELECT b.bucket_start FROM metrics_buckets b
        WHERE b.project_id = r.project_id AND b.environment = r.environment
          AND b.metric_name = r.metric_name AND b.fingerprint = r.fingerprint
        ORDER BY b.bucket_start LIMIT 1
    ) AS first
), added AS (
    INSERT INTO pipeline.rule_series (org_id, project_id, environment, metric_name, fingerprint,
                                      first_bucket_at)
    SELECT org_id, project_id, environment, metric_name, fingerprint, bucket_start
    FROM given ORDER BY ordinal
    ON CONFLICT (project_id, environment, metric_name, fingerprint)
    DO UPDATE SET first_bucket_at = excluded.first_bucket_at
    RETURNING id, project_id, environment, metric_name, fingerprint
)
INSERT INTO pipeline.rule_state (series_id, partition, by_clock, needs_history, judged_at)
SELECT a.id, g.partition, g.by_clock, g.bucket_start < g.touched_at, g.touched_at - interval '1 minute'
FROM given g JOIN added a USING (project_id, environment, metric_name, fingerprint)
ON CONFLICT (series_id) DO NOTHING
"""


def insert(
    connection: Connection,
    series: Mapping[Series, int],
    partitions: Mapping[Series, int],
    *,
    by_clock: bool = False,
) -> None:
    """Add series with an empty state, each with the first minute that is to be judged.

    One that has an older bucket needs its history.
    """
    rows = [
        {
            **_key(one),
            "ordinal": ordinal,
            "org_id": one.org_id,
            "partition": partitions[one],
            "by_clock": by_clock,
            "minute": series[one],
        }
        for ordinal, one in enumerate(sorted(series))
    ]
    connection.execute(INSERT, {"rows": orjson.dumps(rows).decode()})


BY_CLOCK: LiteralString = """
SELECT s.org_id, s.project_id, s.environment, s.metric_name, s.fingerprint, s.id,
       floor(extract(epoch FROM s.first_bucket_at) / 60)::bigint, t.partition, t.needs_history,
       t.is_disordered, floor(extract(epoch FROM t.judged_at) / 60)::bigint, t.state,
       EXISTS (SELECT FROM incidents i
               WHERE i.project_id = s.project_id AND i.environment = s.environment
                 AND i.fingerprint = s.fingerprint AND i.status <> 'resolved'
               OFFSET 0)
FROM (
    SELECT u.series_id, u.partition, u.needs_history, u.disordered_since IS NOT NULL AS is_disordered,
           u.judged_at, u.state
    FROM pipeline.rule_state u
    WHERE u.partition = %(partition)s AND u.by_clock AND u.judged_at < to_timestamp(%(minute)s * 60)
    ORDER BY u.series_id
    FOR UPDATE
) AS t
CROSS JOIN LATERAL (
    SELECT o.id, o.org_id, o.project_id, o.environment, o.metric_name, o.fingerprint, o.first_bucket_at
    FROM pipeline.rule_series o WHERE o.id = t.series_id OFFSET 0
) AS s
"""


def by_clock(connection: Connection, *, partition: int, minute: int) -> Sequence[StoredState]:
    """Return and lock the series of a partition that the clock judges, not judged at `minute` yet."""
    rows = connection.execute(BY_CLOCK, {"partition": partition, "minute": minute})
    return [stored_state(*row) for row in rows]


# Binary parameters: bytes in the text of an array would be written as digits, and their quotes looked for.
SAVE: LiteralString = """
UPDATE pipeline.rule_state t
SET partition = r.partition, by_clock = r.by_clock, judged_at = to_timestamp(r.judged * 60), state = r.state,
    updated_at = now()
FROM unnest(%(ids)b::bigint[], %(partitions)b::int[], %(by_clock)b::boolean[], %(judged)b::bigint[],
            %(states)b::bytea[]) AS r(series_id, partition, by_clock, judged, state)
WHERE t.series_id = r.series_id AND t.series_id = ANY(%(ids)b::bigint[])
"""


def save(connection: Connection, writes: Sequence[StateWrite]) -> None:
    """Store states that the caller has locked."""
    parameters = {
        "ids": [one.series_id for one in writes],
        "partitions": [one.partition for one in writes],
        "by_clock": [one.by_clock for one in writes],
        "judged": [one.judged for one in writes],
        "states": [one.state for one in writes],
    }
    connection.execute(SAVE, parameters)


PROJECT_SINCE: LiteralString = """
SELECT p.project_id, floor(extract(epoch FROM (
    SELECT s.first_bucket_at FROM pipeline.rule_series s
    WHERE s.project_id = p.project_id ORDER BY s.first_bucket_at LIMIT 1)) / 60)::bigint
FROM unnest(%(project_ids)s::text[]) AS p(project_id)
"""


def project_since(connection: Connection, project_ids: Iterable[str]) -> Mapping[str, int]:
    """Return the first minute of each project: of its oldest watched series."""
    rows = connection.execute(PROJECT_SINCE, {"project_ids": sorted(set(project_ids))})
    return {project_id: first for project_id, first in rows if first is not None}


def _key(series: Series) -> dict[str, str]:
    return {
        "project_id": series.project_id,
        "environment": series.environment,
        "metric_name": series.metric_name,
        "fingerprint": series.fingerprint,
    }
