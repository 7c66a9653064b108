"""Export of a search as NDJSON or CSV, read page by page while it is sent."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson
from starlette.responses import Response, StreamingResponse

from serve_apps.console.pages import ConsolePage, Visit
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.search_address import SearchAddress
from serve_apps.http.problems import NOT_STORED, Problem
from signals.services.events.search import SearchPage

EXPORT_PAGE: Final = 200
EXPORT_ROWS: Final = 10_000  # guess: what a spreadsheet opens; more belongs to the API's pages
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


def export(resources: ConsoleResources, visit: Visit) -> Response:
    """Return the events of a search as NDJSON or CSV, newest first, read page by page while it is sent."""
    kind = visit.query("format") or "ndjson"
    if kind not in ("ndjson", "csv"):
        raise Problem(400, "invalid_query", "format: it is ndjson or csv.")
    first = resources.event_finder.search(visit.where.tenancy, SearchAddress(visit).request(EXPORT_PAGE))
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
        request = SearchAddress(visit).request(EXPORT_PAGE, page.next_cursor)
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
        method="GET", path="/console/p/{project_id}/export", right="read", handler=export, active="search"
    ),
)
