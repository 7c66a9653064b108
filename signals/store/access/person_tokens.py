"""Tokens with which a person's programs use the API of one project."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from signals.clients.postgres import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenOwner:
    """The person behind a valid token, with their role in the organisation of its project."""

    token_id: UUID
    user_id: UUID
    org_id: str
    project_id: str
    role: str


# Written once a minute at most, as the use of a session is. A membership that has ended ends the token.
USE: LiteralString = """
WITH used AS (
    UPDATE people.tokens SET last_used_at = now()
    WHERE token_hash = %(token_hash)s AND expires_at > now()
      AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
)
SELECT t.id AS token_id, t.user_id, p.org_id, t.project_id, m.role
FROM people.tokens t
JOIN people.users u ON u.id = t.user_id AND u.disabled_at IS NULL
JOIN projects p ON p.id = t.project_id
JOIN people.memberships m ON m.user_id = t.user_id AND m.org_id = p.org_id
WHERE t.token_hash = %(token_hash)s AND t.expires_at > now()
"""


def use(connection: Connection, token_hash: str) -> TokenOwner | None:
    """Return whose token it is, None for none, an expired one or one of a person who left; note the use."""
    with connection.cursor(row_factory=class_row(TokenOwner)) as cursor:
        return cursor.execute(USE, {"token_hash": token_hash}).fetchone()


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """A token as its owner and admins list it."""

    token_id: UUID
    email: str
    project_id: str
    name: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


INSERT: LiteralString = """
INSERT INTO people.tokens (id, user_id, project_id, name, token_hash, expires_at)
SELECT %(token_id)s, m.user_id, p.id, %(name)s, %(token_hash)s, now() + %(lasts)s
FROM projects p JOIN people.memberships m ON m.org_id = p.org_id
WHERE p.id = %(project_id)s AND m.user_id = %(user_id)s
ON CONFLICT (user_id, project_id, name) DO NOTHING
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """The stored parts of a token that is valid for `lasts`."""

    token_id: UUID
    user_id: UUID
    project_id: str
    name: str
    token_hash: str
    lasts: timedelta


def insert(connection: Connection, new: NewToken) -> bool:
    """Store a token; False when its owner is no member there, or has one of this name there."""
    values = {
        "token_id": new.token_id,
        "user_id": new.user_id,
        "project_id": new.project_id,
        "name": new.name,
        "token_hash": new.token_hash,
        "lasts": new.lasts,
    }
    return connection.execute(INSERT, values).rowcount == 1


LIST: LiteralString = """
SELECT t.id AS token_id, u.email, t.project_id, t.name, t.created_at, t.expires_at, t.last_used_at
FROM people.tokens t JOIN people.users u ON u.id = t.user_id
WHERE t.expires_at > now() AND (%(user_id)s::uuid IS NULL OR t.user_id = %(user_id)s)
ORDER BY lower(u.email), t.project_id, t.name
"""


def list_tokens(connection: Connection, user_id: UUID | None = None) -> Sequence[TokenRow]:
    """Return the valid tokens of one person, or of all, by address, project and name."""
    with connection.cursor(row_factory=class_row(TokenRow)) as cursor:
        return cursor.execute(LIST, {"user_id": user_id}).fetchall()


COUNT: LiteralString = """
WITH expired AS (DELETE FROM people.tokens WHERE user_id = %(user_id)s AND expires_at <= now())
SELECT count(*) FROM people.tokens WHERE user_id = %(user_id)s AND expires_at > now()
"""


def count(connection: Connection, user_id: UUID) -> int:
    """Return how many valid tokens a person has; removes those that have expired."""
    row = connection.execute(COUNT, {"user_id": user_id}).fetchone()
    return int(row[0]) if row else 0


REVOKE: LiteralString = """
DELETE FROM people.tokens t USING projects p
WHERE t.id = %(token_id)s AND (%(user_id)s::uuid IS NULL OR t.user_id = %(user_id)s) AND p.id = t.project_id
RETURNING t.user_id, t.project_id, t.name
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedToken:
    """A removed token, for the audit."""

    user_id: UUID
    project_id: str
    name: str


def revoke(connection: Connection, token_id: UUID, user_id: UUID | None = None) -> RevokedToken | None:
    """Remove a token, of one person if named; None when there is no such one."""
    with connection.cursor(row_factory=class_row(RevokedToken)) as cursor:
        return cursor.execute(REVOKE, {"token_id": token_id, "user_id": user_id}).fetchone()
