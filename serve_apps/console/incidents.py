"""The page of an incident, and the change of its status."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import Response

from serve_apps.console.charts import Compared, series_charts
from serve_apps.console.history import HistoryLine, changes_by_people
from serve_apps.console.outage_cares import care_values
from serve_apps.console.pages import ConsolePage, Visit, missing, own_path, project_path, see_other
from serve_apps.console.refused_forms import REFUSAL, refused_status
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.shown_once import shown_once
from serve_apps.console.summaries import shown_summary
from serve_apps.console.summary_talk import talk_values
from serve_apps.console.views import View
from serve_apps.console.words import number
from serve_apps.http.problems import Problem
from shared_types import read_fingerprint
from signals.domain.access.team import names_of
from signals.domain.detection.counted import BASELINE_MINUTES, CountedEvents, counted_in
from signals.domain.incidents.episode import IDLE_MINUTES
from signals.domain.incidents.shared_values import shared_values
from signals.domain.queries.search import search_filters
from signals.services.incidents.precondition import Precondition
from signals.services.incidents.views import IncidentDetail
from signals.store.incidents.incident_views import Incident

SHOWN_EVENTS: Final = 12
FIRST_STATE: Final = {"open": "FIRING", "investigating": "INVESTIGATING", "resolved": "Resolved"}
RESOLVED_BY: Final = {
    "quiet": "by itself, after an hour without a sign of it",
    "became_usual": "because its level had become the usual one",
    "superseded": "because another incident took its place",
    "gone": "because its series had ended",
    "by_hand": "by hand",
    "rule_off": "because its rule was disabled or removed",
    "rule_changed": "because its rule was changed to count other events",
}


def show_incident(resources: ConsoleResources, visit: Visit) -> View:
    """Show one incident: since when, how bad, why it fired, what the events share, what was done."""
    incident_id = visit.id("incident_id", "incident")
    page = f"{visit.base}/incidents/{incident_id}"
    return shown_once(visit, page, lambda once: _view(resources, visit, incident_id, once.get(REFUSAL, "")))


def _view(resources: ConsoleResources, visit: Visit, incident_id: UUID, refusal: str) -> View:
    found = resources.incidents.detail_and_timeline(visit.where.tenancy, incident_id)
    if found is None:
        raise missing("incident")
    detail, changes = found
    team, path = resources.overview.team(visit.where.tenancy), f"{visit.base}/incidents/{incident_id}"
    names = names_of(team)
    by_people = changes_by_people(changes, names, visit.clock)
    why, incident = detail.why, detail.incident
    compared = why and Compared(
        window=why.window_minutes,
        threshold=why.opened.threshold,
        normal=why.normal,
        opened_at=why.opened.minute_at,
    )
    parts = read_fingerprint(incident.fingerprint)
    is_over = incident.status == "resolved"
    values = {
        "incident": incident,
        "state": FIRST_STATE[incident.status],
        "outage": detail.outage if detail.outage and detail.outage.incidents > 1 else None,
        "why": why,
        "fires": _fires(why.opened.threshold, counted_of(incident)) if why else "",
        "rule": counted_of(incident),
        "baseline_minutes": BASELINE_MINUTES,
        "parts": parts,
        "charts": series_charts(detail.chart, compared or None, visit.clock),
        "began": detail.began,
        "summary": shown_summary(detail.summary, why, detail.chart.deploys),
        "summary_job": detail.ai_jobs[0] if detail.ai_jobs else None,
        "events": detail.events[:SHOWN_EVENTS],
        "event_count": len(detail.events),
        "shared": shared_values([event.attributes or {} for event in detail.events]),
        "timeline": sorted(_history(detail, by_people), key=lambda entry: entry.at, reverse=True),
        "outage_id": detail.outage.id if detail.outage else None,
        **talk_values(resources, visit, incident_id, detail.summary, names),
        **care_values(visit, detail.outage, team, path),
        "quiet_for": visit.clock.now - incident.last_seen_at,
        "idle_minutes": IDLE_MINUTES,
        "search": _search_address(visit, detail),
        "again": resources.overview.failing_again(visit.where.tenancy, incident_id) if is_over else None,
        "refusal": refusal,
    }
    return View("incident.html", values)


def _fires(threshold: float, counted: CountedEvents) -> str:
    return f"fires at {'or below ' if counted.direction == 'down' else ''}{number(threshold)}"


def _search_address(visit: Visit, detail: IncidentDetail) -> str:
    filters = search_filters(read_fingerprint(detail.incident.fingerprint))
    since = detail.chart.minutes[0].at if detail.chart.minutes else detail.incident.opened_at
    query = urlencode({"q": filters, "since": since.isoformat().replace("+00:00", "Z")})
    return f"{visit.base}/search?{query}"


def _history(detail: IncidentDetail, by_people: Sequence[HistoryLine]) -> Iterator[HistoryLine]:
    incident, why = detail.incident, detail.why
    opened = "Opened"
    if why:
        counted = counted_of(incident).counted
        opened = f"Opened: {why.opened.count:,} {counted} in {why.window_minutes} minutes"
    yield HistoryLine(at=incident.opened_at, kind="fired", text=opened)
    for job in detail.ai_jobs:
        yield HistoryLine(at=job.created_at, kind="", text="Summary asked for")
        if job.status in ("succeeded", "failed"):
            done = "written" if job.status == "succeeded" else "given up"
            yield HistoryLine(at=job.updated_at, kind="", text=f"Summary {done}")
    yield from by_people
    for deploy in detail.chart.deploys:
        named = " ".join(part for part in (deploy.service, deploy.release) if part)
        yield HistoryLine(at=deploy.at, kind="deploy", text=f"Deployed {named}".strip())
    resolved_at = incident.resolved_at
    if resolved_at and not any(abs(one.at - resolved_at) < timedelta(seconds=2) for one in by_people):
        reason = RESOLVED_BY.get((why and why.resolve_reason) or "", "")
        yield HistoryLine(at=resolved_at, kind="resolved", text=f"Resolved {reason}".rstrip())


def counted_of(incident: Incident) -> CountedEvents:
    """Return which events an incident is about, and whether more or fewer of them are bad."""
    return counted_in(read_fingerprint(incident.fingerprint))


def set_status(resources: ConsoleResources, visit: Visit) -> Response:
    """Take an incident on, resolve it, or open it again, in the person's name."""
    incident_id, wanted = visit.id("incident_id", "incident"), visit.form.get("status", "")
    tenancy, page = visit.where.tenancy, f"{visit.base}/incidents/{incident_id}"
    only_if = Precondition(shown=visit.form.get("shown") or None)
    outcome = resources.incidents.set_status(
        tenancy, incident_id, wanted, actor=visit.who.actor, only_if=only_if
    )
    if outcome == "unknown_incident":
        raise missing("incident")
    if outcome == "changed":
        return see_other(own_path(visit.form.get("next") or page))
    timeline = partial(resources.incidents.timeline, tenancy, incident_id)
    return refused_status(resources, visit, page, outcome, timeline)


def find_incident(resources: ConsoleResources, visit: Visit) -> Response:
    """Go to an incident by its id alone, as links from outside name it.

    Raises:
        Problem: 404 when none of the person's projects has it.
    """
    incident_id = visit.id("incident_id", "incident")
    for access in visit.who.projects:
        if resources.incidents.timeline(access.tenancy, incident_id) is not None:
            return see_other(f"{project_path(access.project_id)}/incidents/{incident_id}")
    raise Problem(404, "no_such_incident", "There is no such incident, or you are no member of its project.")


_LIST: Final = "/console/p/{project_id}/incidents"
PAGES: Final = (
    ConsolePage(
        method="GET",
        path=_LIST + "/{incident_id}",
        right="read",
        handler=show_incident,
        active="outages",
        live="changes",
    ),
    ConsolePage(
        method="POST",
        path=_LIST + "/{incident_id}/status",
        right="respond",
        handler=set_status,
        active="outages",
    ),
    ConsolePage(method="GET", path="/console/incidents/{incident_id}", right="member", handler=find_incident),
)
