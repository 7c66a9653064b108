"""Outages as readers see them: lists, one by its id, and the status that people set."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from psycopg.rows import args_row, class_row

from signals.clients.postgres import Connection
from signals.domain.incidents.episode import (
    IncidentStatus,
    IncidentVerdict,
    ResolveReason,
    StatusWanted,
    VerdictWanted,
)
from signals.domain.queries.counts import UnresolvedCounts
from signals.domain.queries.sorting import ListSort, PagePosition
from signals.store.conditions import query_with, values_of


@dataclass(frozen=True, slots=True)
class OutageRow:
    """One outage; the four fields from `first_incident_id` on are of its first incident.

    `version` is the number of changes in its timeline: new events alone do not move it.

    Its fields come in the order of the queries' columns, as those of `Incident` do.
    """

    id: UUID
    project_id: str
    status: IncidentStatus
    severity: str
    verdict: IncidentVerdict
    opened_at: datetime
    confirmed_at: datetime | None
    newest_at: datetime
    resolved_at: datetime | None
    resolve_reason: ResolveReason | None
    reopened: int
    regression_of: UUID | None
    settled_at: datetime | None
    cause_attribute: str | None
    cause_value: str | None
    fired_series: int | None
    active_series: int | None
    settle_failures: int
    incidents: int
    series: int
    environments: list[str]
    last_seen_at: datetime
    first_incident_id: UUID
    first_title: str
    ai_job_status: str | None
    summary_model: str | None
    assignee: str | None
    snoozed_until: datetime | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageFilter:
    """Which outages; None means any. Those active since `since` count."""

    project_id: str
    environment: str | None = None
    status: StatusWanted | None = None
    severity: str | None = None
    verdict: VerdictWanted | None = None
    since: datetime | None = None
    assignees: list[str] | None = None
    text: str | None = None


WANTED: Final[Mapping[str, LiteralString]] = {
    "status": "o.status = %(status)s",
    "unresolved": "o.status <> 'resolved'",
    "severity": "o.severity = %(severity)s",
    "verdict": "o.verdict = %(verdict)s",
    "told": "o.verdict <> 'unconfirmed'",
    "environment": """EXISTS (SELECT FROM pipeline.outage_members m
                  WHERE m.outage_id = o.id AND m.environment = %(environment)s OFFSET 0)""",
    "assignees": """EXISTS (SELECT FROM pipeline.outage_cares c
                  WHERE c.outage_id = o.id AND c.assignee = ANY(%(assignees)s) OFFSET 0)""",
    "text": """EXISTS (SELECT FROM pipeline.outage_members m
                  CROSS JOIN LATERAL (SELECT title, fingerprint FROM incidents
                                      WHERE id = m.incident_id OFFSET 0) AS i
                  WHERE m.outage_id = o.id
                    AND position(lower(%(text)s::text) IN lower(i.title || ' ' || i.fingerprint)) > 0
                  OFFSET 0)""",
    "since": """EXISTS (SELECT FROM pipeline.outage_members m
                  CROSS JOIN LATERAL (SELECT last_seen_at FROM incidents
                                      WHERE id = m.incident_id OFFSET 0) AS i
                  WHERE m.outage_id = o.id AND i.last_seen_at >= %(since)s OFFSET 0)""",
}
"""The conditions of an `OutageFilter`, on rows named o, by their parameter."""
BEFORE: Final[Mapping[ListSort, LiteralString]] = {
    "opened": "(o.opened_at, o.id) < (%(before_at)s, %(before_id)s::uuid)",
    "last_seen": "(seen.seen_at, o.id) < (%(before_at)s, %(before_id)s::uuid)",
    "severity": """(array_position(ARRAY['warn', 'error', 'critical'], o.severity), o.opened_at, o.id)
        < (%(before_rank)s, %(before_at)s, %(before_id)s::uuid)""",
}
"""The condition of a page behind another one."""
# The page first, then the rest of its rows. OFFSET 0 keeps each look a probe by key.
LIST: LiteralString = """
SELECT o.id, o.project_id, o.status, o.severity, o.verdict, o.opened_at, o.confirmed_at, o.newest_at,
       o.resolved_at, o.resolve_reason, o.reopened, o.regression_of, o.settled_at, o.cause_attribute,
       o.cause_value, o.fired_series, o.active_series,
       (SELECT w.settle_failures FROM pipeline.outages w WHERE w.id = o.window_id OFFSET 0),
       held.incidents, held.series, held.environments,
       held.last_seen_at, first.id, first.title, job.status, output.model, cares.assignee,
       cares.snoozed_until, held.version
FROM (
    SELECT o.* FROM pipeline.outages o
    WHERE o.project_id = %(project_id)s AND o.merged_into IS NULL /* conditions */
    ORDER BY o.opened_at DESC, o.id DESC
    LIMIT %(limit)s
) AS o
CROSS JOIN LATERAL (
    SELECT count(*)::int AS incidents, count(DISTINCT m.fingerprint)::int AS series,
           array_agg(DISTINCT m.environment) AS environments, max(i.last_seen_at) AS last_seen_at,
           sum(i.changes)::bigint AS version
    FROM pipeline.outage_members m
    CROSS JOIN LATERAL (
        SELECT last_seen_at, (SELECT coalesce(max(number), 0) FROM pipeline.incident_changes
                              WHERE incident_id = m.incident_id) AS changes
        FROM incidents WHERE id = m.incident_id OFFSET 0
    ) AS i
    WHERE m.outage_id = o.id
) AS held
CROSS JOIN LATERAL (
    SELECT i.id, i.title FROM (
        SELECT m.incident_id FROM pipeline.outage_members m
        WHERE m.outage_id = o.id ORDER BY m.opened_at, m.fingerprint, m.incident_id LIMIT 1
    ) AS m
    CROSS JOIN LATERAL (SELECT id, title FROM incidents WHERE id = m.incident_id OFFSET 0) AS i
) AS first
LEFT JOIN LATERAL (SELECT status FROM ai_jobs WHERE incident_id = first.id
                   ORDER BY created_at DESC LIMIT 1) AS job ON true
LEFT JOIN LATERAL (SELECT model FROM ai_outputs WHERE incident_id = first.id AND output_type = 'summary'
                   ORDER BY created_at DESC LIMIT 1) AS output ON true
LEFT JOIN LATERAL (SELECT assignee, snoozed_until FROM pipeline.outage_cares
                   WHERE outage_id = o.id OFFSET 0) AS cares ON true
ORDER BY o.opened_at DESC, o.id DESC
"""
# Only here every outage that fits is asked for its newest event.
BY_LAST_SEEN: LiteralString = (
    LIST.replace(
        "SELECT o.* FROM pipeline.outages o\n    WHERE",
        """SELECT o.*, seen.seen_at FROM pipeline.outages o
    CROSS JOIN LATERAL (
        SELECT max(i.last_seen_at) AS seen_at FROM pipeline.outage_members m
        CROSS JOIN LATERAL (SELECT last_seen_at FROM incidents WHERE id = m.incident_id OFFSET 0) AS i
        WHERE m.outage_id = o.id
    ) AS seen
    WHERE""",
    )
    .replace("    ORDER BY o.opened_at DESC", "    ORDER BY seen.seen_at DESC")
    .replace("\nORDER BY o.opened_at DESC", "\nORDER BY o.seen_at DESC")
)
BY_SEVERITY: LiteralString = LIST.replace(
    "ORDER BY o.opened_at DESC",
    "ORDER BY array_position(ARRAY['warn', 'error', 'critical'], o.severity) DESC, o.opened_at DESC",
)
LISTS: Final[Mapping[ListSort, LiteralString]] = {
    "opened": LIST,
    "last_seen": BY_LAST_SEEN,
    "severity": BY_SEVERITY,
}


def query_of(sort: ListSort, values: Mapping[str, object]) -> LiteralString:
    """Return the query of a page with the conditions that its parameters ask for."""
    further: Mapping[str, LiteralString] = {
        "outage_id": "o.id = %(outage_id)s",
        "before_at": BEFORE[sort],
    }
    return query_with(LISTS[sort], {**WANTED, **further}, values)


def list_outages(
    connection: Connection,
    wanted: OutageFilter,
    *,
    before: PagePosition | None,
    limit: int,
    sort: ListSort = "opened",
) -> list[OutageRow]:
    """Return outages in the order of `sort`, from after the position `before`."""
    return _rows(connection, wanted, before=before, limit=limit, sort=sort)


def get(connection: Connection, project_id: str, outage_id: UUID) -> OutageRow | None:
    """Return one outage of the project, None when the project has no such one."""
    found = _rows(connection, OutageFilter(project_id=project_id), outage_id=outage_id)
    return found[0] if found else None


def _rows(
    connection: Connection,
    wanted: OutageFilter,
    *,
    outage_id: UUID | None = None,
    before: PagePosition | None = None,
    limit: int = 1,
    sort: ListSort = "opened",
) -> list[OutageRow]:
    parameters = values_of(wanted) | {
        "outage_id": outage_id,
        "before_at": before and before.at,
        "before_id": before and before.id,
        "before_rank": before and before.rank,
        "limit": limit,
    }
    with connection.cursor(row_factory=args_row(OutageRow)) as cursor:
        return cursor.execute(query_of(sort, parameters), parameters).fetchall()


UNRESOLVED: LiteralString = """
SELECT count(*) FILTER (WHERE o.status = 'open') AS open,
       count(*) FILTER (WHERE o.status = 'investigating') AS investigating
FROM pipeline.outages o
WHERE o.project_id = %(project_id)s AND o.merged_into IS NULL AND o.resolved_at IS NULL /* conditions */
"""


def unresolved(connection: Connection, wanted: OutageFilter) -> UnresolvedCounts:
    """Count the unresolved outages that a list is narrowed to."""
    with connection.cursor(row_factory=class_row(UnresolvedCounts)) as cursor:
        values = values_of(wanted)
        found = cursor.execute(query_with(UNRESOLVED, WANTED, values), values).fetchone()
    assert found is not None, "an aggregate always has a row"
    return found


# From merge to merge: an outage may take others in, and be merged itself, until minute ten.
SURVIVOR: LiteralString = """
WITH RECURSIVE path AS (
    SELECT id, merged_into FROM pipeline.outages WHERE id = %(outage_id)s AND project_id = %(project_id)s
    UNION
    SELECT o.id, o.merged_into FROM path JOIN pipeline.outages o ON o.id = path.merged_into
)
SELECT id FROM path WHERE merged_into IS NULL
"""


def survivor_of(connection: Connection, project_id: str, outage_id: UUID) -> UUID:
    """Return the outage into which one was merged; the id itself when it was not, or is unknown."""
    parameters = {"outage_id": outage_id, "project_id": project_id}
    found = connection.execute(SURVIVOR, parameters).fetchone()
    return UUID(str(found[0])) if found else outage_id


def find(connection: Connection, project_id: str, outage_id: UUID) -> OutageRow | None:
    """Return one outage of the project, or that into which it was merged; None when there is none."""
    found = get(connection, project_id, outage_id)
    if found is not None:
        return found
    survivor = survivor_of(connection, project_id, outage_id)
    return get(connection, project_id, survivor) if survivor != outage_id else None


# An incident that joined meanwhile has moved `newest_at` or the number of members.
SET_STATUS: LiteralString = """
UPDATE pipeline.outages o
SET status = %(status)s,
    resolved_at = CASE WHEN %(status)s = 'resolved' THEN now() END,
    resolve_reason = CASE WHEN %(status)s = 'resolved' THEN 'by_hand' END,
    reopened = reopened + CASE WHEN %(expected)s = 'resolved' THEN 1 ELSE 0 END
WHERE id = %(outage_id)s AND project_id = %(project_id)s AND status = %(expected)s AND merged_into IS NULL
  AND (SELECT count(*) FROM pipeline.outage_members WHERE outage_id = o.id) = %(incidents)s
"""


def set_status(connection: Connection, outage: OutageRow, status: IncidentStatus) -> bool:
    """Move an outage from the status and incidents it was read with; return whether it still had them."""
    parameters = {
        "status": status,
        "expected": outage.status,
        "outage_id": outage.id,
        "project_id": outage.project_id,
        "incidents": outage.incidents,
    }
    return connection.execute(SET_STATUS, parameters).rowcount == 1
