"""The timeline of incidents: numbered changes, which triggers write in the transaction of each change."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from signals.clients.postgres import Connection

ACT_AS: LiteralString = "SELECT set_config('signals.actor', %(actor)s, true)"


def act_as(connection: Connection, actor: str) -> None:
    """Name who makes the changes of this transaction; unnamed, it is the engine."""
    connection.execute(ACT_AS, {"actor": actor})


# The incident's row before any job's, as the engine does it: no deadlock.
LOCK: LiteralString = """
SELECT set_config('signals.actor', %(actor)s, true), id FROM incidents WHERE id = %(incident_id)s
FOR NO KEY UPDATE
"""


def act_on(connection: Connection, incident_id: UUID, actor: str) -> None:
    """Name who makes the changes of this transaction, and lock the incident that they are about."""
    connection.execute(LOCK, {"actor": actor, "incident_id": incident_id})


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One change: `detail` holds the fields of the incident that changed, with their new values."""

    number: int
    kind: str
    actor: str
    at: datetime
    detail: dict[str, Any]


TIMELINE: LiteralString = """
SELECT number, kind, actor, at, detail FROM (
    SELECT number, kind, actor, at, detail
    FROM pipeline.incident_changes
    WHERE incident_id = %(incident_id)s
    ORDER BY number DESC
    LIMIT %(limit)s
) AS newest
ORDER BY number
"""


def timeline(connection: Connection, incident_id: UUID, *, limit: int) -> Sequence[TimelineEntry]:
    """Return the newest changes of an incident, oldest first."""
    with connection.cursor(row_factory=class_row(TimelineEntry)) as cursor:
        found = cursor.execute(TIMELINE, {"incident_id": incident_id, "limit": limit}).fetchall()
    return [replace(one, kind=kind) for one, kind in zip(found, _kinds(found), strict=True)]


def _kinds(entries: "Sequence[TimelineEntry | OutageEntry]") -> Iterator[str]:
    """Yield each entry's kind, `reopened` for the status of an incident that was resolved before."""
    status: dict[UUID | None, object] = {}
    for one in entries:
        of = one.incident_id if isinstance(one, OutageEntry) else None
        became = one.detail.get("status")
        is_back = one.kind == "status" and status.get(of) == "resolved" and became != "resolved"
        yield "reopened" if is_back else one.kind
        if became is not None:
            status[of] = became


NOTE: LiteralString = "SELECT pipeline.note_change(%(incident_id)s, %(kind)s, %(detail)s)"


def note(connection: Connection, incident_id: UUID, kind: str, detail: Mapping[str, object]) -> None:
    """Add a change that no trigger sees, in the name given to `act_on`, which has locked the incident."""
    connection.execute(NOTE, {"incident_id": incident_id, "kind": kind, "detail": Jsonb(dict(detail))})


COUNT: LiteralString = """
SELECT coalesce(sum(c.newest), 0)::bigint FROM unnest(%(ids)s::uuid[]) AS wanted(id)
CROSS JOIN LATERAL (
    SELECT max(number) AS newest FROM pipeline.incident_changes WHERE incident_id = wanted.id
) AS c
"""


def version_of(connection: Connection, incident_ids: Collection[UUID]) -> int:
    """Return how many changes these incidents have together; lock them first to act on it."""
    row = connection.execute(COUNT, {"ids": list(incident_ids)}).fetchone()
    assert row is not None, "an aggregate always has a row"
    return int(row[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageEntry:
    """One change of an outage's incident, or of the outage itself, which stands at its first incident."""

    incident_id: UUID
    number: int
    kind: str
    actor: str
    at: datetime
    detail: dict[str, Any]


OUTAGE_TIMELINE: LiteralString = """
SELECT incident_id, number, kind, actor, at, detail FROM (
    SELECT c.*
    FROM pipeline.outage_members m
    CROSS JOIN LATERAL (
        SELECT * FROM pipeline.incident_changes WHERE incident_id = m.incident_id OFFSET 0
    ) AS c
    WHERE m.outage_id = %(outage_id)s
    ORDER BY c.id DESC
    LIMIT %(limit)s
) AS newest
ORDER BY id
"""


def outage_timeline(connection: Connection, outage_id: UUID, *, limit: int) -> Sequence[OutageEntry]:
    """Return the newest changes of an outage's incidents, oldest first."""
    with connection.cursor(row_factory=class_row(OutageEntry)) as cursor:
        found = cursor.execute(OUTAGE_TIMELINE, {"outage_id": outage_id, "limit": limit}).fetchall()
    return [replace(one, kind=kind) for one, kind in zip(found, _kinds(found), strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewestChange:
    """The newest change of a project; `recent` is another one when a lower number came late."""

    number: int
    recent: int


LOOK_BACK: Final = 1_000  # numbers; guess: a transaction that took one ends before so many others have
NUMBER: LiteralString = "SELECT coalesce(max(id), 0) FROM pipeline.incident_changes"
NEWEST: LiteralString = """
SELECT i.project_id, max(c.id) AS number, count(*) AS recent
FROM pipeline.incident_changes c JOIN incidents i ON i.id = c.incident_id
WHERE c.id > (SELECT max(id) FROM pipeline.incident_changes) - %(look_back)s
  AND i.project_id = ANY(%(project_ids)s)
GROUP BY i.project_id
"""


def newest_number(connection: Connection) -> int:
    """Return the number of the newest change of any project, 0 without one."""
    row = connection.execute(NUMBER).fetchone()
    assert row is not None, "an aggregate always has a row"
    return int(row[0])


def newest(connection: Connection, project_ids: Collection[str]) -> Mapping[str, NewestChange]:
    """Return the newest change of each project that has a recent one."""
    values = {"project_ids": list(project_ids), "look_back": LOOK_BACK}
    return {
        project_id: NewestChange(number=number, recent=recent)
        for project_id, number, recent in connection.execute(NEWEST, values)
    }
