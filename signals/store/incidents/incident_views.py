"""Incidents as readers see them: lists, one by its id, and the status that people set."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, LiteralString
from uuid import UUID

from psycopg import Rollback
from psycopg.errors import UniqueViolation
from psycopg.rows import args_row, class_row

from signals.clients.postgres import Connection
from signals.domain.incidents.episode import IncidentStatus, IncidentVerdict, StatusWanted, VerdictWanted
from signals.domain.queries.counts import UnresolvedCounts
from signals.domain.queries.sorting import ListSort, PagePosition
from signals.store.conditions import query_with, values_of


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident, its newest AI job and summary, None before them, its rule and the verdict on it.

    Rule and verdict are None for an incident of an earlier release that kept none. `version` is the number
    of its newest change in the timeline: new events alone do not move it.

    Its fields come in the order of the queries' columns: to name them costs more than to read the rows.
    """

    id: UUID
    org_id: str
    project_id: str
    environment: str
    fingerprint: str
    status: IncidentStatus
    severity: str
    title: str
    opened_at: datetime
    last_seen_at: datetime
    resolved_at: datetime | None
    ai_job_status: str | None
    summary_model: str | None
    rule: str | None
    verdict: IncidentVerdict | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFilter:
    """Which incidents; None means any. Those active in `since <= t < until` count as within.

    `assignee` is who works on the incident's outage.
    """

    project_id: str
    environment: str | None = None
    status: StatusWanted | None = None
    severity: str | None = None
    verdict: VerdictWanted | None = None
    since: datetime | None = None
    until: datetime | None = None
    assignees: list[str] | None = None
    text: str | None = None


WANTED: Final[Mapping[str, LiteralString]] = {
    "environment": "i.environment = %(environment)s",
    "status": "i.status = %(status)s",
    "unresolved": "i.status <> 'resolved'",
    "severity": "i.severity = %(severity)s",
    "text": "position(lower(%(text)s::text) IN lower(i.title || ' ' || i.fingerprint)) > 0",
    "verdict": """coalesce((SELECT verdict FROM pipeline.incident_states
                WHERE incident_id = i.id OFFSET 0), 'confirmed') = %(verdict)s""",
    "told": """coalesce((SELECT verdict FROM pipeline.incident_states
                WHERE incident_id = i.id OFFSET 0), 'confirmed') <> 'unconfirmed'""",
    "assignees": """EXISTS (SELECT FROM pipeline.outage_members m
                  JOIN pipeline.outage_cares c ON c.outage_id = m.outage_id
                  WHERE m.incident_id = i.id AND c.assignee = ANY(%(assignees)s) OFFSET 0)""",
    "since": "i.last_seen_at >= %(since)s",
    "until": "i.opened_at < %(until)s",
}
"""The conditions of a `ListFilter`, on rows named i, by their parameter."""
BEFORE: Final[Mapping[ListSort, LiteralString]] = {
    "opened": "(i.opened_at, i.id) < (%(before_at)s, %(before_id)s::uuid)",
    "last_seen": "(i.last_seen_at, i.id) < (%(before_at)s, %(before_id)s::uuid)",
    "severity": """(array_position(ARRAY['warn', 'error', 'critical'], i.severity), i.opened_at, i.id)
        < (%(before_rank)s, %(before_at)s, %(before_id)s::uuid)""",
}
"""The condition of a page behind another one."""
LIST: LiteralString = """
SELECT i.id, i.org_id, i.project_id, i.environment, i.fingerprint, i.status, i.severity, i.title,
       i.opened_at, i.last_seen_at, i.resolved_at, job.status AS ai_job_status,
       output.model AS summary_model, state.rule, state.verdict,
       coalesce((SELECT max(number) FROM pipeline.incident_changes WHERE incident_id = i.id), 0)
FROM (
    SELECT i.* FROM incidents i
    WHERE i.project_id = %(project_id)s /* conditions */
    ORDER BY i.opened_at DESC, i.id DESC
    LIMIT %(limit)s
) AS i
LEFT JOIN LATERAL (SELECT rule, verdict FROM pipeline.incident_states
                   WHERE incident_id = i.id OFFSET 0) AS state ON true
LEFT JOIN LATERAL (SELECT status FROM ai_jobs WHERE incident_id = i.id
                   ORDER BY created_at DESC LIMIT 1) AS job ON true
LEFT JOIN LATERAL (SELECT model FROM ai_outputs WHERE incident_id = i.id AND output_type = 'summary'
                   ORDER BY created_at DESC LIMIT 1) AS output ON true
ORDER BY i.opened_at DESC, i.id DESC
"""
BY_LAST_SEEN: LiteralString = LIST.replace("ORDER BY i.opened_at DESC", "ORDER BY i.last_seen_at DESC")
BY_SEVERITY: LiteralString = LIST.replace(
    "ORDER BY i.opened_at DESC",
    "ORDER BY array_position(ARRAY['warn', 'error', 'critical'], i.severity) DESC, i.opened_at DESC",
)
LISTS: Final[Mapping[ListSort, LiteralString]] = {
    "opened": LIST,
    "last_seen": BY_LAST_SEEN,
    "severity": BY_SEVERITY,
}


def list_incidents(
    connection: Connection,
    wanted: ListFilter,
    *,
    before: PagePosition | None,
    limit: int,
    sort: ListSort = "opened",
) -> list[Incident]:
    """Return incidents in the order of `sort`, from after the position `before`."""
    parameters = values_of(wanted) | {
        "before_at": before and before.at,
        "before_id": before and before.id,
        "before_rank": before and before.rank,
        "limit": limit,
    }
    with connection.cursor(row_factory=args_row(Incident)) as cursor:
        query = query_with(LISTS[sort], {**WANTED, "before_at": BEFORE[sort]}, parameters)
        return cursor.execute(query, parameters).fetchall()


UNRESOLVED: LiteralString = """
SELECT count(*) FILTER (WHERE i.status = 'open') AS open,
       count(*) FILTER (WHERE i.status = 'investigating') AS investigating
FROM incidents i
WHERE i.project_id = %(project_id)s AND i.status <> 'resolved' /* conditions */
"""


def unresolved(connection: Connection, wanted: ListFilter) -> UnresolvedCounts:
    """Count the unresolved incidents that a list is narrowed to."""
    with connection.cursor(row_factory=class_row(UnresolvedCounts)) as cursor:
        values = values_of(wanted)
        found = cursor.execute(query_with(UNRESOLVED, WANTED, values), values).fetchone()
    assert found is not None, "an aggregate always has a row"
    return found


GET: LiteralString = """
SELECT i.id, i.org_id, i.project_id, i.environment, i.fingerprint, i.status, i.severity, i.title,
       i.opened_at, i.last_seen_at, i.resolved_at,
       (SELECT status FROM ai_jobs WHERE incident_id = i.id
        ORDER BY created_at DESC LIMIT 1) AS ai_job_status,
       (SELECT model FROM ai_outputs WHERE incident_id = i.id AND output_type = 'summary'
        ORDER BY created_at DESC LIMIT 1) AS summary_model,
       state.rule, state.verdict,
       coalesce((SELECT max(number) FROM pipeline.incident_changes WHERE incident_id = i.id), 0)
FROM incidents i
LEFT JOIN pipeline.incident_states state ON state.incident_id = i.id
WHERE i.id = %(incident_id)s AND i.project_id = %(project_id)s
"""


def get(connection: Connection, project_id: str, incident_id: UUID) -> Incident | None:
    """Return one incident of the project, None when the project has no such one."""
    with connection.cursor(row_factory=args_row(Incident)) as cursor:
        return cursor.execute(GET, {"project_id": project_id, "incident_id": incident_id}).fetchone()


# Reopening leaves the time of the newest event alone; `incident_states.note_status` lets it last from now on.
SET_STATUS: LiteralString = """
UPDATE incidents
SET status = %(status)s,
    resolved_at = CASE WHEN %(status)s = 'resolved' THEN now() END
WHERE id = ANY(%(incident_ids)s) AND project_id = %(project_id)s AND status = %(expected)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusMove:
    """A change of status that people ask for: from the one that they saw to another."""

    expected: IncidentStatus
    status: IncidentStatus


def set_status(
    connection: Connection, project_id: str, incident_ids: Collection[UUID], move: StatusMove
) -> Literal["changed", "stale", "another_open"]:
    """Move incidents of a project from one status to another, all or none of them.

    `stale`: another request changed one meanwhile. `another_open`: a fingerprint has a newer unresolved one.
    """
    parameters = {
        "status": move.status,
        "expected": move.expected,
        "incident_ids": list(incident_ids),
        "project_id": project_id,
    }
    hit = 0
    try:
        with connection.transaction() as attempt:
            hit = connection.execute(SET_STATUS, parameters).rowcount
            if hit != len(incident_ids):
                raise Rollback(attempt)
    except UniqueViolation:  # of the index that allows one unresolved incident a fingerprint
        return "another_open"
    return "changed" if hit == len(incident_ids) else "stale"
