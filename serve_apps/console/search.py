"""Search: the API's language in a form, facets and histogram as links, one event by its id, and export."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import orjson
from starlette.responses import Response, StreamingResponse

from serve_apps.console.charts import HistogramChart, histograms
from serve_apps.console.pages import LIVE_HEADER, ConsolePage, Visit
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.saved_views import views_of
from serve_apps.console.views import View
from serve_apps.http.problems import NOT_STORED, Problem
from signals.clients.opensearch.search import Histogram, SearchPart
from signals.domain.queries.parameters import InvalidQuery
from signals.errors import DependencyUnavailable
from signals.services.events.search import SearchPage, SearchRequest

PAGE_ROWS: Final = 50
EXPORT_PAGE: Final = 200
EXPORT_ROWS: Final = 10_000  # guess: what a spreadsheet opens; more belongs to the API's pages
RANGES: Final[Mapping[str, tuple[timedelta, str]]] = {
    "15m": (timedelta(minutes=15), "15 minutes"),
    "1h": (timedelta(hours=1), "hour"),
    "6h": (timedelta(hours=6), "6 hours"),
    "24h": (timedelta(hours=24), "24 hours"),
    "7d": (timedelta(days=7), "7 days"),
    "30d": (timedelta(days=30), "30 days"),
}
DEFAULT_RANGE: Final = "24h"
OPTIONAL_PARTS: Final = (SearchPart.FACETS, SearchPart.COMPARISON)
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
COLUMNS: Final = (
    "event_id",
    "occurred_at",
    "received_at",
    "event_type",
    "severity",
    "environment",
    "message",
)
ATTRIBUTES: Final = ("route", "method", "status_code", "error_code", "release", "region")
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""First characters that make a spreadsheet compute a cell. Source: OWASP, CSV injection."""
_INTERVAL: Final = re.compile(r"(\d+)([smhdMy])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "M": 30 * 86_400, "y": 365 * 86_400}


def search(resources: ConsoleResources, visit: Visit) -> View:
    """Search events; a fault of the question, or of OpenSearch, is told beside it."""
    values: dict[str, Any] = {
        "q": visit.query("q"),
        "filters": visit.query("filters"),
        "since": visit.query("since") or DEFAULT_RANGE,
        "until": visit.query("until"),
        "ranges": RANGES,
        "facet_titles": FACET_TITLES,
        "page": None,
        "charts": (),
        "older": "",
        "fault": "",
        "link": lambda **changed: _link(visit, **changed),
        "filtered": lambda key, value: _filtered(visit, key, value),
        "parts": _parts(visit),
        "compared": COMPARED,
        "message_of": message_of,
        "instant_of": instant_of,
        "is_first": not visit.query("cursor"),
        "tail": visit.query("tail") == "1",
        **views_of(resources, visit, "search"),
    }
    status = 200
    try:
        request = replace(_request(visit, PAGE_ROWS), parts=_parts(visit))
        page = resources.event_finder.search(visit.where.tenancy, request)
        values |= {"page": page, "charts": _charts(page, visit), "older": _older(page, visit)}
    except InvalidQuery as error:
        values["fault"], status = f"{error}.", 400
    except DependencyUnavailable:
        values["fault"], status = "OpenSearch does not answer at the moment; incidents are not affected.", 503
    return View("search.html", values, status)


def _request(visit: Visit, limit: int, cursor: str | None = None) -> SearchRequest:
    return SearchRequest(
        text=visit.query("q") or None,
        filters=[visit.query("filters")] if visit.query("filters") else (),
        since=_since(visit),
        until=visit.query("until") or None,
        limit=limit,
        cursor=cursor or visit.query("cursor") or None,
    )


def _parts(visit: Visit) -> frozenset[SearchPart]:
    """Return what is counted beside the list; facets and the comparison only when asked for."""
    if visit.request.headers.get(LIVE_HEADER):  # the live tail reads the list alone, every two seconds
        return frozenset()
    asked = {part for part in OPTIONAL_PARTS if visit.query(part) == "1"}
    return frozenset({SearchPart.HISTOGRAM, *asked})


def _since(visit: Visit) -> str:
    """Return the beginning of the span: a relative one is fixed by `from` on further pages."""
    since = visit.query("since") or DEFAULT_RANGE
    if since not in RANGES:
        return since
    return visit.query("from") or (visit.clock.now - RANGES[since][0]).isoformat()


def _link(visit: Visit, **changed: str) -> str:
    """Return the address of this search with some parameters changed, from its first page."""
    kept = {name: visit.query(name) for name in ("q", "filters", "since", "until", *OPTIONAL_PARTS)}
    values = {name: value for name, value in (kept | changed).items() if value}
    return "?" + urlencode(values)


def _filtered(visit: Visit, key: str, value: object) -> str:
    """Return the address of this search, narrowed to a value."""
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return _link(visit, filters=f'{visit.query("filters")} {key}:"{text}"'.strip())


def _older(page: SearchPage, visit: Visit) -> str:
    """Return the address of the next page, empty on the last; it keeps the beginning of a relative span."""
    if not page.next_cursor:
        return ""
    return _link(visit, cursor=page.next_cursor, **{"from": _since(visit)})


def _charts(page: SearchPage, visit: Visit) -> Sequence[HistogramChart]:
    if page.histogram is None:
        return ()
    buckets = [(bucket.at, bucket.count) for bucket in page.histogram.buckets]
    return histograms(buckets, bucket_length(page.histogram), visit.clock)


def bucket_length(found: Histogram) -> timedelta:
    """Return how long one bucket of a histogram lasts."""
    match = _INTERVAL.fullmatch(found.interval)
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]]) if match else timedelta(minutes=1)


def message_of(event: Mapping[str, Any]) -> str:
    """Return the line that stands for an event in a list."""
    attributes = event.get("attributes") or {}
    return str(event.get("message") or attributes.get("message") or attributes.get("error_code") or "")


def instant_of(text: object) -> datetime:
    """Read an instant of an event as it is indexed."""
    return datetime.fromisoformat(str(text)).astimezone(UTC)


def show_event(resources: ConsoleResources, visit: Visit) -> View:
    """Show one event with all that it carries."""
    try:
        event_id = UUID(visit.request.path_params["event_id"])
    except ValueError as error:
        raise _no_event() from error
    request = SearchRequest(filters=[f"event_id:{event_id}"], limit=1)
    found = resources.event_finder.search(visit.where.tenancy, request)
    if not found.events:
        raise _no_event()
    event = found.events[0]
    attributes = event.get("attributes")
    return View(
        "event.html",
        {
            "event": event,
            "attributes": attributes if isinstance(attributes, dict) else {},
            "message": message_of(event),
            "occurred_at": instant_of(event["occurred_at"]),
            "source": json.dumps(event, indent=2, ensure_ascii=False, default=str),
            "filter_link": lambda key, value: f"{visit.base}/search{_filtered(visit, key, value)}",
            "filterable": set(FACET_TITLES) | {"method"},
        },
    )


def _no_event() -> Problem:
    return Problem(
        404, "no_such_event", "This project has no event with this id, or it is older than events are kept."
    )


def export(resources: ConsoleResources, visit: Visit) -> Response:
    """Return the events of a search as NDJSON or CSV, newest first, read page by page while it is sent."""
    kind = visit.query("format") or "ndjson"
    if kind not in ("ndjson", "csv"):
        raise Problem(400, "invalid_query", "format: it is ndjson or csv.")
    first = resources.event_finder.search(visit.where.tenancy, _request(visit, EXPORT_PAGE))
    pages = _pages(resources, visit, first)
    write = _as_csv if kind == "csv" else _as_lines
    media = "text/csv; charset=utf-8; header=present" if kind == "csv" else "application/x-ndjson"
    headers = {
        **NOT_STORED,
        "Content-Disposition": f'attachment; filename="events-{visit.where.project_id}.{kind}"',
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(write(pages), media_type=media, headers=headers)


def _pages(
    resources: ConsoleResources, visit: Visit, page: SearchPage
) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Yield the events of all pages, up to `EXPORT_ROWS`."""
    left = EXPORT_ROWS
    while True:
        yield page.events[:left]
        left -= len(page.events)
        if not page.next_cursor or left <= 0:
            return
        request = _request(visit, EXPORT_PAGE, page.next_cursor)
        page = resources.event_finder.search(visit.where.tenancy, request)


def _as_lines(pages: Iterator[Sequence[Mapping[str, Any]]]) -> Iterator[bytes]:
    for events in pages:
        yield b"".join(orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE) for event in events)


def _as_csv(pages: Iterator[Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    yield _row([*COLUMNS, *ATTRIBUTES])
    for events in pages:
        yield "".join(
            _row(
                [
                    *(event.get(name) for name in COLUMNS),
                    *((event.get("attributes") or {}).get(name) for name in ATTRIBUTES),
                ]
            )
            for event in events
        )


def _row(values: Sequence[object]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([_cell(value) for value in values])
    return line.getvalue()


def _cell(value: object) -> str:
    """Write a value so that no spreadsheet takes it for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


PAGES: Final = (
    ConsolePage(
        method="GET", path="/console/p/{project_id}/search", right="read", handler=search, active="search"
    ),
    ConsolePage(
        method="GET", path="/console/p/{project_id}/export", right="read", handler=export, active="search"
    ),
    ConsolePage(
        method="GET",
        path="/console/p/{project_id}/events/{event_id}",
        right="read",
        handler=show_event,
        active="search",
    ),
)
