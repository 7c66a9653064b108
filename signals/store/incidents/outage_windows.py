"""Windows: outages of ten minutes that are divided together, and which series could have fired in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

import orjson
from psycopg.rows import class_row

from signals.clients.postgres import Connection
from signals.domain.incidents.outages import Value

MAX_SERIES: Final = 5_000  # of a project that are looked at: some 50 ms; of more the first ones count

# The window's first outage carries its clock. Those that another process divides now are left to it.
DUE: LiteralString = """
SELECT w.id, w.project_id, w.created_at <= now() - make_interval(mins => %(last)s) AS is_last
FROM pipeline.outages w
WHERE w.settled_at IS NULL AND w.window_id = w.id
  AND (w.settle_after IS NULL OR w.settle_after <= now())
  AND (w.created_at <= now() - make_interval(mins => %(last)s)
       OR w.decided_at IS NULL AND w.created_at <= now() - make_interval(mins => %(gather)s))
ORDER BY w.created_at
LIMIT %(rows)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueWindow:
    """A window to be divided, for the last time when `is_last`."""

    id: UUID
    project_id: str
    is_last: bool


def due(connection: Connection, *, gather: int, last: int, rows: int) -> list[DueWindow]:
    """Return the windows older than `gather` minutes that were never divided, or than `last` minutes."""
    with connection.cursor(row_factory=class_row(DueWindow)) as cursor:
        return cursor.execute(DUE, {"gather": gather, "last": last, "rows": rows}).fetchall()


MEMBERS: LiteralString = """
SELECT m.incident_id, m.outage_id, m.fingerprint, m.opened_at
FROM pipeline.outages o
CROSS JOIN LATERAL (SELECT * FROM pipeline.outage_members WHERE outage_id = o.id OFFSET 0) AS m
WHERE o.window_id = %(window_id)s AND o.settled_at IS NULL
ORDER BY m.opened_at, m.fingerprint, m.incident_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowMember:
    """An incident of a window, and the outage it is in so far."""

    incident_id: UUID
    outage_id: UUID
    fingerprint: str
    opened_at: datetime


def members(connection: Connection, window_id: UUID) -> list[WindowMember]:
    """Return the incidents of a window in order of opening; none when it was settled meanwhile."""
    with connection.cursor(row_factory=class_row(WindowMember)) as cursor:
        return cursor.execute(MEMBERS, {"window_id": window_id}).fetchall()


# From series to series along the unique index of buckets: two probes a series, however long it is. OFFSET 0
# keeps the second one a probe by key.
ACTIVE: LiteralString = """
WITH RECURSIVE walk AS (
    (SELECT b.environment, b.metric_name, b.fingerprint, 1 AS number FROM metrics_buckets b
     WHERE b.project_id = %(project_id)s
     ORDER BY b.environment, b.metric_name, b.fingerprint LIMIT 1)
    UNION ALL
    SELECT next.environment, next.metric_name, next.fingerprint, walk.number + 1
    FROM walk CROSS JOIN LATERAL (
        SELECT b.environment, b.metric_name, b.fingerprint FROM metrics_buckets b
        WHERE b.project_id = %(project_id)s
          AND (b.environment, b.metric_name, b.fingerprint)
              > (walk.environment, walk.metric_name, walk.fingerprint)
        ORDER BY b.environment, b.metric_name, b.fingerprint LIMIT 1
    ) AS next
    WHERE walk.number < %(most)s
)
SELECT walk.fingerprint FROM walk
WHERE walk.metric_name = ANY(%(metrics)s)
  AND EXISTS (SELECT FROM metrics_buckets b
              WHERE b.project_id = %(project_id)s AND b.environment = walk.environment
                AND b.metric_name = walk.metric_name AND b.fingerprint = walk.fingerprint
                AND b.bucket_start >= to_timestamp(%(since_minute)s * 60)
                AND b.bucket_start <= to_timestamp(%(until_minute)s * 60)
              OFFSET 0)
"""


def active(
    connection: Connection,
    project_id: str,
    *,
    metrics: Sequence[str],
    since_minute: int,
    until_minute: int,
    most: int = MAX_SERIES,
) -> list[str]:
    """Return the fingerprints of the project's series that had an event in a range of minutes."""
    parameters = {
        "project_id": project_id,
        "metrics": list(metrics),
        "since_minute": since_minute,
        "until_minute": until_minute,
        "most": most,
    }
    return [fingerprint for (fingerprint,) in connection.execute(ACTIVE, parameters)]


MOVE: LiteralString = """
UPDATE pipeline.outage_members m SET outage_id = r.outage_id
FROM json_to_recordset(%(rows)s::json) AS r(incident_id uuid, outage_id uuid)
WHERE m.incident_id = r.incident_id AND m.incident_id = ANY(%(ids)s)
"""


def move(connection: Connection, places: Mapping[UUID, UUID]) -> None:
    """Move incidents to other outages: incident → outage."""
    rows = [{"incident_id": incident, "outage_id": outage} for incident, outage in places.items()]
    connection.execute(MOVE, {"rows": orjson.dumps(rows).decode(), "ids": list(places)})


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedCause:
    """The value that explains an outage: of `active` series that have it, `fired` left their normal."""

    outage_id: UUID
    cause: Value
    fired: int
    active: int


EXPLAIN: LiteralString = """
UPDATE pipeline.outages o
SET cause_attribute = r.attribute, cause_value = r.value, fired_series = r.fired, active_series = r.active
FROM json_to_recordset(%(rows)s::json) AS r(outage_id uuid, attribute text, value text, fired int, active int)
WHERE o.id = r.outage_id AND o.id = ANY(%(ids)s)
"""
DECIDE: LiteralString = """
UPDATE pipeline.outages
SET decided_at = coalesce(decided_at, now()), settled_at = CASE WHEN %(is_last)s THEN now() END
WHERE window_id = %(window_id)s AND settled_at IS NULL
"""
MERGE: LiteralString = """
UPDATE pipeline.outages o SET merged_into = r.into_id
FROM json_to_recordset(%(rows)s::json) AS r(id uuid, into_id uuid)
WHERE o.id = r.id AND o.id = ANY(%(ids)s) AND o.settled_at IS NULL
"""


MERGE_SETTLED: LiteralString = """
UPDATE pipeline.outages SET merged_into = %(into_id)s WHERE id = %(outage_id)s AND merged_into IS NULL
"""


def merge_settled(connection: Connection, outage_id: UUID, into_id: UUID) -> None:
    """Let an outage that has no incidents left be answered with another one."""
    connection.execute(MERGE_SETTLED, {"outage_id": outage_id, "into_id": into_id})


def decide(
    connection: Connection, window: DueWindow, causes: Sequence[DecidedCause], merged: Mapping[UUID, UUID]
) -> None:
    """Store the causes of a window's outages, and into which others the emptied ones went."""
    rows = [
        {
            "outage_id": one.outage_id,
            "attribute": one.cause[0],
            "value": one.cause[1],
            "fired": one.fired,
            "active": one.active,
        }
        for one in causes
    ]
    if rows:
        ids = [one.outage_id for one in causes]
        connection.execute(EXPLAIN, {"rows": orjson.dumps(rows).decode(), "ids": ids})
    if merged:
        emptied = [{"id": outage, "into_id": into} for outage, into in merged.items()]
        connection.execute(MERGE, {"rows": orjson.dumps(emptied).decode(), "ids": list(merged)})
    connection.execute(DECIDE, {"window_id": window.id, "is_last": window.is_last})


NOTE_FAILURE: LiteralString = """
UPDATE pipeline.outages
SET settle_failures = settle_failures + 1, settle_error = %(error)s,
    settle_after = now() + make_interval(secs => %(wait_s)s * power(2, settle_failures)::int)
WHERE id = %(window_id)s AND settled_at IS NULL
RETURNING settle_failures
"""
GIVE_UP: LiteralString = """
UPDATE pipeline.outages SET decided_at = coalesce(decided_at, now()), settled_at = now()
WHERE window_id = %(window_id)s AND settled_at IS NULL
"""


def note_failure(connection: Connection, window_id: UUID, error: str, *, wait_s: float, tries: int) -> int:
    """Let a window wait, twice as long after each failure; return how often it failed.

    After `tries` failures its outages are settled as they are.
    """
    found = connection.execute(NOTE_FAILURE, {"window_id": window_id, "error": error, "wait_s": wait_s})
    row = found.fetchone()
    failures: int = row[0] if row else 0
    if failures >= tries:
        connection.execute(GIVE_UP, {"window_id": window_id})
    return failures


# Along the primary key. Grouped incidents are left alone; an outage of one has its incident's id.
ADOPT: LiteralString = """
WITH page AS MATERIALIZED (
    SELECT i.id, i.project_id, i.environment, i.fingerprint, i.opened_at FROM incidents i
    WHERE i.id > %(after)s ORDER BY i.id LIMIT %(rows)s
), alone AS MATERIALIZED (
    SELECT page.* FROM page
    WHERE NOT EXISTS (SELECT FROM pipeline.outage_members m WHERE m.incident_id = page.id OFFSET 0)
), made AS (
    INSERT INTO pipeline.outages (id, project_id, window_id, opened_at, newest_at, verdict, severity, status,
                                  created_at, decided_at, settled_at)
    SELECT id, project_id, id, opened_at, opened_at, 'confirmed', 'warn', 'open', now(), now(), now()
    FROM alone
    ON CONFLICT (id) DO NOTHING
), joined AS (
    INSERT INTO pipeline.outage_members (incident_id, outage_id, project_id, environment, fingerprint,
                                         opened_at)
    SELECT id, id, project_id, environment, fingerprint, opened_at FROM alone
    ON CONFLICT (incident_id) DO NOTHING
)
SELECT page.id, alone.id IS NOT NULL FROM page LEFT JOIN alone USING (id) ORDER BY page.id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptedPage:
    """A page of incidents: how many, the last one's id (None at the end), those that were in no outage."""

    read: int
    last: UUID | None
    adopted: Sequence[UUID]


def adopt(connection: Connection, *, after: UUID, rows: int) -> AdoptedPage:
    """Give incidents of earlier releases an outage of their own, at most `rows` behind an id."""
    found = connection.execute(ADOPT, {"after": after, "rows": rows}).fetchall()
    return AdoptedPage(
        read=len(found),
        last=found[-1][0] if found else None,
        adopted=[incident_id for incident_id, is_alone in found if is_alone],
    )
