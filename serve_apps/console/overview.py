"""The first page of a project: is anything wrong, is the pipeline well, is data coming in?"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from serve_apps.console.charts import HistogramChart, histograms
from serve_apps.console.outage_list import DEFAULT_VERDICT, numbers_of
from serve_apps.console.pages import ConsolePage, Visit
from serve_apps.console.pipeline import hour_of, pipeline_verdict
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.search import bucket_length
from serve_apps.console.sending_lines import NO_KEY, server_lines, snippet
from serve_apps.console.shown_once import shown_once
from serve_apps.console.views import View
from signals.errors import DependencyUnavailable
from signals.services.events.search import CountedPage
from signals.services.incidents.outage_answers import OutageView
from signals.services.incidents.outage_views import OutageListRequest
from signals.services.incidents.views import STATUSES
from signals.store.incidents.incident_overview import UnresolvedOutages

SHOWN: Final = 8  # incidents; guess: what fits a screen
SPAN: Final = timedelta(hours=6)
NOISY: Final = ("error_code", "route")
LOOK_AGAIN_S: Final = 20  # seconds between two looks for the first event where no script looks; guess
FIRST_EVENTS: Final = 5  # guess: so few in six hours are a first try


def show_overview(resources: ConsoleResources, visit: Visit) -> View:
    """Show what is open, how the pipeline does, and the events of the last hours; a first key, this once."""
    return shown_once(visit, f"{visit.base}/", lambda once: _view(resources, visit, once.get("text", "")))


def _view(resources: ConsoleResources, visit: Visit, key: str) -> View:
    tenancy = visit.where.tenancy
    counts = resources.overview.unresolved_outages(tenancy)
    rows = _unresolved(resources, visit, counts)
    resolved = OutageListRequest(status="resolved", verdict=DEFAULT_VERDICT, limit=1)
    last = resources.outages.page(tenancy, resolved).outages
    found = _events(resources, visit)
    charts: Sequence[HistogramChart] = ()
    if found and found.histogram and found.total.value:
        buckets = [(bucket.at, bucket.count) for bucket in found.histogram.buckets]
        now = visit.clock.now
        charts = histograms(buckets, bucket_length(found.histogram), visit.clock, (now - SPAN, now))
    hour = hour_of(resources, visit)
    is_quiet = not rows and not last and not counts.unconfirmed
    is_new = is_quiet and not hour.accepted and found is not None and not found.total.value
    return View(
        "overview.html",
        {
            "counts": counts,
            "outages": rows,
            "numbers": numbers_of(resources, rows),
            "last_resolved": last[0] if last else None,
            "verdict": pipeline_verdict(resources.readiness.check()),
            "hour": hour,
            "found": found,
            "charts": charts,
            "noisy": {name: found.facets[name][:5] for name in NOISY} if found and found.facets else {},
            "is_new": is_new,
            "is_first": is_quiet and found is not None and 0 < found.total.value <= FIRST_EVENTS,
            "key": key,
            "snippet": snippet(visit, key or NO_KEY),
            "lines": server_lines(visit, key or NO_KEY) if is_new or key else [],
            "look_again_s": LOOK_AGAIN_S,
        },
    )


def _unresolved(resources: ConsoleResources, visit: Visit, counts: UnresolvedOutages) -> list[OutageView]:
    """Return the newest open outages, then those being investigated, as far as there is room."""
    rows: list[OutageView] = []
    for status, count in zip(STATUSES[:2], (counts.open, counts.investigating), strict=True):
        if count and len(rows) < SHOWN:
            request = OutageListRequest(status=status, verdict=DEFAULT_VERDICT, limit=SHOWN - len(rows))
            rows += resources.outages.page(visit.where.tenancy, request).outages
    return rows


def _events(resources: ConsoleResources, visit: Visit) -> CountedPage | None:
    """Count the events of the last hours, None while OpenSearch is away: the page has more to show."""
    since = (visit.clock.now - SPAN).replace(second=0, microsecond=0)
    try:
        return resources.event_finder.count(visit.where.tenancy, since, facets=NOISY)
    except DependencyUnavailable:
        return None


PAGES: Final[tuple[ConsolePage, ...]] = (
    ConsolePage(
        method="GET",
        path="/console/p/{project_id}/",
        right="read",
        handler=show_overview,
        active="overview",
        live="changes",
    ),
)
