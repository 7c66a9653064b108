"""API keys by their hashes: whose they are, whether they were revoked, when they were last used."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from signals.clients.postgres import Connection
from signals.domain.access.scopes import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOwner:
    """The owner of a key, the key's own limits (None: the default's), and its project's settings of doors.

    `revoked` keys are kept so that their use is distinct from a typing error. `origins` and `allowed` are
    those of a public key, None for any other.
    """

    key_id: UUID
    org_id: str
    project_id: str
    revoked: bool
    events_per_second: int | None = None
    events_per_day: int | None = None
    origins: list[str] | None = None
    allowed: list[str] | None = None
    signup_names: list[str] | None = None
    kept_fields: list[str] | None = None
    vercel_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """A key as people list it; `hash_prefix` tells two keys apart without helping anybody to use one.

    `scope` is None for a key that is older than our note of it.
    """

    key_id: UUID
    project_id: str
    scope: str | None
    hash_prefix: str
    created_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    events_per_second: int | None = None
    events_per_day: int | None = None
    origins: str | None = None
    allowed: str | None = None


FIND: LiteralString = """
SELECT k.id AS key_id, p.org_id, p.id AS project_id, k.revoked_at IS NOT NULL AS revoked,
       l.events_per_second, l.events_per_day, o.origins, o.allowed,
       d.signup_names, d.kept_fields, d.vercel_secret
FROM project_api_keys k
JOIN projects p ON p.id = k.project_id
LEFT JOIN pipeline.key_limits l ON l.key_id = k.id
LEFT JOIN pipeline.public_keys o ON o.key_id = k.id
LEFT JOIN pipeline.door_settings d ON d.project_id = p.id
WHERE k.key_hash = %(key_hash)s
"""


def find(connection: Connection, key_hash: str) -> KeyOwner | None:
    """Return the owner of the key with this hash, None when there is none."""
    with connection.cursor(row_factory=class_row(KeyOwner)) as cursor:
        return cursor.execute(FIND, {"key_hash": key_hash}).fetchone()


LOCK_PROJECT: LiteralString = "SELECT 1 FROM projects WHERE id = %(project_id)s FOR NO KEY UPDATE"


def lock_project(connection: Connection, project_id: str) -> bool:
    """Let no other transaction issue a key of the project until this one ends; False when there is none."""
    return connection.execute(LOCK_PROJECT, {"project_id": project_id}).rowcount == 1


VALID: LiteralString = """
SELECT k.id AS key_id, k.project_id, s.scope, left(k.key_hash, 8) AS hash_prefix,
       k.created_at, k.revoked_at, k.last_used_at
FROM project_api_keys k
JOIN pipeline.api_key_scopes s ON s.key_id = k.id
WHERE k.project_id = %(project_id)s AND s.scope = %(scope)s AND k.revoked_at IS NULL
ORDER BY k.created_at, k.id
"""


def valid_keys(connection: Connection, project_id: str, scope: Scope) -> Sequence[KeyRow]:
    """Return the keys of a project and scope that are not revoked, oldest first."""
    with connection.cursor(row_factory=class_row(KeyRow)) as cursor:
        return cursor.execute(VALID, {"project_id": project_id, "scope": scope.value}).fetchall()


INSERT: LiteralString = """
WITH key AS (
    INSERT INTO project_api_keys (id, project_id, key_hash, created_at)
    VALUES (%(key_id)s, %(project_id)s, %(key_hash)s, now())
    RETURNING id
)
INSERT INTO pipeline.api_key_scopes (key_id, scope) SELECT id, %(scope)s FROM key
"""


def insert(connection: Connection, *, key_id: UUID, project_id: str, scope: Scope, key_hash: str) -> None:
    """Store a new key of an existing project; `lock_project` and `valid_keys` say whether there is room."""
    parameters = {"key_id": key_id, "project_id": project_id, "scope": scope.value, "key_hash": key_hash}
    connection.execute(INSERT, parameters)


SET_PAGES: LiteralString = """
INSERT INTO pipeline.public_keys (key_id, origins, allowed)
SELECT s.key_id, %(origins)s, %(allowed)s FROM pipeline.api_key_scopes s
WHERE s.key_id = %(key_id)s AND s.scope = 'public'
ON CONFLICT (key_id) DO UPDATE SET origins = excluded.origins, allowed = excluded.allowed
"""


def set_pages(
    connection: Connection, key_id: UUID, *, origins: Sequence[str], allowed: Sequence[str]
) -> bool:
    """Set the origins and further event types of a public key; False when there is no such key."""
    parameters = {"key_id": key_id, "origins": list(origins), "allowed": list(allowed)}
    return connection.execute(SET_PAGES, parameters).rowcount == 1


COPY_PAGES: LiteralString = """
INSERT INTO pipeline.public_keys (key_id, origins, allowed)
SELECT %(to)s, origins, allowed FROM pipeline.public_keys WHERE key_id = %(of)s
ON CONFLICT (key_id) DO UPDATE SET origins = excluded.origins, allowed = excluded.allowed
"""


def copy_pages(connection: Connection, *, of: UUID, to: UUID) -> None:
    """Give a key the origins and event types of another one."""
    connection.execute(COPY_PAGES, {"of": of, "to": to})


REVOKE: LiteralString = """
UPDATE project_api_keys k SET revoked_at = now()
FROM projects p
WHERE p.id = k.project_id AND k.revoked_at IS NULL
  AND (k.id = %(key_id)s OR p.id = %(project_id)s OR p.org_id = %(org_id)s)
RETURNING k.id
"""


def revoke(
    connection: Connection,
    *,
    key_id: UUID | None = None,
    project_id: str | None = None,
    org_id: str | None = None,
) -> list[UUID]:
    """Revoke one key, or all keys of a project or of an organisation; return those that were valid."""
    parameters = {"key_id": key_id, "project_id": project_id, "org_id": org_id}
    return [row[0] for row in connection.execute(REVOKE, parameters)]


TOUCH: LiteralString = """
UPDATE project_api_keys SET last_used_at = now()
WHERE id IN (SELECT id FROM project_api_keys WHERE id = ANY(%(key_ids)s) FOR UPDATE SKIP LOCKED)
"""


def touch(connection: Connection, key_ids: Sequence[UUID]) -> int:
    """Write the use of several keys in one statement; return how many rows it hit.

    Rows that another process is writing at this moment are left to it, so that two cannot deadlock.
    """
    return connection.execute(TOUCH, {"key_ids": list(key_ids)}).rowcount


IS_USED: LiteralString = """
SELECT EXISTS (SELECT FROM project_api_keys
               WHERE id = %(key_id)s AND project_id = %(project_id)s AND last_used_at IS NOT NULL)
"""


def is_used(connection: Connection, project_id: str, key_id: UUID) -> bool:
    """Tell whether a key of the project was used."""
    row = connection.execute(IS_USED, {"key_id": key_id, "project_id": project_id}).fetchone()
    return bool(row and row[0])


LIST: LiteralString = """
SELECT k.id AS key_id, k.project_id, s.scope, left(k.key_hash, 8) AS hash_prefix,
       k.created_at, k.revoked_at, k.last_used_at, l.events_per_second, l.events_per_day,
       array_to_string(o.origins, ' ') AS origins, array_to_string(o.allowed, ' ') AS allowed
FROM project_api_keys k
LEFT JOIN pipeline.api_key_scopes s ON s.key_id = k.id
LEFT JOIN pipeline.key_limits l ON l.key_id = k.id
LEFT JOIN pipeline.public_keys o ON o.key_id = k.id
WHERE %(project_id)s::text IS NULL OR k.project_id = %(project_id)s
ORDER BY k.project_id, k.created_at, k.id
"""


def list_keys(connection: Connection, project_id: str | None = None) -> Sequence[KeyRow]:
    """Return the keys of one project, or of all, oldest first."""
    with connection.cursor(row_factory=class_row(KeyRow)) as cursor:
        return cursor.execute(LIST, {"project_id": project_id}).fetchall()
