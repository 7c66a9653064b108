"""The state of outages follows their members: status, severity, verdict, first and newest opening.

Incidents are changed in many places. Some of them let the outage follow in the same transaction; a round
every two seconds finds the rest (signals/services/incidents/settling.py).
"""

from collections.abc import Collection
from typing import LiteralString
from uuid import UUID

from signals.clients.postgres import Connection

# A person's `investigating` stays until the end, or until a person takes it back. The newest of all values
# wins: severity and verdict by rank, the first confirmation, the reason of the last end. OFFSET 0 keeps each
# look a probe by key: without statistics the planner would hash whole tables.
WANTED: LiteralString = """
WITH shown AS (
    SELECT m.outage_id, min(i.opened_at) AS opened_at, max(i.opened_at) AS newest_at,
           min(CASE coalesce(s.verdict, 'confirmed')
               WHEN 'confirmed' THEN coalesce(s.confirmed_at, i.opened_at) END) AS confirmed_at,
           max(CASE coalesce(s.verdict, 'confirmed')
               WHEN 'confirmed' THEN 3 WHEN 'unconfirmed' THEN 2 ELSE 1 END) AS verdict,
           max(array_position(ARRAY['warn', 'error', 'critical'], i.severity)) AS severity,
           bool_and(i.status = 'resolved') AS is_over,
           max(i.resolved_at) AS resolved_at,
           (array_agg(s.resolve_reason ORDER BY i.resolved_at DESC NULLS LAST))[1] AS resolve_reason
    FROM unnest(%(ids)s::uuid[]) AS wanted(outage_id)
    CROSS JOIN LATERAL (
        SELECT outage_id, incident_id FROM pipeline.outage_members WHERE outage_id = wanted.outage_id OFFSET 0
    ) AS m
    CROSS JOIN LATERAL (
        SELECT opened_at, severity, status, resolved_at FROM incidents WHERE id = m.incident_id OFFSET 0
    ) AS i
    LEFT JOIN LATERAL (
        SELECT verdict, confirmed_at, resolve_reason FROM pipeline.incident_states
        WHERE incident_id = m.incident_id OFFSET 0
    ) AS s ON true
    GROUP BY m.outage_id
), wanted AS (
    SELECT o.id, w.opened_at, w.newest_at, w.confirmed_at,
           (ARRAY['learning', 'unconfirmed', 'confirmed'])[w.verdict] AS verdict,
           coalesce((ARRAY['warn', 'error', 'critical'])[w.severity], 'warn') AS severity,
           CASE WHEN w.is_over THEN 'resolved' WHEN o.status = 'resolved' THEN 'open' ELSE o.status END
               AS status,
           CASE WHEN w.is_over THEN coalesce(o.resolved_at, w.resolved_at, now()) END AS resolved_at,
           CASE WHEN w.is_over THEN w.resolve_reason END AS resolve_reason,
           o.reopened + CASE WHEN o.status = 'resolved' AND NOT w.is_over THEN 1 ELSE 0 END AS reopened
    FROM shown w
    CROSS JOIN LATERAL (SELECT * FROM pipeline.outages WHERE id = w.outage_id OFFSET 0) AS o
), changed AS (
    SELECT w.* FROM wanted w
    CROSS JOIN LATERAL (SELECT * FROM pipeline.outages WHERE id = w.id OFFSET 0) AS o
    WHERE (o.opened_at, o.newest_at, o.confirmed_at, o.verdict, o.severity, o.status, o.resolved_at,
           o.resolve_reason, o.reopened)
          IS DISTINCT FROM
          (w.opened_at, w.newest_at, w.confirmed_at, w.verdict, w.severity, w.status, w.resolved_at,
           w.resolve_reason, w.reopened)
)
"""
CHANGED: LiteralString = WANTED + "SELECT id FROM changed"  # noqa: S608  # two constants
LOCK: LiteralString = """
SELECT id FROM pipeline.outages WHERE id = ANY(%(ids)s) ORDER BY id FOR NO KEY UPDATE
"""
LOCK_FREE: LiteralString = LOCK + " SKIP LOCKED"
FOLLOW: LiteralString = (
    WANTED
    + """
UPDATE pipeline.outages o
SET opened_at = w.opened_at, newest_at = w.newest_at, confirmed_at = w.confirmed_at, verdict = w.verdict,
    severity = w.severity, status = w.status, resolved_at = w.resolved_at,
    resolve_reason = w.resolve_reason, reopened = w.reopened
FROM changed w
WHERE o.id = w.id AND o.id = ANY(%(ids)s)
"""
)


LOCK_SETTLED: LiteralString = """
SELECT id FROM pipeline.outages
WHERE id = ANY(%(ids)s) AND settled_at IS NOT NULL AND merged_into IS NULL ORDER BY id FOR NO KEY UPDATE
"""


def lock_settled(connection: Connection, outage_ids: Collection[UUID]) -> bool:
    """Lock outages; False when one of them is not settled, or was merged meanwhile."""
    found = connection.execute(LOCK_SETTLED, {"ids": list(outage_ids)}).fetchall()
    return len(found) == len(outage_ids)


def follow(connection: Connection, outage_ids: Collection[UUID]) -> int:
    """Let outages take the state of their members; return how many changed.

    Two transactions that resolve the last two members at once do not see each other: the next round does.
    """
    if not outage_ids:
        return 0
    ids = {"ids": list(outage_ids)}
    connection.execute(LOCK, ids)  # in one order: two transactions that follow never wait in a circle
    return connection.execute(FOLLOW, ids).rowcount


# Those that are not resolved, and those that an incident has opened again. Every incident is in the range: it
# makes the planner take the index of unresolved ones, also without statistics.
LIVELY: LiteralString = """
SELECT o.id FROM pipeline.outages o WHERE o.resolved_at IS NULL AND o.merged_into IS NULL
UNION
SELECT m.outage_id FROM incidents i
CROSS JOIN LATERAL (
    SELECT outage_id FROM pipeline.outage_members WHERE incident_id = i.id OFFSET 0
) AS m
WHERE i.status <> 'resolved' AND i.last_seen_at > '-infinity'
"""


def follow_lively(connection: Connection) -> int:
    """Let every outage that is not over, or should not be, follow its members; return how many changed.

    Outages that another transaction holds are left to the next round.
    """
    lively = [outage_id for (outage_id,) in connection.execute(LIVELY)]
    changed = [outage_id for (outage_id,) in connection.execute(CHANGED, {"ids": lively})]
    if not changed:
        return 0
    free = [outage_id for (outage_id,) in connection.execute(LOCK_FREE, {"ids": changed})]
    return connection.execute(FOLLOW, {"ids": free}).rowcount


OUTAGE_OF: LiteralString = "SELECT outage_id FROM pipeline.outage_members WHERE incident_id = ANY(%(ids)s)"


def follow_incidents(connection: Connection, incident_ids: Collection[UUID]) -> int:
    """Let the outages of these incidents follow; return how many changed."""
    rows = connection.execute(OUTAGE_OF, {"ids": list(incident_ids)})
    return follow(connection, {outage_id for (outage_id,) in rows})


# One incident that people work on is enough; taken back, the last one says so.
NOTE_WORK: LiteralString = """
UPDATE pipeline.outages o SET status = w.status
FROM (SELECT m.outage_id,
             CASE WHEN EXISTS (SELECT FROM pipeline.outage_members n
                               CROSS JOIN LATERAL (SELECT status FROM incidents
                                                   WHERE id = n.incident_id OFFSET 0) AS i
                               WHERE n.outage_id = m.outage_id AND i.status = 'investigating')
                  THEN 'investigating' ELSE 'open' END AS status
      FROM pipeline.outage_members m WHERE m.incident_id = %(incident_id)s) AS w
WHERE o.id = w.outage_id AND o.status <> 'resolved' AND o.status <> w.status
"""


def note_work(connection: Connection, incident_id: UUID) -> None:
    """Let the outage of an incident, whose status a person set, be investigated or open."""
    connection.execute(NOTE_WORK, {"incident_id": incident_id})
