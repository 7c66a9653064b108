"""The planner's tables: changes without a plan, and the messages that must tell them.

Functions that return a function have sent their query: its call awaits the rows. So queries share a round
trip where the connection is pipelined.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

import orjson
from psycopg.rows import class_row

from signals.clients.postgres import Connection
from signals.domain.notifications.delivery import NO_MAX_ATTEMPTS

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


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDestination:
    """A destination that is locked for planning: `recent` counts its messages of the last minute.

    `storm_id` is the storm's message that incidents join now, None without one.
    """

    id: UUID
    kind: str
    created_at: datetime
    is_disabled: bool
    recent: int
    storm_id: UUID | None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutages:
    """The outages of a message: further incidents of `registered` ones join; `incidents` counts by outage."""

    is_storm: bool
    registered: frozenset[UUID]
    incidents: Mapping[UUID, int]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNotice:
    """A message to insert; `subject_id` None: programs sort by the message's own id."""

    id: UUID
    destination_id: UUID
    subject_id: UUID | None
    is_storm: bool
    wanted: int
    run_after: datetime


# Of two messages about one outage, only the first is named like the outage.
INSERT: LiteralString = """
INSERT INTO pipeline.notices (id, destination_id, subject_id, is_storm, wanted, run_after, max_attempts)
SELECT r.id, r.destination_id,
       CASE WHEN r.is_storm OR EXISTS (
           SELECT FROM pipeline.notices n
           WHERE n.destination_id = r.destination_id AND n.subject_id = r.subject_id
       ) THEN r.id ELSE r.subject_id END,
       r.is_storm, r.wanted, r.run_after, %(max_attempts)s
FROM json_to_recordset(%(rows)s::json) AS r(id uuid, destination_id uuid, subject_id uuid, is_storm boolean,
     wanted bigint, run_after timestamptz)
"""
JOIN: LiteralString = """
INSERT INTO pipeline.notice_subjects (destination_id, subject_id, notice_id)
SELECT r.destination_id, r.subject_id, r.notice_id
FROM json_to_recordset(%(rows)s::json) AS r(destination_id uuid, subject_id uuid, notice_id uuid)
ON CONFLICT (destination_id, subject_id) DO UPDATE SET notice_id = excluded.notice_id
"""
REGISTER: LiteralString = """
INSERT INTO pipeline.notice_outages (destination_id, outage_id, notice_id)
SELECT r.destination_id, r.outage_id, r.notice_id
FROM json_to_recordset(%(rows)s::json) AS r(destination_id uuid, outage_id uuid, notice_id uuid)
ON CONFLICT (destination_id, outage_id) DO UPDATE SET notice_id = excluded.notice_id
"""
UNREGISTER: LiteralString = """
DELETE FROM pipeline.notice_outages o
USING json_to_recordset(%(rows)s::json) AS r(destination_id uuid, outage_id uuid)
WHERE o.destination_id = r.destination_id AND o.outage_id = r.outage_id
"""
JOINED: LiteralString = """
UPDATE pipeline.notices SET joined_at = now() WHERE id = ANY(%(notice_ids)s) AND is_storm
"""


def insert(connection: Connection, new: Sequence[NewNotice]) -> None:
    """Store new messages; what they tell of comes with `join`."""
    rows = orjson.dumps(new).decode()
    connection.execute(INSERT, {"rows": rows, "max_attempts": NO_MAX_ATTEMPTS})


def join(connection: Connection, incidents: Mapping[tuple[UUID, UUID], UUID]) -> None:
    """Store which message tells each (incident, destination), in the place of another one."""
    connection.execute(JOIN, {"rows": _rows("subject_id", incidents)})
    connection.execute(JOINED, {"notice_ids": list(set(incidents.values()))})


def register(connection: Connection, outages: Mapping[tuple[UUID, UUID], UUID]) -> None:
    """Store which message the incidents of each (outage, destination) join."""
    connection.execute(REGISTER, {"rows": _rows("outage_id", outages)})


def unregister(connection: Connection, outages: Collection[tuple[UUID, UUID]]) -> None:
    """Forget the messages of these (outage, destination): no incident there is of the outage any more."""
    rows = [{"outage_id": outage_id, "destination_id": place} for outage_id, place in outages]
    connection.execute(UNREGISTER, {"rows": orjson.dumps(rows).decode()})


def _rows(name: str, told_by: Mapping[tuple[UUID, UUID], UUID]) -> str:
    rows = [
        {name: one, "destination_id": destination_id, "notice_id": notice_id}
        for (one, destination_id), notice_id in told_by.items()
    ]
    return orjson.dumps(rows).decode()


# A back-off is never shortened by a new change; a message that is being sent is sent again afterwards. One
# that waits for the end of quiet hours is sent when something comes that need not wait.
WANT: LiteralString = """
UPDATE pipeline.notices n
SET wanted = greatest(n.wanted, r.wanted), held_until = r.held_until,
    held_by = CASE WHEN r.held_by IS NOT NULL THEN r.held_by WHEN n.sends > 0 THEN NULL ELSE n.held_by END,
    run_after = greatest(r.held_until, CASE
        WHEN n.status = 'queued' AND n.attempt_count = 0 AND n.sends = 0 THEN least(n.run_after, r.due_at)
        WHEN n.status = 'queued' AND n.held_until > now() THEN greatest(now(), n.not_before)
        WHEN n.status IN ('queued', 'running') THEN n.run_after
        ELSE greatest(now(), n.not_before) END),
    attempt_count = CASE WHEN n.status IN ('queued', 'running') THEN n.attempt_count ELSE 0 END,
    status = CASE WHEN n.status = 'running' THEN 'running' ELSE 'queued' END, updated_at = now()
FROM json_to_recordset(%(rows)s::json) AS r(id uuid, wanted bigint, due_at timestamptz,
     held_until timestamptz, held_by uuid)
WHERE n.id = r.id
"""


def want(
    connection: Connection,
    wanted: Mapping[UUID, int],
    due_at: Mapping[UUID, datetime],
    holds: Mapping[UUID, tuple[datetime, UUID]],
) -> None:
    """Have existing messages tell newer changes.

    `due_at` says of some when a first message is due, `holds` until when one waits, and for which window.
    """
    rows = []
    for notice_id, change_id in sorted(wanted.items()):
        until, window_id = holds.get(notice_id, (None, None))
        rows.append(
            {
                "id": notice_id,
                "wanted": change_id,
                "due_at": due_at.get(notice_id),
                "held_until": until,
                "held_by": window_id,
            }
        )
    connection.execute(WANT, {"rows": orjson.dumps(rows).decode()})
