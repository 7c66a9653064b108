"""The newest AI jobs of a project with their incidents."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from signals.clients.postgres import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedJob:
    """A job, the title of its incident, and which model wrote the incident's summary last."""

    id: UUID
    incident_id: UUID
    title: str
    status: str
    attempt_count: int
    max_attempts: int
    run_after: datetime
    last_error: str | None
    created_at: datetime
    updated_at: datetime
    model: str | None


LIST: LiteralString = """
SELECT j.id, j.incident_id, i.title, j.status, j.attempt_count, j.max_attempts, j.run_after, j.last_error,
       j.created_at, j.updated_at, output.model
FROM ai_jobs j
JOIN incidents i ON i.id = j.incident_id
LEFT JOIN LATERAL (SELECT model FROM ai_outputs WHERE incident_id = i.id AND output_type = 'summary'
                   ORDER BY created_at DESC LIMIT 1) AS output ON true
WHERE i.project_id = %(project_id)s AND (%(status)s::text IS NULL OR j.status = %(status)s)
ORDER BY j.created_at DESC, j.id DESC
LIMIT %(rows)s
"""


def list_jobs(
    connection: Connection, project_id: str, *, status: str | None, rows: int
) -> Sequence[ListedJob]:
    """Return the newest jobs of a project, of one status or of any."""
    values = {"project_id": project_id, "status": status, "rows": rows}
    with connection.cursor(row_factory=class_row(ListedJob)) as cursor:
        return cursor.execute(LIST, values).fetchall()
