"""Reads incidents, with their outages, as notifications need them: for routes, and for messages."""

from collections.abc import Callable, Collection
from typing import Any, LiteralString
from uuid import UUID

from signals.clients.postgres import Connection
from signals.domain.detection.severity import IncidentSeverity
from signals.domain.notifications.facts import NoticeSubject
from signals.domain.notifications.messages import ToldIncident
from signals.domain.notifications.outage_messages import ToldOutage
from signals.domain.notifications.routing import HISTORY_HOURS, Subject

READ: LiteralString = """
SELECT i.id, i.project_id, i.environment, i.fingerprint, i.status, i.severity, i.title, i.opened_at,
       i.resolved_at, coalesce(s.verdict, 'confirmed'), e.rule, e.count, e.baseline, e.threshold,
       coalesce(s.kind, 'change'), o.content_json, coalesce(held.id, i.id), held.cause_attribute,
       held.cause_value, cares.assignee,
       CASE WHEN cares.snoozed_until IS NOT NULL THEN cares.snoozed_severity END,
       i.last_seen_at < now() - make_interval(hours => %(history_hours)s)
FROM incidents i
LEFT JOIN pipeline.incident_states s ON s.incident_id = i.id
LEFT JOIN pipeline.incident_evaluations e ON e.incident_id = i.id AND e.moment = 'opened'
LEFT JOIN LATERAL (
    SELECT content_json FROM ai_outputs WHERE incident_id = i.id ORDER BY created_at DESC, id DESC LIMIT 1
) AS o ON true
LEFT JOIN LATERAL (
    SELECT outage_id FROM pipeline.outage_members WHERE incident_id = i.id OFFSET 0
) AS m ON true
LEFT JOIN LATERAL (
    SELECT id, cause_attribute, cause_value FROM pipeline.outages WHERE id = m.outage_id OFFSET 0
) AS held ON true
LEFT JOIN LATERAL (
    SELECT * FROM pipeline.outage_cares WHERE outage_id = m.outage_id OFFSET 0
) AS cares ON true
WHERE i.id = ANY(coalesce(%(incident_ids)s::uuid[], ARRAY(
    SELECT subject_id FROM pipeline.notice_subjects WHERE notice_id = ANY(%(notice_ids)s::uuid[])
)))
"""


def read(connection: Connection, incident_ids: Collection[UUID]) -> dict[UUID, NoticeSubject]:
    """Return these incidents by id."""
    return _read(connection, list(incident_ids), None)()


def read_told(
    connection: Connection, notice_ids: Collection[UUID]
) -> Callable[[], dict[UUID, NoticeSubject]]:
    """Read the incidents of these messages by id; the call awaits the rows."""
    return _read(connection, None, list(notice_ids))


def _read(
    connection: Connection, incident_ids: list[UUID] | None, notice_ids: list[UUID] | None
) -> Callable[[], dict[UUID, NoticeSubject]]:
    values = {"incident_ids": incident_ids, "notice_ids": notice_ids, "history_hours": HISTORY_HOURS}
    rows = connection.execute(READ, values)
    return lambda: {row[0]: _subject(row) for row in rows}


def _subject(row: tuple[Any, ...]) -> NoticeSubject:
    (incident_id, project_id, environment, fingerprint, status, severity, title) = row[:7]
    opened_at, resolved_at, verdict, rule, count, baseline, threshold, kind, summary = row[7:16]
    outage_id, cause_attribute, cause_value, assignee, snoozed_severity, is_history = row[16:]
    content = summary if isinstance(summary, dict) else {}
    usual = "no history when it opened" if kind == "new" else f"usually {baseline or 0:.1f}"
    numbers = f"{rule}: {count}, {usual}, threshold {threshold or 0:.0f}" if rule else None
    causes = content.get("likely_causes")
    return NoticeSubject(
        matched=Subject(
            environment=environment,
            severity=IncidentSeverity.parse(severity),
            verdict=verdict,
            fingerprints=(fingerprint,),
            is_history=is_history,
        ),
        told=ToldIncident(
            id=incident_id,
            project_id=project_id,
            environment=environment,
            fingerprint=fingerprint,
            status=status,
            severity=severity,
            title=title or fingerprint,
            opened_at=opened_at,
            resolved_at=resolved_at,
            numbers=numbers,
            impact=str(content["impact"]) if content.get("impact") else None,
            causes=tuple(str(cause) for cause in causes) if isinstance(causes, list) else (),
        ),
        outage=ToldOutage(
            id=outage_id,
            cause=(cause_attribute, cause_value) if cause_attribute else None,
            assignee=assignee,
            snoozed_severity=snoozed_severity,
        ),
        has_summary=bool(content),
        has_findings=bool(content.get("findings")),
    )
