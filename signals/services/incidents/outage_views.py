"""Lists outages, explains one, and sets its status together with its incidents'."""

from dataclasses import dataclass, replace
from typing import Final, Literal
from uuid import UUID

import structlog
from psycopg_pool import ConnectionPool

from shared_types import Tenancy
from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, reading, transaction
from signals.domain.incidents.episode import StatusWanted, VerdictWanted
from signals.domain.queries import cursors
from signals.domain.queries.counts import UnresolvedCounts
from signals.domain.queries.parameters import instant, searched_text
from signals.domain.queries.sorting import ListSort, PagePosition, position_of
from signals.services.incidents.incident_reason import explain
from signals.services.incidents.outage_answers import (
    OutageDetail,
    OutagePage,
    chart_of,
    explain_outage,
    view_of,
)
from signals.services.incidents.outage_status import MoveOutcome, lock_version, set_status
from signals.services.incidents.precondition import UNCONDITIONAL, Precondition
from signals.services.incidents.views import MAX_JOBS, STATUSES
from signals.store.incidents import incident_changes, incident_context, outage_members, outage_views
from signals.store.incidents.outage_views import OutageFilter

MAX_MEMBERS: Final = 200  # shown, in order of opening: a page's worth

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageListRequest:
    """A list of outages as the client asked for it; `verdict` None means any."""

    environment: str | None = None
    status: StatusWanted | None = None
    severity: str | None = None
    verdict: VerdictWanted | None = None
    since: str | None = None
    assignees: tuple[str, ...] = ()
    text: str | None = None
    sort: ListSort = "opened"
    limit: int = 50
    cursor: str | None = None


OutageStatusOutcome = MoveOutcome | Literal["unknown_outage", "unknown_status", "version_changed"]


def _filter(tenancy: Tenancy, request: OutageListRequest) -> OutageFilter:
    return OutageFilter(
        project_id=tenancy.project_id,
        environment=request.environment,
        status=request.status,
        severity=request.severity,
        verdict=request.verdict,
        since=instant("since", request.since) if request.since else None,
        assignees=list(request.assignees) or None,
        text=searched_text(request.text),
    )


class Outages:
    """Reads and settles the outages of a tenant; safe to call from several threads."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool

    def page(self, tenancy: Tenancy, request: OutageListRequest) -> OutagePage:
        """Return one page of outages.

        Raises:
            InvalidQuery: naming the parameter at fault.
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        wanted = _filter(tenancy, request)
        tied_to = cursors.tie("outages", wanted, request.sort)
        before = PagePosition.decode(request.cursor, tied_to=tied_to) if request.cursor is not None else None
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            rows = outage_views.list_outages(
                connection, wanted, before=before, limit=request.limit + 1, sort=request.sort
            )
        page, more = rows[: request.limit], len(rows) > request.limit
        next_cursor = position_of(request.sort, page[-1]).encode(tied_to=tied_to) if more else None
        return OutagePage(outages=[view_of(row) for row in page], next_cursor=next_cursor)

    def unresolved(self, tenancy: Tenancy, request: OutageListRequest) -> UnresolvedCounts:
        """Count the unresolved outages that a list is narrowed to, of every status.

        Raises:
            InvalidQuery: naming the parameter at fault.
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        wanted = replace(_filter(tenancy, request), status=None)
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            return outage_views.unresolved(connection, wanted)

    def detail(self, tenancy: Tenancy, outage_id: UUID) -> OutageDetail | None:
        """Return one outage with everything around it, None when the project has no such one.

        An outage that was merged until minute ten is answered with the one that has its incidents now.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            row = outage_views.find(connection, tenancy.project_id, outage_id)
            if row is None:
                return None
            members = outage_members.list_members(connection, row.id, limit=MAX_MEMBERS)
            first = incident_context.context_of(connection, row.first_incident_id, events=0, jobs=MAX_JOBS)
            chart = chart_of(connection, tenancy, row, members)
        return OutageDetail(
            outage=view_of(row),
            why=explain_outage(row, explain(first.reasons, first.state, members[0].fingerprint)),
            summary=first.summary,
            ai_jobs=first.ai_jobs,
            incidents=members,
            chart=chart,
            links={
                "self": f"/v1/outages/{row.id}",
                "first_incident": f"/v1/incidents/{row.first_incident_id}",
            },
        )

    def first_incident(self, tenancy: Tenancy, outage_id: UUID) -> UUID | None:
        """Return the incident whose summary is the outage's, None when the project has no such outage.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            row = outage_views.find(connection, tenancy.project_id, outage_id)
        return row.first_incident_id if row else None

    def set_status(
        self,
        tenancy: Tenancy,
        outage_id: UUID,
        status: str,
        *,
        actor: str,
        only_if: Precondition = UNCONDITIONAL,
    ) -> OutageStatusOutcome:
        """Set the status of an outage and its incidents; setting what already is counts as changed.

        `actor` is who asks, for the timeline of its incidents. In `only_if`, `shown` is its status.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer; the status may have been set.
        """
        wanted = next((known for known in STATUSES if known == status), None)
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            row = outage_views.find(connection, tenancy.project_id, outage_id)
            if row is None:
                return "unknown_outage"
            if wanted is None:
                return "unknown_status"
            if only_if.version is not None and lock_version(connection, row.id) != only_if.version:
                return "version_changed"
            if not only_if.holds_for(row.status):
                return "stale"
            if row.status == wanted:
                return "changed"
            incident_changes.act_as(connection, actor)
            outcome = set_status(connection, row, wanted)
        log.info("outage status", outage_id=str(row.id), status=wanted, outcome=outcome)
        return outcome
