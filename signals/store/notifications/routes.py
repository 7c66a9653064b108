"""Routes: which incidents of a project are told to which destination."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from signals.clients.postgres import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRoute:
    """One row."""

    id: UUID
    project_id: str
    destination_id: UUID
    environments: list[str] | None
    min_severity: str
    verdicts: list[str]
    fingerprint: str | None
    quiet: dict[str, Any] | None
    created_at: datetime
    created_by: str


LIST: LiteralString = """
SELECT id, project_id, destination_id, environments, min_severity, verdicts, fingerprint, quiet, created_at,
       created_by
FROM pipeline.routes
WHERE project_id = ANY(%(project_ids)s)
ORDER BY project_id, created_at, id
"""


def list_routes(connection: Connection, project_ids: Collection[str]) -> Sequence[StoredRoute]:
    """Return the routes of these projects, oldest first."""
    with connection.cursor(row_factory=class_row(StoredRoute)) as cursor:
        return cursor.execute(LIST, {"project_ids": list(project_ids)}).fetchall()


INSERT: LiteralString = """
INSERT INTO pipeline.routes (id, project_id, destination_id, environments, min_severity, verdicts,
                             fingerprint, quiet, created_by)
SELECT %(id)s, d.project_id, d.id, %(environments)s, %(min_severity)s, %(verdicts)s, %(fingerprint)s,
       %(quiet)s, %(created_by)s
FROM pipeline.destinations d
WHERE d.id = %(destination_id)s AND d.project_id = %(project_id)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRoute:
    """A route to insert."""

    id: UUID
    project_id: str
    destination_id: UUID
    environments: list[str] | None
    min_severity: str
    verdicts: list[str]
    fingerprint: str | None
    quiet: dict[str, Any] | None
    created_by: str


def insert(connection: Connection, route: NewRoute) -> bool:
    """Store a new route; False when the project has no such destination."""
    values = {
        "id": route.id,
        "project_id": route.project_id,
        "destination_id": route.destination_id,
        "environments": route.environments,
        "min_severity": route.min_severity,
        "verdicts": route.verdicts,
        "fingerprint": route.fingerprint,
        "quiet": Jsonb(route.quiet) if route.quiet else None,
        "created_by": route.created_by,
    }
    return connection.execute(INSERT, values).rowcount == 1


COUNT: LiteralString = "SELECT count(*) FROM pipeline.routes WHERE project_id = %(project_id)s"


def count(connection: Connection, project_id: str) -> int:
    """Return how many routes the project has."""
    row = connection.execute(COUNT, {"project_id": project_id}).fetchone()
    assert row is not None
    return int(row[0])


DELETE: LiteralString = "DELETE FROM pipeline.routes WHERE id = %(route_id)s AND project_id = %(project_id)s"


def delete(connection: Connection, route_id: UUID, *, project_id: str) -> int:
    """Delete a route; return how many were hit."""
    return connection.execute(DELETE, {"route_id": route_id, "project_id": project_id}).rowcount
