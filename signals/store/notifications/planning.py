"""The planner's tables: changes without a plan, and the messages that must tell them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

import orjson
from psycopg.rows import class_row

from signals.clients.postgres import Connection
from signals.domain.notifications.delivery import MAX_ATTEMPTS

# A queue, not a cursor: ids of a sequence become visible out of their order.
TAKE: LiteralString = """
UPDATE pipeline.incident_changes SET planned_at = now()
WHERE id = ANY(ARRAY(
    SELECT id FROM pipeline.incident_changes WHERE planned_at IS NULL ORDER BY id LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))
RETURNING incident_id, id
"""


def take_changes(connection: Connection, *, limit: int) -> dict[UUID, int]:
    """Take changes without a plan, and return the newest of each incident."""
    found: dict[UUID, int] = {}
    for incident_id, change_id in connection.execute(TAKE, {"limit": limit}):
        found[incident_id] = max(change_id, found.get(incident_id, 0))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDestination:
    """A destination that is locked for planning: `recent` counts its messages of the last minute.

    `storm_id` is the storm's message that incidents join now, None without one.
    """

    id: UUID
    kind: str
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
SELECT d.id, d.kind, d.state = 'disabled' AS is_disabled,
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
) -> Mapping[UUID, PlannedDestination]:
    """Lock destinations, and return them by id with what was sent to them lately."""
    values = {"destination_ids": list(destination_ids), "storm_s": storm_s}
    connection.execute(LOCK, values)
    with connection.cursor(row_factory=class_row(PlannedDestination)) as cursor:
        return {row.id: row for row in cursor.execute(STATES, values)}


TOLD: LiteralString = """
SELECT subject_id, destination_id, notice_id
FROM pipeline.notice_subjects
WHERE subject_id = ANY(%(subject_ids)s)
"""


def told_already(connection: Connection, subject_ids: Collection[UUID]) -> dict[tuple[UUID, UUID], UUID]:
    """Return the messages that exist, by subject and destination."""
    rows = connection.execute(TOLD, {"subject_ids": list(subject_ids)})
    return {(subject_id, destination_id): notice_id for subject_id, destination_id, notice_id in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNotice:
    """A message to insert."""

    id: UUID
    destination_id: UUID
    is_storm: bool
    wanted: int
    run_after: datetime


INSERT: LiteralString = """
INSERT INTO pipeline.notices (id, destination_id, is_storm, wanted, run_after, max_attempts)
SELECT r.id, r.destination_id, r.is_storm, r.wanted, r.run_after, %(max_attempts)s
FROM json_to_recordset(%(rows)s::json) AS r(id uuid, destination_id uuid, is_storm boolean, wanted bigint,
     run_after timestamptz)
"""
JOIN: LiteralString = """
INSERT INTO pipeline.notice_subjects (destination_id, subject_id, notice_id)
SELECT r.destination_id, r.subject_id, r.notice_id
FROM json_to_recordset(%(rows)s::json) AS r(destination_id uuid, subject_id uuid, notice_id uuid)
"""
JOINED: LiteralString = """
UPDATE pipeline.notices SET joined_at = now() WHERE id = ANY(%(notice_ids)s) AND is_storm
"""


def insert(
    connection: Connection, notices: Sequence[NewNotice], subjects: Mapping[tuple[UUID, UUID], UUID]
) -> None:
    """Store new messages, and which one tells each (subject, destination)."""
    rows = orjson.dumps(notices).decode()
    connection.execute(INSERT, {"rows": rows, "max_attempts": MAX_ATTEMPTS})
    members = [
        {"subject_id": subject_id, "destination_id": destination_id, "notice_id": notice_id}
        for (subject_id, destination_id), notice_id in subjects.items()
    ]
    connection.execute(JOIN, {"rows": orjson.dumps(members).decode()})
    connection.execute(JOINED, {"notice_ids": list(set(subjects.values()))})


# A back-off is never shortened by a new change; a message that is being sent is sent again afterwards.
WANT: LiteralString = """
UPDATE pipeline.notices n
SET wanted = greatest(n.wanted, r.wanted),
    run_after = CASE WHEN n.status IN ('queued', 'running') THEN n.run_after
                     ELSE greatest(now(), n.not_before) END,
    attempt_count = CASE WHEN n.status IN ('queued', 'running') THEN n.attempt_count ELSE 0 END,
    status = CASE WHEN n.status = 'running' THEN 'running' ELSE 'queued' END, updated_at = now()
FROM json_to_recordset(%(rows)s::json) AS r(id uuid, wanted bigint)
WHERE n.id = r.id
"""


def want(connection: Connection, wanted: Mapping[UUID, int]) -> None:
    """Have existing messages tell newer changes."""
    rows = [{"id": notice_id, "wanted": change_id} for notice_id, change_id in sorted(wanted.items())]
    connection.execute(WANT, {"rows": orjson.dumps(rows).decode()})
