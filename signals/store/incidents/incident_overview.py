"""Counts over a project's unresolved outages, and the newest numbers of some incidents."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from signals.clients.postgres import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class UnresolvedOutages:
    """How many outages are open or being investigated, some of them `learning`; and the unconfirmed ones."""

    open: int
    investigating: int
    learning: int
    unconfirmed: int


OUTAGES: LiteralString = """
SELECT count(*) FILTER (WHERE verdict <> 'unconfirmed' AND status = 'open') AS open,
       count(*) FILTER (WHERE verdict <> 'unconfirmed' AND status = 'investigating') AS investigating,
       count(*) FILTER (WHERE verdict = 'learning') AS learning,
       count(*) FILTER (WHERE verdict = 'unconfirmed') AS unconfirmed
FROM pipeline.outages
WHERE project_id = %(project_id)s AND resolved_at IS NULL AND merged_into IS NULL
"""


def unresolved_outages(connection: Connection, project_id: str) -> UnresolvedOutages:
    """Count the unresolved outages of a project."""
    with connection.cursor(row_factory=class_row(UnresolvedOutages)) as cursor:
        found = cursor.execute(OUTAGES, {"project_id": project_id}).fetchone()
    assert found is not None, "an aggregate always has a row"
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestNumbers:
    """The newest evaluation of one incident: `count` events in the window that ends with `minute_at`."""

    incident_id: UUID
    rule: str
    minute_at: datetime
    count: int
    threshold: float
    window_minutes: int


LATEST: LiteralString = """
SELECT DISTINCT ON (incident_id) incident_id, rule, minute_at, count, threshold,
       window_minutes
FROM pipeline.incident_evaluations
WHERE incident_id = ANY(%(incident_ids)s)
ORDER BY incident_id, minute_at DESC
"""


def latest(connection: Connection, incident_ids: Sequence[UUID]) -> Sequence[LatestNumbers]:
    """Return the newest numbers of incidents; one that was never evaluated has none."""
    with connection.cursor(row_factory=class_row(LatestNumbers)) as cursor:
        return cursor.execute(LATEST, {"incident_ids": list(incident_ids)}).fetchall()


# By the unique index of unresolved incidents.
AGAIN: LiteralString = """
SELECT again.id FROM incidents i
JOIN incidents again ON again.project_id = i.project_id AND again.environment = i.environment
    AND again.fingerprint = i.fingerprint AND again.status <> 'resolved'
WHERE i.id = %(incident_id)s AND i.project_id = %(project_id)s AND i.status = 'resolved'
"""


def failing_again(connection: Connection, project_id: str, incident_id: UUID) -> UUID | None:
    """Return the unresolved incident of a resolved one's series, None when there is none."""
    found = connection.execute(AGAIN, {"incident_id": incident_id, "project_id": project_id}).fetchone()
    return UUID(str(found[0])) if found else None
