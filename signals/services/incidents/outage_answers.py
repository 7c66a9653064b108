"""Makes answers from the rows of an outage: its cause in words, its title, the sum of its series."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from shared_types import Tenancy, read_fingerprint
from signals.clients.postgres import Connection
from signals.domain.detection.buckets import Series
from signals.domain.incidents.charts import MinuteCount, chart_range, fill
from signals.domain.incidents.episode import IncidentStatus, IncidentVerdict, ResolveReason
from signals.domain.incidents.outage_words import explanation_of, title_of
from signals.services.incidents.incident_reason import IncidentReason
from signals.store.detection import buckets
from signals.store.incidents.incident_context import AiJob, StoredSummary
from signals.store.incidents.outage_members import OutageMember
from signals.store.incidents.outage_views import OutageRow

MAX_CHART_SERIES: Final = 100  # whose minutes are added up: some 10 ms


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageCause:
    """The attribute value that explains an outage; `attribute` is `project` when the whole project fails.

    Of `active_series` that had the value and an event in the day before, `fired_series` left their normal.
    """

    attribute: str
    value: str
    fired_series: int | None
    active_series: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageView:
    """One outage: incidents with one cause.

    `cause` is None for a series alone, and until the cause is decided, five minutes after the opening.
    `is_settled`: its incidents no longer move. `confirmed_at` is of its first confirmed incident.
    `reopened` counts how often it came back; `regression_of` is the former outage of the same series.
    `first_incident_id` is the incident that opened first: its summary is the outage's.
    `version` is the number of changes in its timeline; it goes into If-Match, and events do not move it.
    """

    id: UUID
    project_id: str
    title: str
    status: IncidentStatus
    severity: str
    verdict: IncidentVerdict
    cause: OutageCause | None
    environments: list[str]
    incidents: int
    opened_at: datetime
    confirmed_at: datetime | None
    last_seen_at: datetime
    resolved_at: datetime | None
    resolve_reason: ResolveReason | None
    reopened: int
    regression_of: UUID | None
    first_incident_id: UUID
    is_settled: bool
    ai_job_status: str | None
    summary_model: str | None
    assignee: str | None
    snoozed_until: datetime | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutagePage:
    """Outages, newest opening first; `next_cursor` is None on the last page."""

    outages: list[OutageView]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageReason:
    """Why its incidents are one outage, in words, and why the first of them fired."""

    explanation: str
    first_incident: IncidentReason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageChart:
    """Events a minute of the first `series` series together, against the sum of their normals at opening.

    `baseline_per_minute` is None when no normal is known; series without one are left out of it.
    """

    metric: str
    series: int
    baseline_per_minute: float | None
    minutes: list[MinuteCount]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageDetail:
    """Everything about one outage; summary and AI jobs are its first incident's."""

    outage: OutageView
    why: OutageReason
    summary: StoredSummary | None
    ai_jobs: list[AiJob]
    incidents: list[OutageMember]
    chart: OutageChart
    links: dict[str, str]


def _cause(row: OutageRow) -> tuple[str, str] | None:
    if row.cause_attribute is None or row.cause_value is None:
        return None
    return row.cause_attribute, row.cause_value


def view_of(row: OutageRow) -> OutageView:
    """Return an outage as lists show it."""
    cause = _cause(row)
    return OutageView(
        id=row.id,
        project_id=row.project_id,
        title=title_of(cause, series=row.series, first_title=row.first_title),
        status=row.status,
        severity=row.severity,
        verdict=row.verdict,
        cause=cause
        and OutageCause(
            attribute=cause[0],
            value=cause[1],
            fired_series=row.fired_series,
            active_series=row.active_series,
        ),
        environments=row.environments,
        incidents=row.incidents,
        opened_at=row.opened_at,
        confirmed_at=row.confirmed_at,
        last_seen_at=row.last_seen_at,
        resolved_at=row.resolved_at,
        resolve_reason=row.resolve_reason,
        reopened=row.reopened,
        regression_of=row.regression_of,
        first_incident_id=row.first_incident_id,
        is_settled=row.settled_at is not None,
        ai_job_status=row.ai_job_status,
        summary_model=row.summary_model,
        assignee=row.assignee,
        snoozed_until=row.snoozed_until,
        version=row.version,
    )


def explain_outage(row: OutageRow, first: IncidentReason | None) -> OutageReason:
    """Say why its incidents are one outage; `first` is why its first incident fired."""
    explanation = explanation_of(
        _cause(row),
        fired=row.fired_series,
        active=row.active_series,
        series=row.series,
        is_settled=row.settled_at is not None,
        failures=row.settle_failures,
    )
    return OutageReason(explanation=explanation, first_incident=first)


def chart_of(
    connection: Connection, tenancy: Tenancy, row: OutageRow, members: Sequence[OutageMember]
) -> OutageChart:
    """Add up the series of the first incident's metric; a series that came back counts once."""
    metric = read_fingerprint(members[0].fingerprint).metric_name
    first: dict[str, OutageMember] = {}
    for member in members:
        if read_fingerprint(member.fingerprint).metric_name == metric:
            first.setdefault(member.fingerprint, member)
    shown = list(first.values())[:MAX_CHART_SERIES]
    ranges = [
        chart_range(
            Series(tenancy.project_id, member.environment, metric, member.fingerprint, tenancy.org_id),
            row.opened_at,
            row.last_seen_at,
        )
        for member in shown
    ]
    total: dict[int, int] = {}
    for counts in buckets.read(connection, ranges):
        for minute, count in counts.items():
            total[minute] = total.get(minute, 0) + count
    normals = [normal for member in shown if (normal := _normal_per_minute(member)) is not None]
    return OutageChart(
        metric=metric,
        series=len(shown),
        baseline_per_minute=sum(normals) if normals else None,
        minutes=fill(total, ranges[0]),
    )


def _normal_per_minute(member: OutageMember) -> float | None:
    """Return the events a minute that were usual when the incident opened, None when unknown."""
    if member.normal is None or not member.window_minutes:
        return None
    return member.normal / member.window_minutes
