"""How many series a project began in an hour, and which of given series are known."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import LiteralString

import orjson

from signals.clients.postgres import Connection
from signals.domain.detection.buckets import Series

ProjectHour = tuple[str, int]
"""A project, and an hour since the epoch."""

# By key: watched, or counted by an earlier release.
KNOWN: LiteralString = """
SELECT r.ordinal
FROM json_to_recordset(%(rows)s::json) AS r(ordinal int, project_id text, environment text,
     metric_name text, fingerprint text)
WHERE EXISTS (SELECT FROM pipeline.rule_series o
              WHERE o.project_id = r.project_id AND o.environment = r.environment
                AND o.metric_name = r.metric_name AND o.fingerprint = r.fingerprint OFFSET 0)
   OR EXISTS (SELECT FROM metrics_buckets b
              WHERE b.project_id = r.project_id AND b.environment = r.environment
                AND b.metric_name = r.metric_name AND b.fingerprint = r.fingerprint OFFSET 0)
"""


def known(connection: Connection, series: Collection[Series]) -> set[Series]:
    """Return those series of which something was counted already."""
    ordered = list(series)
    rows = [
        {
            "ordinal": ordinal,
            "project_id": one.project_id,
            "environment": one.environment,
            "metric_name": one.metric_name,
            "fingerprint": one.fingerprint,
        }
        for ordinal, one in enumerate(ordered)
    ]
    return {ordered[at] for (at,) in connection.execute(KNOWN, {"rows": orjson.dumps(rows).decode()})}


BEGUN: LiteralString = """
SELECT n.project_id, (extract(epoch FROM n.hour_start)::bigint / 3600)::int, n.series
FROM json_to_recordset(%(rows)s::json) AS r(project_id text, hour bigint)
JOIN pipeline.new_series n ON n.project_id = r.project_id AND n.hour_start = to_timestamp(r.hour * 3600)
"""
# Locks the row until the transaction ends: two engines never pass the bound together. Sorted: no deadlock.
LOCK: LiteralString = """
INSERT INTO pipeline.new_series AS n (project_id, hour_start, series)
SELECT r.project_id, to_timestamp(r.hour * 3600), 0
FROM json_to_recordset(%(rows)s::json) AS r(project_id text, hour bigint)
ORDER BY r.project_id, r.hour
ON CONFLICT (project_id, hour_start) DO UPDATE SET series = n.series
RETURNING project_id, (extract(epoch FROM hour_start)::bigint / 3600)::int, series
"""


def begun(connection: Connection, keys: Collection[ProjectHour], *, lock: bool) -> Mapping[ProjectHour, int]:
    """Return how many series began, by project and hour; none is 0. `lock`: until the transaction ends."""
    rows = [{"project_id": project_id, "hour": hour} for project_id, hour in sorted(keys)]
    found = connection.execute(LOCK if lock else BEGUN, {"rows": orjson.dumps(rows).decode()})
    return dict.fromkeys(keys, 0) | {(project_id, hour): series for project_id, hour, series in found}


ADD: LiteralString = """
UPDATE pipeline.new_series n SET series = n.series + r.added
FROM json_to_recordset(%(rows)s::json) AS r(project_id text, hour bigint, added int)
WHERE n.project_id = r.project_id AND n.hour_start = to_timestamp(r.hour * 3600)
"""


def add(connection: Connection, added: Mapping[ProjectHour, int]) -> None:
    """Count series that begin; the caller has locked the hours."""
    rows = [
        {"project_id": project_id, "hour": hour, "added": count}
        for (project_id, hour), count in sorted(added.items())
    ]
    connection.execute(ADD, {"rows": orjson.dumps(rows).decode()})


TRIM: LiteralString = "DELETE FROM pipeline.new_series WHERE hour_start < now() - %(age)s"


def trim(connection: Connection, *, age: timedelta) -> int:
    """Remove the counts of hours older than `age`; return how many."""
    return connection.execute(TRIM, {"age": age}).rowcount
