"""Erases what names a person. Their id stays in timelines and in the audit, without a name."""

from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from signals.clients.postgres import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPerson:
    """A person with what names them, removed ones too."""

    user_id: UUID
    email: str
    name: str


FIND: LiteralString = """
SELECT id AS user_id, email, name FROM people.users WHERE lower(email) = lower(%(email)s) FOR UPDATE
"""


def find(connection: Connection, email: str) -> NamedPerson | None:
    """Return the person with this address and lock their row, None when there is none."""
    with connection.cursor(row_factory=class_row(NamedPerson)) as cursor:
        return cursor.execute(FIND, {"email": email}).fetchone()


ORGS: LiteralString = """
SELECT org_id FROM people.memberships WHERE user_id = %(user_id)s
UNION
SELECT org_id FROM people.audit WHERE object = 'user:' || %(user_id)s
"""


def orgs_ever(connection: Connection, user_id: UUID) -> list[str]:
    """Return the organisations that a person is or was a member of."""
    return sorted(org_id for (org_id,) in connection.execute(ORGS, {"user_id": user_id}))


ERASE: LiteralString = """
WITH sessions AS (DELETE FROM people.sessions WHERE user_id = %(user_id)s),
     links AS (DELETE FROM people.sign_in_links WHERE user_id = %(user_id)s),
     passwords AS (DELETE FROM people.passwords WHERE user_id = %(user_id)s),
     browsers AS (DELETE FROM people.browsers WHERE user_id = %(user_id)s),
     tokens AS (DELETE FROM people.tokens WHERE user_id = %(user_id)s),
     identities AS (DELETE FROM people.identities WHERE user_id = %(user_id)s),
     views AS (DELETE FROM people.views WHERE user_id = %(user_id)s),
     memberships AS (DELETE FROM people.memberships WHERE user_id = %(user_id)s)
UPDATE people.users
SET email = 'erased-' || id || '@erased.invalid', name = 'Erased person',
    disabled_at = coalesce(disabled_at, now())
WHERE id = %(user_id)s
"""


def erase(connection: Connection, user_id: UUID) -> None:
    """Delete everything of a person but their id."""
    connection.execute(ERASE, {"user_id": user_id})


# An assignee is text that a colleague wrote: the address, or the name, which another person may have as well.
ERASE_ASSIGNEE: LiteralString = """
WITH written(assignee) AS (
    SELECT %(email)s UNION
    SELECT %(name)s WHERE NOT EXISTS (SELECT FROM people.users WHERE name = %(name)s AND id <> %(user_id)s)
),
cares AS (
    UPDATE pipeline.outage_cares c SET assignee = 'erased person'
    FROM written, pipeline.outages o JOIN projects p ON p.id = o.project_id
    WHERE o.id = c.outage_id AND p.org_id = ANY(%(org_ids)s) AND c.assignee = written.assignee
)
UPDATE pipeline.incident_changes c SET detail = jsonb_set(c.detail, '{assignee}', '"erased person"')
FROM written, incidents i
WHERE i.id = c.incident_id AND i.org_id = ANY(%(org_ids)s) AND c.detail->>'assignee' = written.assignee
"""


def erase_assignee(connection: Connection, person: NamedPerson, org_ids: list[str]) -> int:
    """Take a person out of assignments, past ones too; return how many changes named them."""
    values = {
        "org_ids": org_ids,
        "user_id": person.user_id,
        "email": person.email,
        "name": person.name,
    }
    return connection.execute(ERASE_ASSIGNEE, values).rowcount
