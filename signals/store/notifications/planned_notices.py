"""Writes what was planned: new messages, what they tell of, and what they must tell next."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import LiteralString
from uuid import UUID

import orjson

from signals.clients.postgres import Connection
from signals.domain.notifications.delivery import NO_MAX_ATTEMPTS
from signals.domain.notifications.joining import NewNotice

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
