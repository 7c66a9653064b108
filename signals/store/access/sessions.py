"""Sign-in links and sessions by the hashes of their tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, LiteralString
from uuid import UUID

from psycopg.rows import class_row

from signals.clients.postgres import Connection

INSERT_LINK: LiteralString = """
INSERT INTO people.sign_in_links (token_hash, user_id, expires_at)
VALUES (%(token_hash)s, %(user_id)s, now() + %(lasts)s)
"""


def insert_link(connection: Connection, *, token_hash: str, user_id: UUID, lasts: timedelta) -> None:
    """Store a one-time sign-in link of a person."""
    connection.execute(INSERT_LINK, {"token_hash": token_hash, "user_id": user_id, "lasts": lasts})


# The row goes with its use: of two requests with one token, one finds it.
SPEND_LINK: LiteralString = """
DELETE FROM people.sign_in_links l USING people.users u
WHERE l.token_hash = %(token_hash)s AND l.expires_at > now() AND u.id = l.user_id AND u.disabled_at IS NULL
RETURNING l.user_id
"""


def spend_link(connection: Connection, token_hash: str) -> UUID | None:
    """Use a link up; return whose it was, None when it does not exist, was used, or has expired."""
    row = connection.execute(SPEND_LINK, {"token_hash": token_hash}).fetchone()
    return row[0] if row else None


INSERT_SESSION: LiteralString = """
INSERT INTO people.sessions (token_hash, id, user_id, browser, made_by, expires_at)
VALUES (%(token_hash)s, %(session_id)s, %(user_id)s, %(browser)s, %(made_by)s, now() + %(lasts)s)
"""
SessionOrigin = Literal["link", "password", "provider"]


def insert_session(
    connection: Connection,
    *,
    token_hash: str,
    session_id: UUID,
    user_id: UUID,
    browser: str,
    made_by: SessionOrigin,
    lasts: timedelta,
) -> None:
    """Store a session of a person; `browser` tells its owner which one it is."""
    values = {
        "token_hash": token_hash,
        "session_id": session_id,
        "user_id": user_id,
        "browser": browser,
        "made_by": made_by,
        "lasts": lasts,
    }
    connection.execute(INSERT_SESSION, values)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """A valid session joined with one project that its owner may open; the latter is None without any."""

    session_id: UUID
    user_id: UUID
    email: str
    name: str
    org_id: str | None
    org_name: str | None
    role: str | None
    project_id: str | None
    project_name: str | None


# Written once a minute at most: every page would otherwise cost a row version.
FIND_SESSION: LiteralString = """
WITH seen AS (
    UPDATE people.sessions SET last_seen_at = now()
    WHERE %(is_use)s AND token_hash = %(token_hash)s AND expires_at > now()
      AND last_seen_at > now() - %(idle)s AND last_seen_at < now() - interval '1 minute'
)
SELECT s.id AS session_id, u.id AS user_id, u.email, u.name,
       m.org_id, o.name AS org_name, m.role, p.id AS project_id, p.name AS project_name
FROM people.sessions s
JOIN people.users u ON u.id = s.user_id AND u.disabled_at IS NULL
LEFT JOIN people.memberships m ON m.user_id = u.id
LEFT JOIN orgs o ON o.id = m.org_id
LEFT JOIN projects p ON p.org_id = m.org_id
WHERE s.token_hash = %(token_hash)s AND s.expires_at > now() AND s.last_seen_at > now() - %(idle)s
ORDER BY m.org_id, p.id
"""


def find_session(
    connection: Connection, token_hash: str, *, idle: timedelta, is_use: bool
) -> Sequence[SessionRow]:
    """Return a valid session with the projects of its owner, nothing when there is none; note a use."""
    values = {"token_hash": token_hash, "idle": idle, "is_use": is_use}
    with connection.cursor(row_factory=class_row(SessionRow)) as cursor:
        return cursor.execute(FIND_SESSION, values).fetchall()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedInBrowser:
    """A session as its owner sees it in a list."""

    session_id: UUID
    browser: str
    created_at: datetime
    last_seen_at: datetime


LIST_SESSIONS: LiteralString = """
SELECT id AS session_id, browser, created_at, last_seen_at
FROM people.sessions
WHERE user_id = %(user_id)s AND expires_at > now() AND last_seen_at > now() - %(idle)s
ORDER BY last_seen_at DESC
"""


def list_sessions(connection: Connection, user_id: UUID, *, idle: timedelta) -> Sequence[SignedInBrowser]:
    """Return the valid sessions of a person, last used first."""
    with connection.cursor(row_factory=class_row(SignedInBrowser)) as cursor:
        return cursor.execute(LIST_SESSIONS, {"user_id": user_id, "idle": idle}).fetchall()


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberWaysIn:
    """The valid sessions of a member, and until when a sign-in link is unused; None without one."""

    user_id: UUID
    sessions: int
    link_until: datetime | None


LIST_WAYS_IN: LiteralString = """
SELECT m.user_id,
       (SELECT count(*) FROM people.sessions s
        WHERE s.user_id = m.user_id AND s.expires_at > now() AND s.last_seen_at > now() - %(idle)s
       ) AS sessions,
       (SELECT max(l.expires_at) FROM people.sign_in_links l
        WHERE l.user_id = m.user_id AND l.expires_at > now()) AS link_until
FROM people.memberships m
WHERE m.org_id = %(org_id)s
"""


def list_ways_in(connection: Connection, org_id: str, *, idle: timedelta) -> Sequence[MemberWaysIn]:
    """Return how each member of an organisation is, or can get, signed in."""
    with connection.cursor(row_factory=class_row(MemberWaysIn)) as cursor:
        return cursor.execute(LIST_WAYS_IN, {"org_id": org_id, "idle": idle}).fetchall()


END_SESSION: LiteralString = """
DELETE FROM people.sessions WHERE user_id = %(user_id)s AND id = %(session_id)s
"""


def end_session(connection: Connection, *, user_id: UUID, session_id: UUID) -> bool:
    """End one session of a person; False when they have no such one."""
    values = {"user_id": user_id, "session_id": session_id}
    return connection.execute(END_SESSION, values).rowcount == 1


END_ALL: LiteralString = """
WITH links AS (DELETE FROM people.sign_in_links WHERE user_id = %(user_id)s)
DELETE FROM people.sessions WHERE user_id = %(user_id)s
"""


def end_all(connection: Connection, user_id: UUID) -> int:
    """End every session of a person and every unused link; return how many sessions there were."""
    return connection.execute(END_ALL, {"user_id": user_id}).rowcount


REMOVE_EXPIRED: LiteralString = """
WITH links AS (DELETE FROM people.sign_in_links WHERE expires_at < now()),
     buckets AS (DELETE FROM pipeline.rate_limits
                 WHERE name LIKE 'sign-in:%%' AND updated_at < now() - %(idle)s),
     browsers AS (DELETE FROM people.browsers WHERE last_used_at < now() - %(known_for)s)
DELETE FROM people.sessions WHERE expires_at < now() OR last_seen_at < now() - %(idle)s
"""


def remove_expired(connection: Connection, *, idle: timedelta, known_for: timedelta) -> int:
    """Remove sessions, links, known browsers and limits that have run out; return how many sessions."""
    return connection.execute(REMOVE_EXPIRED, {"idle": idle, "known_for": known_for}).rowcount
