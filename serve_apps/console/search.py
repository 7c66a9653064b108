"""Search: one line with completion, facets and a histogram as links, and the values to complete."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from starlette.responses import Response

from serve_apps.console.charts import HistogramChart, histograms
from serve_apps.console.pages import LIVE_HEADER, ConsolePage, Visit, see_other
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.saved_views import views_of
from serve_apps.console.search_address import OPTIONAL_PARTS, RANGES, SearchAddress, written_instant
from serve_apps.console.views import View
from serve_apps.console.words import instant_of, message_of
from serve_apps.http.answers import json_answer
from shared_types import Environment, EventType, Severity
from signals.clients.opensearch.search_counts import Histogram, SearchPart
from signals.domain.queries.parameters import InvalidQuery
from signals.domain.queries.search import FIELDS
from signals.errors import DependencyUnavailable
from signals.services.events.search import SearchPage, SearchRequest

PAGE_ROWS: Final = 50
COMPARED: Final = 12  # values shown; guess: what fits beside a list
FACET_TITLES: Final[Mapping[str, str]] = {
    "severity": "Severity",
    "error_code": "Error code",
    "route": "Route",
    "release": "Release",
    "status_code": "Status",
    "event_type": "Type",
    "environment": "Environment",
}
WORDS: Final[Mapping[str, Sequence[str]]] = {
    "event_type": list(EventType),
    "severity": list(Severity),
    "environment": list(Environment),
}
"""The values that these fields can have at all."""
_INTERVAL: Final = re.compile(r"(\d+)([smhdMy])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "M": 30 * 86_400, "y": 365 * 86_400}


def search(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Search events; a fault of the question, or of OpenSearch, is told beside it."""
    address = SearchAddress(visit)
    values: dict[str, Any] = {
        "address": address,
        "fields": " ".join(FIELDS),
        "ranges": RANGES,
        "facet_titles": FACET_TITLES,
        "page": None,
        "charts": (),
        "older": "",
        "fault": "",
        "parts": _parts(visit),
        "compared": COMPARED,
        "message_of": message_of,
        "instant_of": instant_of,
        "written_instant": written_instant,
        "is_first": not visit.query("cursor"),
        "tail": visit.query("tail") == "1",
        **views_of(resources, visit, "search"),
    }
    status = 200
    try:
        if exact := address.exact():
            return see_other(f"{visit.base}/search{exact}")
        request = replace(address.request(PAGE_ROWS), parts=_parts(visit), is_paged=not _is_tail(visit))
        page = resources.event_finder.search(visit.where.tenancy, request)
        values |= {"page": page, "charts": _charts(page, address), "older": _older(page, address)}
    except InvalidQuery as error:
        values["fault"], status = f"{error}.", 400
    except DependencyUnavailable:
        values["fault"], status = "OpenSearch does not answer at the moment; incidents are not affected.", 503
    return View("search.html", values, status)


def complete(resources: ConsoleResources, visit: Visit) -> Response:
    """Return the most frequent values of each field within the span, for the line to complete."""
    address = SearchAddress(visit)
    request = SearchRequest(
        since=address.begins, until=address.until or None, limit=1, parts=(SearchPart.FACETS,)
    )
    found = resources.event_finder.search(visit.where.tenancy, request).facets or {}
    frequent = {name: [str(one.value) for one in values] for name, values in found.items()}
    values = {name: list(dict.fromkeys([*frequent.get(name, ()), *WORDS.get(name, ())])) for name in FIELDS}
    return json_answer(visit.request, values)


def _parts(visit: Visit) -> frozenset[SearchPart]:
    """Return what is counted beside the list; facets and the comparison only when asked for."""
    if _is_tail(visit):
        return frozenset()
    asked = {part for part in OPTIONAL_PARTS if visit.query(part) == "1"}
    return frozenset({SearchPart.HISTOGRAM, *asked})


def _is_tail(visit: Visit) -> bool:
    """Tell whether the live tail asks, which reads the list alone every two seconds, and no further page."""
    return LIVE_HEADER in visit.request.headers


def _older(page: SearchPage, address: SearchAddress) -> str:
    """Return the address of the next page, empty on the last; it keeps the beginning of a relative span."""
    if not page.next_cursor:
        return ""
    return address.link(cursor=page.next_cursor, **{"from": address.begins})


def _charts(page: SearchPage, address: SearchAddress) -> Sequence[HistogramChart]:
    if page.histogram is None:
        return ()
    buckets = [(bucket.at, bucket.count) for bucket in page.histogram.buckets]
    return histograms(buckets, bucket_length(page.histogram), address.visit.clock, address.bounds)


def bucket_length(found: Histogram) -> timedelta:
    """Return how long one bucket of a histogram lasts."""
    match = _INTERVAL.fullmatch(found.interval)
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]]) if match else timedelta(minutes=1)


_SEARCH: Final = "/console/p/{project_id}/search"
PAGES: Final = (
    ConsolePage(method="GET", path=_SEARCH, right="read", handler=search, active="search"),
    ConsolePage(
        method="GET", path=_SEARCH + "/values", right="read", handler=complete, active="search", is_use=False
    ),
)
