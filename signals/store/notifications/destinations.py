"""Destinations of notifications; their secrets are sealed before they come here."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, LiteralString
from uuid import UUID

from psycopg import Cursor
from psycopg.errors import UniqueViolation
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from signals.clients.postgres import Connection

DestinationState = Literal["active", "failing", "disabled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDestination:
    """One row; `settings` may be shown, `secret` is sealed."""

    id: UUID
    project_id: str
    name: str
    kind: str
    settings: dict[str, Any]
    secret: bytes | None = field(repr=False)
    hint: str
    fallback_id: UUID | None
    state: DestinationState
    failing_since: datetime | None
    last_told_at: datetime | None
    last_error: str | None
    created_at: datetime
    created_by: str


LIST: LiteralString = """
SELECT id, project_id, name, kind, settings, secret, hint, fallback_id, state, failing_since, last_told_at,
       last_error, created_at, created_by
FROM pipeline.destinations
WHERE project_id = %(project_id)s
ORDER BY name
"""


def list_destinations(connection: Connection, project_id: str) -> Sequence[StoredDestination]:
    """Return the project's destinations by name."""
    with connection.cursor(row_factory=class_row(StoredDestination)) as cursor:
        return cursor.execute(LIST, {"project_id": project_id}).fetchall()


GET: LiteralString = """
SELECT id, project_id, name, kind, settings, secret, hint, fallback_id, state, failing_since, last_told_at,
       last_error, created_at, created_by
FROM pipeline.destinations
WHERE id = ANY(%(destination_ids)s) AND project_id = coalesce(%(project_id)s, project_id)
"""


def get(
    connection: Connection, destination_id: UUID, *, project_id: str | None = None
) -> StoredDestination | None:
    """Return one destination, of this project if one is named."""
    return _get(connection, [destination_id], project_id).fetchone()


GET_LOCKED: LiteralString = GET + "FOR UPDATE"


def get_locked(connection: Connection, destination_id: UUID, *, project_id: str) -> StoredDestination | None:
    """Return a project's destination, locked until the transaction ends."""
    values = {"destination_ids": [destination_id], "project_id": project_id}
    with connection.cursor(row_factory=class_row(StoredDestination)) as cursor:
        return cursor.execute(GET_LOCKED, values).fetchone()


def get_several(
    connection: Connection, destination_ids: Collection[UUID]
) -> Callable[[], dict[UUID, StoredDestination]]:
    """Read destinations by id; the call awaits the rows."""
    rows = _get(connection, list(destination_ids), None)
    return lambda: {row.id: row for row in rows}


def _get(
    connection: Connection, destination_ids: list[UUID], project_id: str | None
) -> Cursor[StoredDestination]:
    cursor = connection.cursor(row_factory=class_row(StoredDestination))
    return cursor.execute(GET, {"destination_ids": destination_ids, "project_id": project_id})


LOCK_PROJECT: LiteralString = "SELECT id FROM projects WHERE id = %(project_id)s FOR NO KEY UPDATE"
COUNT: LiteralString = "SELECT count(*) FROM pipeline.destinations WHERE project_id = %(project_id)s"


def count_locked(connection: Connection, project_id: str) -> int:
    """Return how many destinations the project has; no other transaction adds one until this one ends."""
    connection.execute(LOCK_PROJECT, {"project_id": project_id})
    row = connection.execute(COUNT, {"project_id": project_id}).fetchone()
    assert row is not None
    return int(row[0])


INSERT: LiteralString = """
INSERT INTO pipeline.destinations (id, project_id, name, kind, settings, secret, hint, fallback_id,
                                   created_by)
VALUES (%(id)s, %(project_id)s, %(name)s, %(kind)s, %(settings)s, %(secret)s, %(hint)s, %(fallback_id)s,
        %(created_by)s)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationWrite:
    """The columns of a destination that people decide."""

    id: UUID
    project_id: str
    name: str
    kind: str
    settings: dict[str, Any]
    secret: bytes | None = field(repr=False)
    hint: str
    fallback_id: UUID | None
    created_by: str
    is_enabled: bool = True

    def values(self) -> dict[str, object]:
        """Return the values by column."""
        return {
            "id": self.id,
            "project_id": self.project_id,
            "name": self.name,
            "kind": self.kind,
            "settings": Jsonb(self.settings),
            "secret": self.secret,
            "hint": self.hint,
            "fallback_id": self.fallback_id,
            "created_by": self.created_by,
            "is_enabled": self.is_enabled,
        }


def insert(connection: Connection, row: DestinationWrite) -> bool:
    """Store a new destination; False when the project has one of this name."""
    try:
        with connection.transaction():
            connection.execute(INSERT, row.values())
    except UniqueViolation:
        return False
    return True


# Enabled again, it begins anew: a destination that still fails is disabled after another day only.
UPDATE: LiteralString = """
UPDATE pipeline.destinations
SET name = %(name)s, kind = %(kind)s, settings = %(settings)s, secret = %(secret)s, hint = %(hint)s,
    fallback_id = %(fallback_id)s,
    state = CASE WHEN NOT %(is_enabled)s THEN 'disabled' WHEN state = 'disabled' THEN 'active' ELSE state END,
    failing_since = CASE WHEN %(is_enabled)s AND state = 'disabled' THEN NULL ELSE failing_since END,
    refused_in_row = 0
WHERE id = %(id)s AND project_id = %(project_id)s
"""


def update(connection: Connection, row: DestinationWrite) -> bool:
    """Replace what people decide; False when the project has another one of this name."""
    try:
        with connection.transaction():
            connection.execute(UPDATE, row.values())
    except UniqueViolation:
        return False
    return True


DELETE: LiteralString = """
DELETE FROM pipeline.destinations WHERE id = %(destination_id)s AND project_id = %(project_id)s
"""


def delete(connection: Connection, destination_id: UUID, *, project_id: str) -> int:
    """Delete a destination with its routes and notices; return how many were hit."""
    values = {"destination_id": destination_id, "project_id": project_id}
    return connection.execute(DELETE, values).rowcount


SEALED: LiteralString = (
    "SELECT id, secret FROM pipeline.destinations WHERE secret IS NOT NULL ORDER BY id FOR UPDATE"
)


def sealed(connection: Connection) -> Sequence[tuple[UUID, bytes]]:
    """Return and lock every sealed secret."""
    return [(found, bytes(secret)) for found, secret in connection.execute(SEALED)]


RESEAL: LiteralString = "UPDATE pipeline.destinations SET secret = %(secret)s WHERE id = %(destination_id)s"


def reseal(connection: Connection, destination_id: UUID, secret: bytes) -> None:
    """Store the same secret under another key."""
    connection.execute(RESEAL, {"destination_id": destination_id, "secret": secret})
