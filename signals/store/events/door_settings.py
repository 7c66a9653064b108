"""Settings of projects for their clients' payloads; ingest reads them with each key."""

from dataclasses import dataclass, field
from typing import LiteralString

from psycopg.rows import class_row

from signals.clients.postgres import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorSettingsRow:
    """The settings of one project as they are stored; `signup_names` of None are the built-in ones."""

    signup_names: list[str] | None = None
    kept_fields: list[str] | None = None
    vercel_secret: str | None = field(default=None, repr=False)


READ: LiteralString = """
SELECT d.signup_names, d.kept_fields, d.vercel_secret
FROM projects p LEFT JOIN pipeline.door_settings d ON d.project_id = p.id
WHERE p.id = %(project_id)s
FOR NO KEY UPDATE OF p
"""


def read(connection: Connection, project_id: str) -> DoorSettingsRow | None:
    """Return the settings of a project, locked against another change; None when there is no such project."""
    with connection.cursor(row_factory=class_row(DoorSettingsRow)) as cursor:
        return cursor.execute(READ, {"project_id": project_id}).fetchone()


WRITE: LiteralString = """
INSERT INTO pipeline.door_settings (project_id, signup_names, kept_fields, vercel_secret)
SELECT p.id, %(signup_names)s, %(kept_fields)s, %(vercel_secret)s FROM projects p WHERE p.id = %(project_id)s
ON CONFLICT (project_id) DO UPDATE
SET signup_names = excluded.signup_names, kept_fields = excluded.kept_fields,
    vercel_secret = excluded.vercel_secret, updated_at = now()
"""


def write(connection: Connection, project_id: str, row: DoorSettingsRow) -> bool:
    """Set the settings of a project; False when there is no such project."""
    parameters = {
        "project_id": project_id,
        "signup_names": row.signup_names,
        "kept_fields": row.kept_fields or [],
        "vercel_secret": row.vercel_secret,
    }
    return connection.execute(WRITE, parameters).rowcount == 1
