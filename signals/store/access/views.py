"""Views that people saved: the query of a page's address under a name of theirs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, LiteralString
from uuid import UUID

from psycopg.rows import class_row

from signals.clients.postgres import Connection

ViewPage = Literal["outages", "incidents", "search"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedView:
    """A view of one person in one project."""

    id: UUID
    name: str
    query: str


LIST: LiteralString = """
SELECT id, name, query FROM people.views
WHERE user_id = %(user_id)s AND project_id = %(project_id)s AND page = %(page)s
ORDER BY name
"""


def list_views(
    connection: Connection, *, user_id: UUID, project_id: str, page: ViewPage
) -> Sequence[SavedView]:
    """Return a person's views of a page, by name."""
    values = {"user_id": user_id, "project_id": project_id, "page": page}
    with connection.cursor(row_factory=class_row(SavedView)) as cursor:
        return cursor.execute(LIST, values).fetchall()


# Under the same name the newer query counts.
SAVE: LiteralString = """
INSERT INTO people.views (id, user_id, project_id, page, name, query)
SELECT %(view_id)s, %(user_id)s, %(project_id)s, %(page)s, %(name)s, %(query)s
WHERE (SELECT count(*) FROM people.views
       WHERE user_id = %(user_id)s AND project_id = %(project_id)s AND page = %(page)s) < %(most)s
ON CONFLICT (user_id, project_id, page, name) DO UPDATE SET query = excluded.query
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewView:
    """The columns of a view that is saved."""

    view_id: UUID
    user_id: UUID
    project_id: str
    page: ViewPage
    name: str
    query: str


def save(connection: Connection, view: NewView, *, most: int) -> bool:
    """Store a view; False when the person has `most` of the page."""
    values = {
        "view_id": view.view_id,
        "user_id": view.user_id,
        "project_id": view.project_id,
        "page": view.page,
        "name": view.name,
        "query": view.query,
        "most": most,
    }
    return connection.execute(SAVE, values).rowcount == 1


DELETE: LiteralString = """
DELETE FROM people.views WHERE id = %(view_id)s AND user_id = %(user_id)s AND project_id = %(project_id)s
"""


def delete(connection: Connection, view_id: UUID, *, user_id: UUID, project_id: str) -> bool:
    """Delete a view of the person; False when they have no such one."""
    values = {"view_id": view_id, "user_id": user_id, "project_id": project_id}
    return connection.execute(DELETE, values).rowcount == 1
