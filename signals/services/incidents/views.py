"""Lists incidents, explains one, and sets its status."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal, get_args
from urllib.parse import urlencode
from uuid import UUID

import structlog
from psycopg_pool import ConnectionPool

from shared_types import RuleFingerprint, Tenancy, read_fingerprint
from shared_types.fingerprints import ALL_ENVIRONMENTS
from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, reading, transaction
from signals.domain.deploys.beginning import BEFORE, IncidentBeginning, beginning_of
from signals.domain.deploys.deploy import Deploy, DeployStatus
from signals.domain.detection.buckets import BucketRange, Series, instant_of, minute_of
from signals.domain.detection.counted import counted_in
from signals.domain.detection.verdict import RuleCondition
from signals.domain.incidents.charts import MinuteCount, chart_range, fill
from signals.domain.incidents.episode import (
    IncidentStatus,
    IncidentVerdict,
    ResolveReason,
    StatusWanted,
    VerdictWanted,
)
from signals.domain.incidents.lifecycle import IncidentKind
from signals.domain.queries import cursors
from signals.domain.queries.counts import UnresolvedCounts
from signals.domain.queries.parameters import InvalidQuery, instant, searched_text
from signals.domain.queries.search import search_filters
from signals.domain.queries.sorting import ListSort, PagePosition, position_of
from signals.store.deploys import deploys
from signals.store.deploys.deploys import DeployFilter
from signals.store.detection import buckets
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
    Reason,
    RepresentativeEvent,
    State,
    StoredSummary,
)
from signals.store.incidents.incident_views import Incident, ListFilter, StatusMove

MAX_EVENTS: Final = 50  # as many as the summary reads
MAX_DEPLOYS: Final = 50  # guess: near one incident; of more, the newest are shown
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
    assignee: str | None = None
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
class IncidentReason:
    """Why an incident fired, and the numbers it showed last; counts are of `window_minutes`.

    `normal` is the usual count, frozen at the opening; None when the series had no history (`kind` is `new`,
    and its normal is known from `known_from` on), and for a rule that compares with a bound. `grouping` is
    the version of the fingerprints.
    `resolve_reason` is None while unresolved, and for what an earlier release resolved. Of the verdict,
    `conditions` say what the rule that decided it had and needed; an incident of an earlier release has none.
    """

    rule: str
    rule_version: int
    window_minutes: int
    kind: IncidentKind
    verdict: IncidentVerdict | None
    normal: float | None
    known_from: datetime | None
    grouping: int
    resolve_reason: ResolveReason | None
    confirmed_at: datetime | None
    decided_by: str | None
    conditions: list[RuleCondition]
    reopened: int
    opened: Reason
    latest: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployMark:
    """A deploy to the incident's environment, to be drawn into its chart."""

    id: UUID
    at: datetime
    release: str | None
    service: str | None
    status: DeployStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Events a minute around the incident, against what was usual when it opened (None: unknown).

    `metric` is `error_count`, `signup_count`, or that of a rule that people wrote, `rule:NAME:VERSION`.
    `deploys` are those of the same minutes, oldest first.
    """

    metric: str
    baseline_per_minute: float | None
    minutes: list[MinuteCount]
    deploys: list[DeployMark]


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
        assignee=request.assignee,
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
        version: int | None = None,
        shown: str | None = None,
    ) -> StatusOutcome:
        """Set the status; setting what already is counts as changed. The timeline names the `actor`.

        With `version`, only while it is the incident's; with `shown`, only while that is its status.

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
            if version is not None:
                incident_changes.act_on(connection, incident.id, actor)
                if incident_changes.version_of(connection, [incident.id]) != version:
                    return "version_changed"
            if shown not in (None, incident.status):
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
    shown = _shown(incident)
    near = _deploys_near(connection, shown)
    [counts] = buckets.read(connection, [shown])
    chart = _chart(shown, counts, why, near)
    return IncidentDetail(
        incident=incident,
        outage=context.outage,
        why=why,
        began=_began(shown, counts, why, near),
        summary=context.summary,
        ai_jobs=context.ai_jobs,
        events=context.events,
        chart=chart,
        links=_links(incident, chart),
    )


def explain(reasons: Sequence[Reason], state: State, fingerprint: str) -> IncidentReason | None:
    """Say why an incident fired, None when an earlier release kept no numbers."""
    named = read_fingerprint(fingerprint)
    is_bound = isinstance(named, RuleFingerprint) and not named.has_normal
    by_moment = {reason.moment: reason for reason in reasons}
    opened = by_moment.get("opened")
    if opened is None:
        return None
    return IncidentReason(
        rule=opened.rule,
        rule_version=state.rule_version or 1,
        window_minutes=opened.window_minutes,
        kind=state.kind,
        verdict=state.verdict,
        normal=None if state.kind == "new" or is_bound else opened.baseline,
        known_from=state.known_from,
        grouping=state.grouping,
        resolve_reason=state.resolve_reason,
        confirmed_at=state.confirmed_at,
        decided_by=state.numbers.rule if state.numbers else None,
        conditions=list(state.numbers.conditions) if state.numbers else [],
        reopened=state.reopened,
        opened=opened,
        latest=by_moment.get("latest", opened),
    )


def _shown(incident: Incident) -> BucketRange:
    metric = read_fingerprint(incident.fingerprint).metric_name
    series = Series(incident.project_id, incident.environment, metric, incident.fingerprint, incident.org_id)
    return chart_range(series, incident.opened_at, incident.last_seen_at)


def _deploys_near(connection: Connection, shown: BucketRange) -> list[Deploy]:
    """Return the deploys of the shown minutes and of the hour before them, newest first."""
    environment = shown.series.environment
    wanted = DeployFilter(
        project_id=shown.series.project_id,
        environment=None if environment == ALL_ENVIRONMENTS else environment,
        since=instant_of(shown.start) - BEFORE,
        until=instant_of(shown.end),
    )
    return deploys.list_deploys(connection, wanted, limit=MAX_DEPLOYS)


def _chart(
    shown: BucketRange, counts: Mapping[int, int], why: IncidentReason | None, near: Sequence[Deploy]
) -> Chart:
    return Chart(
        metric=shown.series.metric_name,
        baseline_per_minute=(why.normal / why.window_minutes if why and why.normal is not None else None),
        minutes=fill(counts, shown),
        deploys=[
            DeployMark(
                id=deploy.event_id,
                at=deploy.occurred_at,
                release=deploy.release,
                service=deploy.service,
                status=deploy.status,
            )
            for deploy in reversed(near)
            if deploy.occurred_at >= instant_of(shown.start)
        ],
    )


def _began(
    shown: BucketRange, counts: Mapping[int, int], why: IncidentReason | None, near: Sequence[Deploy]
) -> IncidentBeginning | None:
    if why is None:
        return None
    return beginning_of(
        counts,
        minute_of(why.opened.minute_at),
        is_drop=counted_in(read_fingerprint(shown.series.fingerprint)).direction == "down",
        deploys=near,
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
