"""Lists incidents, explains one, and sets its status."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args
from urllib.parse import urlencode
from uuid import UUID

import structlog
from psycopg_pool import ConnectionPool

from shared_types import Tenancy, read_fingerprint
from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, reading, transaction
from signals.domain.deploys.beginning import IncidentBeginning
from signals.domain.incidents.episode import (
    IncidentStatus,
    StatusWanted,
    VerdictWanted,
)
from signals.domain.queries import cursors
from signals.domain.queries.counts import UnresolvedCounts
from signals.domain.queries.parameters import InvalidQuery, instant, searched_text
from signals.domain.queries.search import search_filters
from signals.domain.queries.sorting import ListSort, PagePosition, position_of
from signals.services.incidents.incident_chart import Chart, draw
from signals.services.incidents.incident_reason import IncidentReason, explain
from signals.services.incidents.precondition import UNCONDITIONAL, Precondition
from signals.store.incidents import (
    incident_changes,
    incident_context,
    incident_states,
    incident_views,
    outage_states,
)
from signals.store.incidents.incident_changes import TimelineEntry
from signals.store.incidents.incident_context import (
    AiJob,
    OutageLink,
    RepresentativeEvent,
    StoredSummary,
)
from signals.store.incidents.incident_views import Incident, ListFilter, StatusMove

MAX_EVENTS: Final = 50  # as many as the summary reads
MAX_CHANGES: Final = 1_000  # guess: a change a minute for most of a day
MAX_JOBS: Final = 20  # guess: newest first; older ones have nothing to add

STATUSES: Final[tuple[IncidentStatus, ...]] = get_args(IncidentStatus)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRequest:
    """A list of incidents as the client asked for it."""

    environment: str | None = None
    status: StatusWanted | None = None
    severity: str | None = None
    verdict: VerdictWanted | None = None
    since: str | None = None
    until: str | None = None
    assignees: tuple[str, ...] = ()
    text: str | None = None
    sort: ListSort = "opened"
    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentPage:
    """Incidents in the order of the list; `next_cursor` is None on the last page."""

    incidents: list[Incident]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentDetail:
    """Everything about one incident. `began` is computed when it is read: a marker may come late."""

    incident: Incident
    outage: OutageLink | None
    why: IncidentReason | None
    began: IncidentBeginning | None
    summary: StoredSummary | None
    ai_jobs: list[AiJob]
    events: list[RepresentativeEvent]
    chart: Chart
    links: dict[str, str]


StatusOutcome = Literal[
    "changed", "unknown_incident", "unknown_status", "stale", "another_open", "version_changed"
]


def _filter(tenancy: Tenancy, request: ListRequest) -> ListFilter:
    wanted = ListFilter(
        project_id=tenancy.project_id,
        environment=request.environment,
        status=request.status,
        severity=request.severity,
        verdict=request.verdict,
        since=instant("since", request.since) if request.since else None,
        until=instant("until", request.until) if request.until else None,
        assignees=list(request.assignees) or None,
        text=searched_text(request.text),
    )
    if wanted.since and wanted.until and wanted.since >= wanted.until:
        raise InvalidQuery("until", "it must be later than since")
    return wanted


class Incidents:
    """Reads and settles the incidents of a tenant; safe to call from several threads."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool

    def page(self, tenancy: Tenancy, request: ListRequest) -> IncidentPage:
        """Return one page of incidents.

        Raises:
            InvalidQuery: naming the parameter at fault.
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        wanted = _filter(tenancy, request)
        tied_to = cursors.tie("incidents", wanted, request.sort)
        before = PagePosition.decode(request.cursor, tied_to=tied_to) if request.cursor is not None else None
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            rows = incident_views.list_incidents(
                connection, wanted, before=before, limit=request.limit + 1, sort=request.sort
            )
        page, more = rows[: request.limit], len(rows) > request.limit
        next_cursor = position_of(request.sort, page[-1]).encode(tied_to=tied_to) if more else None
        return IncidentPage(incidents=page, next_cursor=next_cursor)

    def unresolved(self, tenancy: Tenancy, request: ListRequest) -> UnresolvedCounts:
        """Count the unresolved incidents that a list is narrowed to, of every status.

        Raises:
            InvalidQuery: naming the parameter at fault.
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        wanted = replace(_filter(tenancy, request), status=None)
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            return incident_views.unresolved(connection, wanted)

    def detail(self, tenancy: Tenancy, incident_id: UUID) -> IncidentDetail | None:
        """Return one incident with everything around it, None when the project has no such one.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            return _detail(connection, tenancy, incident_id)

    def detail_and_timeline(
        self, tenancy: Tenancy, incident_id: UUID
    ) -> tuple[IncidentDetail, Sequence[TimelineEntry]] | None:
        """Return one incident with everything around it and what happened to it, None for no such one.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            found = _detail(connection, tenancy, incident_id)
            if found is None:
                return None
            return found, incident_changes.timeline(connection, incident_id, limit=MAX_CHANGES)

    def timeline(self, tenancy: Tenancy, incident_id: UUID) -> list[TimelineEntry] | None:
        """Return what happened to the incident last, oldest first; None when the project has no such one.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            if incident_views.get(connection, tenancy.project_id, incident_id) is None:
                return None
            return list(incident_changes.timeline(connection, incident_id, limit=MAX_CHANGES))

    def set_status(
        self,
        tenancy: Tenancy,
        incident_id: UUID,
        status: str,
        *,
        actor: str = "api",
        only_if: Precondition = UNCONDITIONAL,
    ) -> StatusOutcome:
        """Set the status; setting what already is counts as changed. The timeline names the `actor`.

        In `only_if`, `shown` is its status.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer; the status may have been set.
        """
        wanted = next((known for known in STATUSES if known == status), None)
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            incident = incident_views.get(connection, tenancy.project_id, incident_id)
            if incident is None:
                return "unknown_incident"
            if wanted is None:
                return "unknown_status"
            if only_if.version is not None:
                incident_changes.act_on(connection, incident.id, actor)
                if incident_changes.version_of(connection, [incident.id]) != only_if.version:
                    return "version_changed"
            if not only_if.holds_for(incident.status):
                return "stale"
            if incident.status == wanted:
                return "changed"
            incident_changes.act_as(connection, actor)
            move = StatusMove(expected=incident.status, status=wanted)
            outcome = incident_views.set_status(connection, incident.project_id, [incident.id], move)
            if outcome == "changed":
                if "resolved" in (wanted, incident.status):
                    incident_states.note_status(connection, [incident.id], is_resolved=wanted == "resolved")
                outage_states.follow_incidents(connection, [incident.id])
                outage_states.note_work(connection, incident.id)
        log.info("incident status", incident_id=str(incident_id), status=wanted, outcome=outcome)
        return outcome


def _detail(connection: Connection, tenancy: Tenancy, incident_id: UUID) -> IncidentDetail | None:
    incident = incident_views.get(connection, tenancy.project_id, incident_id)
    if incident is None:
        return None
    context = incident_context.context_of(connection, incident_id, events=MAX_EVENTS, jobs=MAX_JOBS)
    why = explain(context.reasons, context.state, incident.fingerprint)
    chart, began = draw(connection, incident, why)
    return IncidentDetail(
        incident=incident,
        outage=context.outage,
        why=why,
        began=began,
        summary=context.summary,
        ai_jobs=context.ai_jobs,
        events=context.events,
        chart=chart,
        links=_links(incident, chart),
    )


def _links(incident: Incident, chart: Chart) -> dict[str, str]:
    search = {
        "filters": search_filters(read_fingerprint(incident.fingerprint)),
        "since": chart.minutes[0].at.isoformat(),
    }
    return {
        "self": f"/v1/incidents/{incident.id}",
        "events": f"/v1/search/events?{urlencode(search)}",
    }
