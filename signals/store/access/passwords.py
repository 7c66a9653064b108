"""Hashes of passwords, and the browsers in which their owners signed in before."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from signals.clients.postgres import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPassword:
    """A person with the hash of their password, None without one; `is_known` is about a browser."""

    user_id: UUID
    email: str
    name: str
    hash: str | None = field(repr=False)
    is_known: bool = False


FIND: LiteralString = """
SELECT u.id AS user_id, u.email, u.name, p.hash,
       EXISTS (SELECT FROM people.browsers b
               WHERE b.user_id = u.id AND b.token_hash = %(browser_hash)s
                 AND b.last_used_at > now() - %(known_for)s) AS is_known
FROM people.users u
LEFT JOIN people.passwords p ON p.user_id = u.id
WHERE lower(u.email) = lower(%(email)s) AND u.disabled_at IS NULL
"""


def find(
    connection: Connection, email: str, *, browser_hash: str, known_for: timedelta
) -> StoredPassword | None:
    """Return the person with this address, None when there is none or they were removed."""
    values = {"email": email, "browser_hash": browser_hash, "known_for": known_for}
    with connection.cursor(row_factory=class_row(StoredPassword)) as cursor:
        return cursor.execute(FIND, values).fetchone()


OF_SESSION: LiteralString = """
SELECT u.id AS user_id, u.email, u.name, p.hash
FROM people.sessions s
JOIN people.users u ON u.id = s.user_id AND u.disabled_at IS NULL
LEFT JOIN people.passwords p ON p.user_id = u.id
WHERE s.id = %(session_id)s
"""


def of_session(connection: Connection, session_id: UUID) -> StoredPassword | None:
    """Return the owner of a session, None when it has ended."""
    with connection.cursor(row_factory=class_row(StoredPassword)) as cursor:
        return cursor.execute(OF_SESSION, {"session_id": session_id}).fetchone()


IS_FRESH: LiteralString = """
SELECT FROM people.sessions
WHERE id = %(session_id)s AND made_by <> 'password' AND created_at > now() - %(fresh)s
"""


def is_fresh(connection: Connection, session_id: UUID, fresh: timedelta) -> bool:
    """Tell whether a session was made without a password, and a moment ago."""
    return connection.execute(IS_FRESH, {"session_id": session_id, "fresh": fresh}).rowcount == 1


SET: LiteralString = """
INSERT INTO people.passwords (user_id, hash) VALUES (%(user_id)s, %(hash)s)
ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, changed_at = now()
"""


def set_hash(connection: Connection, user_id: UUID, hashed: str) -> None:
    """Store the hash of a person's password in place of the one before."""
    connection.execute(SET, {"user_id": user_id, "hash": hashed})


REPLACE: LiteralString = """
UPDATE people.passwords SET hash = %(hash)s WHERE user_id = %(user_id)s AND hash = %(before)s
"""


def replace_hash(connection: Connection, user_id: UUID, *, before: str, hashed: str) -> bool:
    """Store a hash of the same password with other parameters; False when it was changed meanwhile."""
    return connection.execute(REPLACE, {"user_id": user_id, "before": before, "hash": hashed}).rowcount == 1


STILL: LiteralString = """
SELECT FROM people.passwords p JOIN people.users u ON u.id = p.user_id AND u.disabled_at IS NULL
WHERE p.user_id = %(user_id)s AND p.hash = %(hash)s
FOR SHARE OF p
"""


def is_still(connection: Connection, user_id: UUID, hashed: str) -> bool:
    """Tell whether a hash is still the person's; it stays so until this transaction ends."""
    return connection.execute(STILL, {"user_id": user_id, "hash": hashed}).rowcount == 1


REMOVE: LiteralString = "DELETE FROM people.passwords WHERE user_id = %(user_id)s"


def remove(connection: Connection, user_id: UUID) -> bool:
    """Remove a person's password; False when they have none."""
    return connection.execute(REMOVE, {"user_id": user_id}).rowcount == 1


KNOW_BROWSER: LiteralString = """
INSERT INTO people.browsers (token_hash, user_id) VALUES (%(token_hash)s, %(user_id)s)
ON CONFLICT (token_hash) DO UPDATE SET last_used_at = now()
WHERE people.browsers.user_id = excluded.user_id
"""


def know_browser(connection: Connection, *, token_hash: str, user_id: UUID) -> None:
    """Note that a person signed in with a browser."""
    connection.execute(KNOW_BROWSER, {"token_hash": token_hash, "user_id": user_id})


FORGET_BROWSERS: LiteralString = "DELETE FROM people.browsers WHERE user_id = %(user_id)s"


def forget_browsers(connection: Connection, user_id: UUID) -> None:
    """Forget every browser of a person."""
    connection.execute(FORGET_BROWSERS, {"user_id": user_id})
