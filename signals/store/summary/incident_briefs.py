"""Reads the brief of an incident for its summary, and writes the title."""

from collections.abc import Sequence
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from signals.clients.postgres import Connection
from signals.domain.summary.brief import BriefEvaluation, BriefEvent, BriefIncident

INCIDENT: LiteralString = """
SELECT id AS incident_id, org_id, project_id, environment, fingerprint, status, severity,
       coalesce(title, '') AS title, opened_at, last_seen_at,
       coalesce((SELECT s.kind FROM pipeline.incident_states s WHERE s.incident_id = incidents.id),
                'change') AS kind
FROM incidents
WHERE id = %(incident_id)s
"""


def incident(connection: Connection, incident_id: UUID) -> BriefIncident:
    """Return the incident's record; a job's foreign key says that it exists."""
    with connection.cursor(row_factory=class_row(BriefIncident)) as cursor:
        found = cursor.execute(INCIDENT, {"incident_id": incident_id}).fetchone()
    assert found is not None
    return found


PROJECT: LiteralString = "SELECT project_id FROM incidents WHERE id = %(incident_id)s"


def project_of(connection: Connection, incident_id: UUID) -> str:
    """Return the project of an incident that exists."""
    row = connection.execute(PROJECT, {"incident_id": incident_id}).fetchone()
    assert row is not None
    return str(row[0])


EVALUATIONS: LiteralString = """
SELECT moment, rule, minute_at, count, baseline, threshold, window_minutes
FROM pipeline.incident_evaluations
WHERE incident_id = %(incident_id)s
ORDER BY minute_at
"""


def evaluations(connection: Connection, incident_id: UUID) -> Sequence[BriefEvaluation]:
    """Return the rule's numbers at the opening and at the latest firing."""
    with connection.cursor(row_factory=class_row(BriefEvaluation)) as cursor:
        return cursor.execute(EVALUATIONS, {"incident_id": incident_id}).fetchall()


# A rule that fires by clock keeps its numbers in place of an event: they are figures, no event was sent.
EVENTS: LiteralString = """
SELECT event_id, occurred_at, event_type, severity, coalesce(attributes_json, '{}') AS attributes
FROM incident_events
WHERE incident_id = %(incident_id)s
  AND NOT (coalesce(attributes_json, '{}') ?& '{rule,count,baseline,threshold}'::text[]
           AND attributes_json - '{rule,count,baseline,threshold,message}'::text[] = '{}')
ORDER BY occurred_at DESC, id DESC
LIMIT %(limit)s
"""


def newest_events(connection: Connection, incident_id: UUID, *, limit: int) -> Sequence[BriefEvent]:
    """Return the incident's newest representative events, newest first; the numbers of a rule are none."""
    with connection.cursor(row_factory=class_row(BriefEvent)) as cursor:
        return cursor.execute(EVENTS, {"incident_id": incident_id, "limit": limit}).fetchall()


RETITLE: LiteralString = """
UPDATE incidents SET title = %(title)s WHERE id = %(incident_id)s AND %(title)s <> ''
"""


def retitle(connection: Connection, incident_id: UUID, title: str) -> int:
    """Give the incident a new title; an empty one changes nothing."""
    return connection.execute(RETITLE, {"incident_id": incident_id, "title": title}).rowcount
