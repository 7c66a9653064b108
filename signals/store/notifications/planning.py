"""Reads for the planner: changes without a plan, and the messages that tell them already.

Functions that return a function have sent their query: its call awaits the rows. So queries share a round
trip where the connection is pipelined.
"""

from collections.abc import Callable, Collection, Mapping
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from signals.clients.postgres import Connection
from signals.domain.notifications.facts import HeldOutages, PlannedDestination

# A queue, not a cursor: ids of a sequence become visible out of their order.
TAKE: LiteralString = """
UPDATE pipeline.incident_changes SET planned_at = now()
WHERE id = ANY(ARRAY(
    SELECT id FROM pipeline.incident_changes WHERE planned_at IS NULL ORDER BY id LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))
RETURNING incident_id, id, kind = ANY(ARRAY['assigned', 'snoozed', 'woken', 'merged'])
"""
TAKE_MOVES: LiteralString = """
DELETE FROM pipeline.outage_moves
WHERE id = ANY(ARRAY(
    SELECT id FROM pipeline.outage_moves ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
))
RETURNING incident_id, id, false
"""
# What people do to an outage is noted at its first incident; messages of its others do not hold that one.
TOLD_BESIDE: LiteralString = """
SELECT m.incident_id, other.incident_id
FROM pipeline.outage_members m
JOIN pipeline.outage_members other ON other.outage_id = m.outage_id AND other.incident_id <> m.incident_id
WHERE m.incident_id = ANY(%(incident_ids)s)
  AND EXISTS (SELECT FROM pipeline.notice_subjects s WHERE s.subject_id = other.incident_id)
"""


def take_changes(connection: Connection, *, limit: int) -> dict[UUID, int]:
    """Take changes and moves without a plan, and return the newest of each incident.

    A change of a whole outage is one of each of its incidents that a message holds.
    """
    found: dict[UUID, int] = {}
    of_outages: dict[UUID, int] = {}
    for cursor in [connection.execute(query, {"limit": limit}) for query in (TAKE, TAKE_MOVES)]:
        for incident_id, change_id, is_of_outage in cursor:
            found[incident_id] = max(change_id, found.get(incident_id, 0))
            if is_of_outage:
                of_outages[incident_id] = found[incident_id]
    if of_outages:
        for first_id, other_id in connection.execute(TOLD_BESIDE, {"incident_ids": list(of_outages)}):
            found[other_id] = max(of_outages[first_id], found.get(other_id, 0))
    return found


# Locked in one order: two planners can neither deadlock nor begin two storms.
LOCK: LiteralString = """
SELECT id FROM pipeline.destinations
WHERE id = ANY(%(destination_ids)s)
ORDER BY id FOR NO KEY UPDATE
"""
STATES: LiteralString = """
SELECT d.id, d.kind, d.created_at, d.state = 'disabled' AS is_disabled,
       (SELECT count(*) FROM pipeline.notices n
        WHERE n.destination_id = d.id AND NOT n.is_storm AND n.created_at > now() - make_interval(secs => 60)
       ) AS recent,
       (SELECT n.id FROM pipeline.notices n
        WHERE n.destination_id = d.id AND n.is_storm AND n.created_at > now() - make_interval(hours => 1)
          AND n.joined_at > now() - make_interval(secs => %(storm_s)s)
        ORDER BY n.created_at DESC LIMIT 1) AS storm_id
FROM pipeline.destinations d
WHERE d.id = ANY(%(destination_ids)s)
"""


def lock_destinations(
    connection: Connection, destination_ids: Collection[UUID], *, storm_s: float
) -> Callable[[], Mapping[UUID, PlannedDestination]]:
    """Lock destinations, and read them by id with what was sent to them lately."""
    values = {"destination_ids": list(destination_ids), "storm_s": storm_s}
    connection.execute(LOCK, values)
    rows = connection.cursor(row_factory=class_row(PlannedDestination)).execute(STATES, values)
    return lambda: {row.id: row for row in rows}


TOLD: LiteralString = """
SELECT subject_id, destination_id, notice_id
FROM pipeline.notice_subjects
WHERE subject_id = ANY(%(subject_ids)s)
"""


def told_already(
    connection: Connection, subject_ids: Collection[UUID]
) -> Callable[[], dict[tuple[UUID, UUID], UUID]]:
    """Read the messages that exist, by subject and destination."""
    rows = connection.execute(TOLD, {"subject_ids": list(subject_ids)})
    return lambda: {(subject_id, destination_id): notice_id for subject_id, destination_id, notice_id in rows}


HOMES: LiteralString = """
SELECT outage_id, destination_id, notice_id FROM pipeline.notice_outages WHERE outage_id = ANY(%(outage_ids)s)
"""


def homes(
    connection: Connection, outage_ids: Collection[UUID]
) -> Callable[[], dict[tuple[UUID, UUID], UUID]]:
    """Read the messages that incidents of these outages join, by outage and destination."""
    rows = connection.execute(HOMES, {"outage_ids": list(outage_ids)})
    return lambda: {(outage_id, destination_id): notice_id for outage_id, destination_id, notice_id in rows}


REGISTERED: LiteralString = """
SELECT n.id, n.is_storm, ARRAY(SELECT o.outage_id FROM pipeline.notice_outages o WHERE o.notice_id = n.id)
FROM pipeline.notices n
WHERE n.id = ANY(%(notice_ids)s)
"""
INCIDENTS: LiteralString = """
SELECT s.notice_id, coalesce(m.outage_id, s.subject_id), count(*)::int
FROM pipeline.notice_subjects s
LEFT JOIN LATERAL (
    SELECT outage_id FROM pipeline.outage_members WHERE incident_id = s.subject_id OFFSET 0
) AS m ON true
WHERE s.notice_id = ANY(%(notice_ids)s)
GROUP BY 1, 2
"""


def held_outages(connection: Connection, notice_ids: Collection[UUID]) -> dict[UUID, HeldOutages]:
    """Return the outages of these messages, by message."""
    values = {"notice_ids": list(notice_ids)}
    counts: dict[UUID, dict[UUID, int]] = {}
    for notice_id, outage_id, count in connection.execute(INCIDENTS, values):
        counts.setdefault(notice_id, {})[outage_id] = count
    return {
        notice_id: HeldOutages(
            is_storm=is_storm, registered=frozenset(registered), incidents=counts.get(notice_id, {})
        )
        for notice_id, is_storm, registered in connection.execute(REGISTERED, values)
    }
