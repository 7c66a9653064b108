"""Organisations and their projects."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from psycopg.rows import class_row

from signals.clients.postgres import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Org:
    """An organisation and how many projects it has."""

    id: str
    name: str
    created_at: datetime
    projects: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project and how many keys of it are valid."""

    id: str
    org_id: str
    name: str
    created_at: datetime
    valid_keys: int


INSERT_ORG: LiteralString = """
INSERT INTO orgs (id, name, created_at) VALUES (%(org_id)s, %(name)s, now()) ON CONFLICT (id) DO NOTHING
"""


def insert_org(connection: Connection, *, org_id: str, name: str) -> bool:
    """Create an organisation; False when it exists."""
    return connection.execute(INSERT_ORG, {"org_id": org_id, "name": name}).rowcount == 1


INSERT_PROJECT: LiteralString = """
INSERT INTO projects (id, org_id, name, created_at)
SELECT %(project_id)s, o.id, %(name)s, now() FROM orgs o WHERE o.id = %(org_id)s
ON CONFLICT (id) DO NOTHING
"""


def insert_project(connection: Connection, *, project_id: str, org_id: str, name: str) -> bool:
    """Create a project; False when it exists, or its organisation does not."""
    parameters = {"project_id": project_id, "org_id": org_id, "name": name}
    return connection.execute(INSERT_PROJECT, parameters).rowcount == 1


RENAME_PROJECT: LiteralString = """
WITH former AS (SELECT id, name FROM projects WHERE id = %(project_id)s FOR UPDATE)
UPDATE projects p SET name = %(name)s FROM former WHERE p.id = former.id
RETURNING former.name
"""


def rename_project(connection: Connection, project_id: str, name: str) -> str | None:
    """Give a project another name; return the former one, None when there is no such project."""
    row = connection.execute(RENAME_PROJECT, {"project_id": project_id, "name": name}).fetchone()
    return row[0] if row else None


LIST_ORGS: LiteralString = """
SELECT o.id, o.name, o.created_at, count(p.id) AS projects
FROM orgs o LEFT JOIN projects p ON p.org_id = o.id
GROUP BY o.id
ORDER BY o.id
"""


def list_orgs(connection: Connection) -> Sequence[Org]:
    """Return every organisation by id."""
    with connection.cursor(row_factory=class_row(Org)) as cursor:
        return cursor.execute(LIST_ORGS).fetchall()


LIST_PROJECTS: LiteralString = """
SELECT p.id, p.org_id, p.name, p.created_at,
       count(k.id) FILTER (WHERE k.revoked_at IS NULL) AS valid_keys
FROM projects p LEFT JOIN project_api_keys k ON k.project_id = p.id
WHERE %(org_id)s::text IS NULL OR p.org_id = %(org_id)s
GROUP BY p.id
ORDER BY p.org_id, p.id
"""


def list_projects(connection: Connection, org_id: str | None = None) -> Sequence[Project]:
    """Return the projects of one organisation, or of all, by id."""
    with connection.cursor(row_factory=class_row(Project)) as cursor:
        return cursor.execute(LIST_PROJECTS, {"org_id": org_id}).fetchall()
