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
VALUES (%(key_id)s, %(project_id)s, %(key_hash)s, now())
"""


def insert(connection: Connection, *, key_id: UUID, project_id: str, key_hash: str) -> None:
    """Store a new key of an existing project."""
    connection.execute(INSERT, {"key_id": key_id, "project_id": project_id, "key_hash": key_hash})


REVOKE: LiteralString = """
UPDATE project_api_keys SET revoked_at = now() WHERE id = %(key_id)s AND revoked_at IS NULL
"""


def revoke(connection: Connection, key_id: UUID) -> bool:
    """Revoke a key; False when it does not exist or was revoked before."""
    return connection.execute(REVOKE, {"key_id": key_id}).rowcount == 1


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
