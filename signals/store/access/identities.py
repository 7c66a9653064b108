"""People as an OpenID Connect provider names them."""

from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from signals.clients.postgres import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownIdentity:
    """The person behind an identity or an address; `subject` is None where the provider named none yet."""

    user_id: UUID
    is_enabled: bool
    subject: str | None


FIND: LiteralString = """
SELECT u.id AS user_id, u.disabled_at IS NULL AS is_enabled, i.subject
FROM people.identities i JOIN people.users u ON u.id = i.user_id
WHERE i.issuer = %(issuer)s AND i.subject = %(subject)s
"""


def find(connection: Connection, *, issuer: str, subject: str) -> KnownIdentity | None:
    """Return whose identity it is, None when it was never seen."""
    with connection.cursor(row_factory=class_row(KnownIdentity)) as cursor:
        return cursor.execute(FIND, {"issuer": issuer, "subject": subject}).fetchone()


# The row of the person is locked: of two identities with one address, one gets the person.
FIND_BY_EMAIL: LiteralString = """
SELECT u.id AS user_id, u.disabled_at IS NULL AS is_enabled,
       (SELECT i.subject FROM people.identities i WHERE i.user_id = u.id AND i.issuer = %(issuer)s) AS subject
FROM people.users u WHERE lower(u.email) = lower(%(email)s)
FOR UPDATE OF u
"""


def find_by_email(connection: Connection, email: str, *, issuer: str) -> KnownIdentity | None:
    """Return the person with this address, removed ones too, None when there is none."""
    with connection.cursor(row_factory=class_row(KnownIdentity)) as cursor:
        return cursor.execute(FIND_BY_EMAIL, {"email": email, "issuer": issuer}).fetchone()


INSERT: LiteralString = """
INSERT INTO people.identities (issuer, subject, user_id) VALUES (%(issuer)s, %(subject)s, %(user_id)s)
ON CONFLICT DO NOTHING
"""


def insert(connection: Connection, *, issuer: str, subject: str, user_id: UUID) -> bool:
    """Note that an identity is this person; False when either has another one already."""
    values = {"issuer": issuer, "subject": subject, "user_id": user_id}
    return connection.execute(INSERT, values).rowcount == 1
