"""The page of an outage, and the change of its status together with its incidents'."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final
from uuid import UUID

from starlette.responses import Response

from serve_apps.console.charts import Compared, series_charts
from serve_apps.console.history import HistoryLine, changes_by_people
from serve_apps.console.incidents import FIRST_STATE, RESOLVED_BY
from serve_apps.console.outage_cares import care_values
from serve_apps.console.pages import ConsolePage, Visit, missing, own_path, see_other
from serve_apps.console.refused_forms import REFUSAL, refused_status
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.shown_once import shown_once
from serve_apps.console.summaries import shown_summary
from serve_apps.console.summary_talk import talk_values
from serve_apps.console.views import View
from shared_types import Fingerprint, read_fingerprint
from shared_types.fingerprints import SeriesFingerprint
from signals.domain.access.team import names_of
from signals.domain.detection.counted import counted_in
from signals.domain.incidents.episode import IDLE_MINUTES
from signals.domain.incidents.shared_values import shared_values
from signals.services.deploys.views import DeployRequest
from signals.services.incidents.incident_chart import Chart, DeployMark
from signals.services.incidents.outage_answers import OutageDetail
from signals.services.incidents.precondition import Precondition
from signals.store.incidents.outage_members import OutageMember

SHOWN_MEMBERS: Final = 20  # guess: the others are folded
SUM_MINUTES: Final = 5  # the window of the line in the chart, as that of Rule A
MAX_DEPLOYS: Final = 20  # in one chart


def show_outage(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Show one outage; that of a single incident is the incident's page."""
    outage_id = visit.id("outage_id", "outage")
    detail = outage_detail(resources, visit, outage_id)
    if detail.outage.incidents == 1:
        return see_other(f"{visit.base}/incidents/{detail.outage.first_incident_id}")
    if detail.outage.id != outage_id:  # merged into another one until minute ten
        return see_other(f"{visit.base}/outages/{detail.outage.id}")
    page = f"{visit.base}/outages/{outage_id}"
    return shown_once(visit, page, lambda once: _view(resources, visit, detail, once.get(REFUSAL, "")))


def outage_detail(resources: ConsoleResources, visit: Visit, outage_id: UUID) -> OutageDetail:
    """Return an outage with everything around it; of a merged one, the outage that has its incidents now.

    Raises:
        Problem: 404 when the project has no such outage.
    """
    detail = resources.outages.detail(visit.where.tenancy, outage_id)
    if detail is None:
        raise missing("outage")
    return detail


def _view(resources: ConsoleResources, visit: Visit, detail: OutageDetail, refusal: str) -> View:
    outage = detail.outage
    changes = resources.outage_work.timeline(visit.where.tenancy, outage.id) or []
    team = resources.overview.team(visit.where.tenancy)
    names = names_of(team)
    by_people = changes_by_people(changes, names, visit.clock)
    parts = [read_fingerprint(one.fingerprint) for one in detail.incidents]
    counted = counted_in(parts[0])
    normal = detail.chart.baseline_per_minute
    compared = Compared(
        window=SUM_MINUTES,
        threshold=None,
        normal=None if normal is None else normal * SUM_MINUTES,
        opened_at=outage.opened_at.replace(second=0, microsecond=0),
    )
    chart = _chart(resources, visit, detail)
    path = f"{visit.base}/outages/{outage.id}"
    values = {
        "outage": outage,
        "state": FIRST_STATE[outage.status],
        "explanation": detail.why.explanation,
        "members": detail.incidents[:SHOWN_MEMBERS],
        "folded": detail.incidents[SHOWN_MEMBERS:],
        "counted": counted,
        "charts": series_charts(chart, compared, visit.clock),
        "series_count": detail.chart.series,
        "sum_minutes": SUM_MINUTES,
        "summary": shown_summary(detail.summary, None, chart.deploys),
        "summary_job": detail.ai_jobs[0] if detail.ai_jobs else None,
        "shared": shared_values([_values_of(one) for one in parts]),
        "timeline": sorted(_history(detail, chart, by_people), key=lambda one: one.at, reverse=True),
        "quiet_for": visit.clock.now - outage.last_seen_at,
        "idle_minutes": IDLE_MINUTES,
        "refusal": refusal,
        "outage_id": outage.id,
        **talk_values(resources, visit, outage.first_incident_id, detail.summary, names),
        **care_values(visit, outage, team, path),
    }
    return View("outage.html", values)


def _values_of(series: SeriesFingerprint) -> Mapping[str, object]:
    if not isinstance(series, Fingerprint):
        return dict(series.values)
    return {"error_code": series.error_code, "route": series.route, "environment": series.environment.value}


def _chart(resources: ConsoleResources, visit: Visit, detail: OutageDetail) -> Chart:
    """Return the sum of the series with the deploys of the same minutes, to be drawn like an incident's."""
    minutes = detail.chart.minutes
    found: list[DeployMark] = []
    if minutes:
        request = DeployRequest(
            environment=detail.outage.environments[0] if len(detail.outage.environments) == 1 else None,
            since=minutes[0].at.isoformat(),
            limit=MAX_DEPLOYS,
        )
        found = [
            DeployMark(
                id=one.id, at=one.occurred_at, release=one.release, service=one.service, status=one.status
            )
            for one in reversed(resources.deploys.page(visit.where.tenancy, request).deploys)
            if one.occurred_at <= minutes[-1].at
        ]
    return Chart(
        metric=detail.chart.metric,
        baseline_per_minute=detail.chart.baseline_per_minute,
        minutes=minutes,
        deploys=found,
    )


def _history(detail: OutageDetail, chart: Chart, by_people: Sequence[HistoryLine]) -> Iterator[HistoryLine]:
    outage = detail.outage
    yield HistoryLine(at=outage.opened_at, kind="fired", text=f"Opened: {_name(detail.incidents[0])}")
    for member in detail.incidents[1:]:
        yield HistoryLine(at=member.opened_at, kind="fired", text=f"Joined: {_name(member)}")
    yield from by_people
    for deploy in chart.deploys:
        named = " ".join(part for part in (deploy.service, deploy.release) if part)
        yield HistoryLine(at=deploy.at, kind="deploy", text=f"Deployed {named}".strip())
    if outage.resolved_at and outage.resolve_reason != "by_hand":
        reason = RESOLVED_BY.get(outage.resolve_reason or "", "")
        yield HistoryLine(at=outage.resolved_at, kind="resolved", text=f"Resolved {reason}".rstrip())


def _name(member: OutageMember) -> str:
    """Return the series of a member in a few words, its title where there are none."""
    values = _values_of(read_fingerprint(member.fingerprint))
    code, route = values.get("error_code"), values.get("route")
    return f"{code} on {route}" if code and route else member.title


def set_outage_status(resources: ConsoleResources, visit: Visit) -> Response:
    """Take an outage on, resolve it, or open it again with its incidents, in the person's name."""
    outage_id, wanted = visit.id("outage_id", "outage"), visit.form.get("status", "")
    tenancy, page = visit.where.tenancy, f"{visit.base}/outages/{outage_id}"
    only_if = Precondition(shown=visit.form.get("shown") or None)
    outcome = resources.outages.set_status(tenancy, outage_id, wanted, actor=visit.who.actor, only_if=only_if)
    if outcome == "unknown_outage":
        raise missing("outage")
    if outcome == "changed":
        return see_other(own_path(visit.form.get("next") or page))
    timeline = partial(resources.outage_work.timeline, tenancy, outage_id)
    return refused_status(resources, visit, page, outcome, timeline)


_ONE: Final = "/console/p/{project_id}/outages/{outage_id}"
PAGES: Final = (
    ConsolePage(method="GET", path=_ONE, right="read", handler=show_outage, active="outages", live="changes"),
    ConsolePage(
        method="POST", path=_ONE + "/status", right="respond", handler=set_outage_status, active="outages"
    ),
)
