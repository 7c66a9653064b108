"""Reads the incidents around an incident: former ones like it, and those of the same minutes."""

from collections.abc import Sequence
from typing import Final, LiteralString

from signals.clients.postgres import Connection
from signals.domain.summary.brief import BriefIncident
from signals.domain.summary.surroundings import (
    CONCURRENT_WITHIN,
    MAX_CONCURRENT,
    MAX_PAST,
    ConcurrentIncident,
    PastIncident,
    RelatedIncidents,
)

MAX_COUNTED: Final = 100  # former incidents; of more, "100" is said
MAX_READ: Final = 100  # newest incidents of the project whose first cause is compared

# Of a series by its own index; those of the same cause among the project's newest ones only.
PAST: LiteralString = """
WITH of_series AS (
    SELECT m.incident_id AS id, 'series' AS alike FROM pipeline.outage_members m
    WHERE m.project_id = %(project_id)s AND m.fingerprint = %(fingerprint)s
      AND m.opened_at < %(opened_at)s AND m.incident_id <> %(incident_id)s
    ORDER BY m.opened_at DESC LIMIT %(counted)s
), newest AS (
    SELECT id FROM incidents
    WHERE project_id = %(project_id)s AND opened_at < %(opened_at)s AND id <> %(incident_id)s
      AND %(labels)s::jsonb <> '[]'
    ORDER BY opened_at DESC, id DESC LIMIT %(read)s
), of_cause AS (
    SELECT newest.id, 'cause' AS alike FROM newest
    CROSS JOIN LATERAL (SELECT content_json #> '{findings,causes,0,group,labels}' AS labels FROM ai_outputs
                        WHERE incident_id = newest.id AND output_type = 'summary'
                        ORDER BY created_at DESC LIMIT 1) AS found
    WHERE found.labels = %(labels)s::jsonb AND newest.id NOT IN (SELECT id FROM of_series)
), alike AS (
    SELECT id, alike FROM of_series UNION ALL SELECT id, alike FROM of_cause
)
SELECT i.id, alike.alike, i.opened_at, i.resolved_at, s.resolve_reason, summary.first_cause, said.cause,
       (count(*) OVER ())::int
FROM alike
JOIN incidents i ON i.id = alike.id
LEFT JOIN pipeline.incident_states s ON s.incident_id = i.id
LEFT JOIN LATERAL (SELECT content_json #>> '{likely_causes,0}' AS first_cause FROM ai_outputs
                   WHERE incident_id = i.id AND output_type = 'summary'
                   ORDER BY created_at DESC LIMIT 1) AS summary ON true
LEFT JOIN LATERAL (SELECT cause FROM pipeline.summary_feedback
                   WHERE incident_id = i.id AND cause IS NOT NULL
                   ORDER BY given_at DESC LIMIT 1) AS said ON true
ORDER BY alike.alike DESC, i.opened_at DESC, i.id
LIMIT %(shown)s
"""

CONCURRENT: LiteralString = """
SELECT id, fingerprint, severity, opened_at, (count(*) OVER ())::int
FROM incidents
WHERE project_id = %(project_id)s AND environment = %(environment)s AND id <> %(incident_id)s
  AND opened_at BETWEEN %(opened_at)s - %(within)s AND %(opened_at)s + %(within)s
ORDER BY array_position(ARRAY['critical', 'error', 'warn'], severity), opened_at, id
LIMIT %(shown)s
"""


def surroundings(connection: Connection, incident: BriefIncident, labels: str) -> RelatedIncidents:
    """Return what is around an incident; `labels` are those of its first cause, a JSON list."""
    values = {
        "project_id": incident.project_id,
        "environment": incident.environment,
        "fingerprint": incident.fingerprint,
        "incident_id": incident.incident_id,
        "opened_at": incident.opened_at,
    }
    limits = {"labels": labels, "counted": MAX_COUNTED, "read": MAX_READ, "shown": MAX_PAST}
    past = connection.execute(PAST, values | limits).fetchall()
    within = {"within": CONCURRENT_WITHIN, "shown": MAX_CONCURRENT}
    beside = connection.execute(CONCURRENT, values | within).fetchall()
    return RelatedIncidents(
        past=[_past(row) for row in past],
        past_total=past[0][-1] if past else 0,
        concurrent=[
            ConcurrentIncident(incident_id=row[0], fingerprint=row[1], severity=row[2], opened_at=row[3])
            for row in beside
        ],
        concurrent_total=beside[0][-1] if beside else 0,
    )


def _past(row: Sequence[object]) -> PastIncident:
    names = ("incident_id", "alike", "opened_at", "resolved_at", "resolve_reason", "first_cause", "cause")
    return PastIncident(**dict(zip(names, row, strict=False)))  # type: ignore[arg-type]  # in this order
