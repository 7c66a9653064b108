"""API keys by their hashes: whose they are, whether they were revoked, when they were last used."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from signals.clients.postgres import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOwner:
    """Whose key it is; `revoked` keys are kept so that their use can be told from a typing error."""

    key_id: UUID
    org_id: str
    project_id: str
    revoked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """A key as people list it; `hash_prefix` tells two keys apart without helping anybody to use one."""

    key_id: UUID
    project_id: str
    hash_prefix: str
    created_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None


FIND: LiteralString = """
SELECT k.id AS key_id, p.org_id, p.id AS project_id, k.revoked_at IS NOT NULL AS revoked
FROM project_api_keys k
JOIN projects p ON p.id = k.project_id
WHERE k.key_hash = %(key_hash)s
"""


def find(connection: Connection, key_hash: str) -> KeyOwner | None:
    """Return the owner of the key with this hash, None when there is none."""
    with connection.cursor(row_factory=class_row(KeyOwner)) as cursor:
        return cursor.execute(FIND, {"key_hash": key_hash}).fetchone()


INSERT: LiteralString = """
INSERT INTO project_api_keys (id, project_id, key_hash, created_at)
SELECT %(key_id)s, p.id, %(key_hash)s, now()
FROM projects p
WHERE p.id = %(project_id)s
"""


def insert(connection: Connection, *, key_id: UUID, project_id: str, key_hash: str) -> bool:
    """Store a new key; False when there is no such project."""
    parameters = {"key_id": key_id, "project_id": project_id, "key_hash": key_hash}
    return connection.execute(INSERT, parameters).rowcount == 1


REVOKE: LiteralString = """
UPDATE project_api_keys k SET revoked_at = now()
FROM projects p
WHERE p.id = k.project_id AND k.revoked_at IS NULL
  AND (k.id = %(key_id)s OR p.id = %(project_id)s OR p.org_id = %(org_id)s)
"""


def revoke(
    connection: Connection,
    *,
    key_id: UUID | None = None,
    project_id: str | None = None,
    org_id: str | None = None,
) -> int:
    """Revoke one key, or all keys of a project or of an organisation; return how many were valid."""
    parameters = {"key_id": key_id, "project_id": project_id, "org_id": org_id}
    return connection.execute(REVOKE, parameters).rowcount


TOUCH: LiteralString = """
UPDATE project_api_keys SET last_used_at = now()
WHERE id IN (SELECT id FROM project_api_keys WHERE id = ANY(%(key_ids)s) FOR UPDATE SKIP LOCKED)
"""


def touch(connection: Connection, key_ids: Sequence[UUID]) -> int:
    """Write the use of several keys in one statement; return how many rows it hit.

    Rows that another process is writing at this moment are left to it, so that two cannot deadlock.
    """
    return connection.execute(TOUCH, {"key_ids": list(key_ids)}).rowcount


LIST: LiteralString = """
SELECT id AS key_id, project_id, left(key_hash, 8) AS hash_prefix, created_at, revoked_at, last_used_at
FROM project_api_keys
WHERE %(project_id)s::text IS NULL OR project_id = %(project_id)s
ORDER BY project_id, created_at, id
"""


def list_keys(connection: Connection, project_id: str | None = None) -> Sequence[KeyRow]:
    """Return the keys of one project, or of all, oldest first."""
    with connection.cursor(row_factory=class_row(KeyRow)) as cursor:
        return cursor.execute(LIST, {"project_id": project_id}).fetchall()
