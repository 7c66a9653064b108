"""Maintenance windows of projects: while one lasts, the messages of matching incidents wait."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from signals.clients.postgres import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceWindow:
    """One row; `environment` and `fingerprint` None: every one."""

    id: UUID
    project_id: str
    environment: str | None
    fingerprint: str | None
    starts_at: datetime
    ends_at: datetime
    reason: str
    created_at: datetime
    created_by: str


LIST: LiteralString = """
SELECT id, project_id, environment, fingerprint, starts_at, ends_at, reason, created_at, created_by
FROM pipeline.maintenance
WHERE project_id = ANY(%(project_ids)s) AND ends_at > %(after)s
ORDER BY ends_at DESC, id
LIMIT %(rows)s
"""


def list_windows(
    connection: Connection, project_ids: Collection[str], *, after: datetime, rows: int
) -> Sequence[MaintenanceWindow]:
    """Return the windows that end after an instant, the last to end first; some may not have begun."""
    values = {"project_ids": list(project_ids), "after": after, "rows": rows}
    with connection.cursor(row_factory=class_row(MaintenanceWindow)) as cursor:
        return cursor.execute(LIST, values).fetchall()


INSERT: LiteralString = """
INSERT INTO pipeline.maintenance (id, project_id, environment, fingerprint, starts_at, ends_at, reason,
                                  created_at, created_by)
VALUES (%(id)s, %(project_id)s, %(environment)s, %(fingerprint)s, %(starts_at)s, %(ends_at)s, %(reason)s,
        %(created_at)s, %(created_by)s)
"""


def insert(connection: Connection, window: MaintenanceWindow) -> None:
    """Store a new window."""
    values = {name: getattr(window, name) for name in MaintenanceWindow.__slots__}
    connection.execute(INSERT, values)


END: LiteralString = """
UPDATE pipeline.maintenance SET ends_at = greatest(%(now)s, starts_at + interval '1 millisecond')
WHERE id = %(window_id)s AND project_id = %(project_id)s AND ends_at > %(now)s
"""
RELEASE: LiteralString = """
UPDATE pipeline.notices SET held_until = NULL, run_after = greatest(now(), not_before)
WHERE held_by = %(window_id)s AND held_until > now()
"""


def end(connection: Connection, project_id: str, window_id: UUID, *, now: datetime) -> bool:
    """End a window now, and let the messages that wait for it be sent; False when it is over, or unknown."""
    values = {"window_id": window_id, "project_id": project_id, "now": now}
    if connection.execute(END, values).rowcount == 0:
        return False
    connection.execute(RELEASE, values)
    return True
