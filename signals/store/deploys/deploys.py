"""Deploys: written once an event, listed newest first, found near an instant."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import LiteralString
from uuid import UUID

import orjson
from psycopg.rows import class_row

from signals.clients.postgres import Connection
from signals.domain.deploys.deploy import Deploy

INSERT: LiteralString = """
INSERT INTO pipeline.deploys (project_id, event_id, environment, release, previous, service, status, by_whom,
                              link, occurred_at, received_at)
SELECT project_id, event_id, environment, release, previous, service, status, by_whom, link, occurred_at,
       received_at
FROM json_to_recordset(%(rows)s::json) AS r(project_id text, event_id uuid, environment text, release text,
     previous text, service text, status text, by_whom text, link text, occurred_at timestamptz,
     received_at timestamptz)
ORDER BY project_id, event_id
ON CONFLICT (project_id, event_id) DO NOTHING
"""


def insert_all(connection: Connection, deploys: Sequence[Deploy]) -> int:
    """Keep deploys that are new in the caller's transaction; return how many were."""
    if not deploys:
        return 0
    rows = orjson.dumps([asdict(deploy) for deploy in deploys]).decode()
    return connection.execute(INSERT, {"rows": rows}).rowcount


OPENED_AFTER: LiteralString = """
SELECT DISTINCT i.id
FROM json_to_recordset(%(rows)s::json) AS d(project_id text, environment text, occurred_at timestamptz)
JOIN incidents i ON i.project_id = d.project_id AND i.environment = d.environment
 AND i.opened_at >= d.occurred_at AND i.opened_at < d.occurred_at + %(within)s
WHERE i.status <> 'resolved'
ORDER BY i.id
"""


def incidents_after(connection: Connection, deploys: Sequence[Deploy], *, within: timedelta) -> list[UUID]:
    """Return the unresolved incidents that opened so soon after one of the deploys, in its environment."""
    rows = [
        {"project_id": one.project_id, "environment": one.environment, "occurred_at": one.occurred_at}
        for one in deploys
    ]
    values = {"rows": orjson.dumps(rows).decode(), "within": within}
    return [incident_id for (incident_id,) in connection.execute(OPENED_AFTER, values)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployFilter:
    """Which deploys; None means any. They occurred in `since <= t < until`."""

    project_id: str
    environment: str | None = None
    service: str | None = None
    since: datetime | None = None
    until: datetime | None = None


LIST: LiteralString = """
SELECT project_id, event_id, environment, release, previous, service, status, by_whom, link, occurred_at,
       received_at
FROM pipeline.deploys
WHERE project_id = %(project_id)s
  AND (%(environment)s::text IS NULL OR environment = %(environment)s)
  AND (%(service)s::text IS NULL OR service = %(service)s)
  AND (%(since)s::timestamptz IS NULL OR occurred_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR occurred_at < %(until)s)
  AND (%(before_at)s::timestamptz IS NULL
       OR (occurred_at, event_id) < (%(before_at)s, %(before_id)s::uuid))
ORDER BY occurred_at DESC, event_id DESC
LIMIT %(limit)s
"""


def list_deploys(
    connection: Connection,
    wanted: DeployFilter,
    *,
    before: tuple[datetime, UUID] | None = None,
    limit: int,
) -> list[Deploy]:
    """Return deploys, newest first, from after the position `before`."""
    before_at, before_id = before or (None, None)
    values = asdict(wanted) | {"before_at": before_at, "before_id": before_id, "limit": limit}
    with connection.cursor(row_factory=class_row(Deploy)) as cursor:
        return cursor.execute(LIST, values).fetchall()


GET: LiteralString = """
SELECT project_id, event_id, environment, release, previous, service, status, by_whom, link, occurred_at,
       received_at
FROM pipeline.deploys
WHERE project_id = %(project_id)s AND event_id = %(event_id)s
"""


def get(connection: Connection, project_id: str, event_id: UUID) -> Deploy | None:
    """Return one deploy of the project, None when the project has no such one."""
    with connection.cursor(row_factory=class_row(Deploy)) as cursor:
        return cursor.execute(GET, {"project_id": project_id, "event_id": event_id}).fetchone()
