"""People and their memberships of organisations."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from signals.clients.postgres import Connection
from signals.domain.access.people import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class OrgMember:
    """A person in an organisation; `last_seen_at` is of their newest session, None without one."""

    user_id: UUID
    email: str
    name: str
    org_id: str
    role: str
    created_at: datetime
    last_seen_at: datetime | None


UPSERT_USER: LiteralString = """
INSERT INTO people.users AS known (id, email, name)
VALUES (%(user_id)s, %(email)s, coalesce(%(name)s, %(default_name)s))
ON CONFLICT (lower(email)) DO UPDATE SET name = coalesce(%(name)s, known.name), disabled_at = NULL
RETURNING id
"""


def upsert_user(
    connection: Connection, *, user_id: UUID, email: str, name: str | None, default_name: str
) -> UUID:
    """Create a person, or enable the one with this address; return their id. None keeps a known name."""
    values = {"user_id": user_id, "email": email, "name": name, "default_name": default_name}
    row = connection.execute(UPSERT_USER, values).fetchone()
    assert row is not None, "an upsert returns its row"
    found: UUID = row[0]
    return found


FIND_USER: LiteralString = """
SELECT id FROM people.users WHERE lower(email) = lower(%(email)s) AND disabled_at IS NULL
"""


def find_user(connection: Connection, email: str) -> UUID | None:
    """Return the id of the person with this address, None when there is none or they were removed."""
    row = connection.execute(FIND_USER, {"email": email}).fetchone()
    return row[0] if row else None


ELSEWHERE: LiteralString = """
SELECT EXISTS (SELECT FROM people.memberships WHERE user_id = %(user_id)s AND org_id <> %(org_id)s)
"""


def is_member_elsewhere(connection: Connection, user_id: UUID, org_id: str) -> bool:
    """Tell whether a person is a member of another organisation."""
    row = connection.execute(ELSEWHERE, {"user_id": user_id, "org_id": org_id}).fetchone()
    return bool(row and row[0])


ONLY_MEMBER_OF: LiteralString = """
SELECT count(*) FILTER (WHERE org_id = %(org_id)s) = 1 AND count(*) = 1
FROM people.memberships WHERE user_id = %(user_id)s
"""


def is_only_member_of(connection: Connection, user_id: UUID, org_id: str) -> bool:
    """Tell whether the organisation is the only one of a person."""
    row = connection.execute(ONLY_MEMBER_OF, {"user_id": user_id, "org_id": org_id}).fetchone()
    return bool(row and row[0])


SET_MEMBERSHIP: LiteralString = """
INSERT INTO people.memberships (org_id, user_id, role)
SELECT o.id, %(user_id)s, %(role)s FROM orgs o WHERE o.id = %(org_id)s
ON CONFLICT (user_id, org_id) DO UPDATE SET role = excluded.role
"""


def set_membership(connection: Connection, *, user_id: UUID, org_id: str, role: Role) -> bool:
    """Make a person a member with a role, or change the role; False when there is no such organisation."""
    values = {"user_id": user_id, "org_id": org_id, "role": role.value}
    return connection.execute(SET_MEMBERSHIP, values).rowcount == 1


# Locks the organisation's admins, so that two of them cannot remove each other at once.
ADMINS: LiteralString = """
SELECT user_id FROM people.memberships WHERE org_id = %(org_id)s AND role = 'admin'
ORDER BY user_id FOR UPDATE
"""


def lock_admins(connection: Connection, org_id: str) -> set[UUID]:
    """Return the admins of an organisation; none changes before this transaction ends."""
    return {user_id for (user_id,) in connection.execute(ADMINS, {"org_id": org_id})}


REMOVE_MEMBERSHIPS: LiteralString = """
DELETE FROM people.memberships
WHERE user_id = %(user_id)s AND (%(org_id)s::text IS NULL OR org_id = %(org_id)s)
RETURNING org_id
"""


def remove_memberships(connection: Connection, user_id: UUID, org_id: str | None = None) -> list[str]:
    """End the membership of one organisation, or of all; return which were ended."""
    values = {"user_id": user_id, "org_id": org_id}
    return [ended for (ended,) in connection.execute(REMOVE_MEMBERSHIPS, values)]


ORGS_OF: LiteralString = "SELECT org_id FROM people.memberships WHERE user_id = %(user_id)s ORDER BY org_id"


def orgs_of(connection: Connection, user_id: UUID) -> list[str]:
    """Return the organisations that a person is a member of."""
    return [org_id for (org_id,) in connection.execute(ORGS_OF, {"user_id": user_id})]


MAY_OPEN: LiteralString = """
SELECT EXISTS (SELECT FROM people.memberships m JOIN projects p ON p.org_id = m.org_id
               WHERE m.user_id = %(user_id)s AND p.id = %(project_id)s)
"""


def may_open(connection: Connection, user_id: UUID, project_id: str) -> bool:
    """Tell whether a person is a member of the organisation of a project."""
    row = connection.execute(MAY_OPEN, {"user_id": user_id, "project_id": project_id}).fetchone()
    return bool(row and row[0])


DISABLE: LiteralString = """
UPDATE people.users u SET disabled_at = now()
WHERE u.id = %(user_id)s AND u.disabled_at IS NULL
  AND NOT EXISTS (SELECT FROM people.memberships m WHERE m.user_id = u.id)
"""


def disable_if_nowhere(connection: Connection, user_id: UUID) -> bool:
    """Disable a person without any membership; False when there is one."""
    return connection.execute(DISABLE, {"user_id": user_id}).rowcount == 1


LIST: LiteralString = """
SELECT u.id AS user_id, u.email, u.name, m.org_id, m.role, m.created_at,
       (SELECT max(s.last_seen_at) FROM people.sessions s WHERE s.user_id = u.id) AS last_seen_at
FROM people.memberships m
JOIN people.users u ON u.id = m.user_id
WHERE %(org_id)s::text IS NULL OR m.org_id = %(org_id)s
ORDER BY m.org_id, lower(u.email)
"""


def list_members(connection: Connection, org_id: str | None = None) -> Sequence[OrgMember]:
    """Return the members of one organisation, or of all, by address."""
    with connection.cursor(row_factory=class_row(OrgMember)) as cursor:
        return cursor.execute(LIST, {"org_id": org_id}).fetchall()
