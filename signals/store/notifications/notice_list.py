"""Lists messages at a project's destinations, as people read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from signals.clients.postgres import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeRow:
    """A message as people list it, with its newest attempt."""

    id: UUID
    destination_id: UUID
    destination: str
    is_storm: bool
    incident_ids: list[UUID]
    status: str
    sends: int
    attempt_count: int
    last_error: str | None
    created_at: datetime
    updated_at: datetime
    run_after: datetime


LIST: LiteralString = """
SELECT n.id, n.destination_id, d.name AS destination, n.is_storm,
       ARRAY(SELECT s.subject_id FROM pipeline.notice_subjects s WHERE s.notice_id = n.id
             ORDER BY s.subject_id LIMIT 20) AS incident_ids,
       n.status, n.sends, n.attempt_count, n.last_error, n.created_at, n.updated_at, n.run_after
FROM pipeline.destinations d
JOIN pipeline.notices n ON n.destination_id = d.id
WHERE d.project_id = %(project_id)s
  AND (%(status)s::text IS NULL OR n.status = %(status)s)
  AND (%(subject_id)s::uuid IS NULL OR EXISTS (
        SELECT FROM pipeline.notice_subjects s WHERE s.notice_id = n.id AND s.subject_id = %(subject_id)s))
ORDER BY n.created_at DESC, n.id DESC
LIMIT %(limit)s
"""


def list_notices(
    connection: Connection, project_id: str, *, status: str | None, subject_id: UUID | None, limit: int
) -> Sequence[NoticeRow]:
    """Return the newest messages of a project's destinations."""
    values = {"project_id": project_id, "status": status, "subject_id": subject_id, "limit": limit}
    with connection.cursor(row_factory=class_row(NoticeRow)) as cursor:
        return cursor.execute(LIST, values).fetchall()
