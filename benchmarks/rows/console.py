"""The console's pages beside the JSON API's answers of the same data, and its search beside OpenSearch."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Final
from urllib.parse import urlencode

import orjson

from benchmarks.console_site import SPAN, TENANT, Stored, open_site
from benchmarks.rounds import Contender, Plan, Row, Target, costs_at_most
from signals.clients.opensearch.search import first_page
from signals.clients.opensearch.search_counts import SearchPart
from signals.domain.queries.search import event_query

PAGE: Final = 50
MOST_MS: Final = 50.0  # issue 16
BEYOND_MS: Final = 25.0  # issue 16
SEARCHES: Final[tuple[Mapping[str, str], ...]] = (
    {},
    {"q": '"upstream 3"'},
    {"q": "answer -3000"},
    {"filters": "severity:error,status_code:>=500"},
    {"filters": "error_code:UPSTREAM_TIMEOUT_7"},
)
SHOWN: Final = ("p50_ms", "p95_ms", "cpu_us", "postgres_cpu_us", "opensearch_cpu_us", "rate")


def _stored(plan: Plan) -> Stored:
    return Stored(
        incidents=plan.pick(full=10_000, quick=10_000, tiny=1_000),
        events=plan.pick(full=1_000_000, quick=100_000, tiny=5_000),
    )


@contextmanager
def _open_pages(plan: Plan) -> Iterator[list[Contender]]:
    with open_site(plan, _stored(plan)) as site:
        ids = [str(incident_id) for incident_id in site.incidents]
        span = {"since": (datetime.now(UTC) - SPAN / 4).isoformat(), "limit": "1"}
        counted = urlencode([*span.items(), ("include", "facets"), ("include", "histogram")])
        listed = [f"/v1/outages?limit={PAGE}&verdict=confirmed"]
        details = [f"/v1/incidents/{one}" for one in ids]
        api, pages = site.ask_api, site.open_pages
        yield [
            Contender(name="list: API", role="limit", run=partial(api, "list", listed)),
            Contender(name="list", role="ours", run=partial(pages, "list", ["/outages?status=all"])),
            Contender(name="incident: API", role="limit", run=partial(api, "incident", details)),
            Contender(
                name="incident",
                role="ours",
                run=partial(pages, "incident", [f"/incidents/{one}" for one in ids]),
            ),
            Contender(
                name="overview: API",
                role="limit",
                run=partial(api, "overview", [f"/v1/search/events?{counted}"]),
                note="the counts of events alone: no outages, no ledger, no readiness",
            ),
            Contender(name="overview", role="ours", run=partial(pages, "overview", ["/"])),
        ]


def _question(search: Mapping[str, str], since: str, parts: tuple[SearchPart, ...]) -> bytes:
    filters = [search["filters"]] if "filters" in search else []
    query = event_query(text=search.get("q"), filters=filters, since=since, until=None)
    return orjson.dumps(first_page(TENANT, query, PAGE, parts))


@contextmanager
def _open_search(plan: Plan) -> Iterator[list[Contender]]:
    with open_site(plan, _stored(plan)) as site:
        since = (datetime.now(UTC) - SPAN).isoformat()
        plain, full = (SearchPart.HISTOGRAM,), (SearchPart.HISTOGRAM, SearchPart.FACETS)
        asked: dict[str, str] = {"since": since}
        yield [
            Contender(
                name="query alone",
                role="limit",
                run=partial(site.ask_opensearch, "plain", [_question(one, since, plain) for one in SEARCHES]),
            ),
            Contender(
                name="search",
                role="ours",
                run=partial(
                    site.open_pages, "search", [f"/search?{urlencode({**asked, **one})}" for one in SEARCHES]
                ),
            ),
            Contender(
                name="query alone, facets",
                role="limit",
                run=partial(site.ask_opensearch, "facets", [_question(one, since, full) for one in SEARCHES]),
            ),
            Contender(
                name="search, facets",
                role="ours",
                run=partial(
                    site.open_pages,
                    "search-facets",
                    [f"/search?{urlencode({**asked, 'facets': '1', **one})}" for one in SEARCHES],
                ),
            ),
        ]


def _within(name: str, title: str) -> Target:
    return Target(sentence=f"{title}: p95 ≤ 50 ms", figure="p95_ms", at_most=MOST_MS, ours=name)


def _beyond(name: str, alone: str) -> Target:
    return Target(
        sentence=f"{name}: p95 ≤ 25 ms beyond the query alone",
        figure="p95_ms",
        at_most=1.0,
        plus=BEYOND_MS,
        of=alone,
        ours=name,
    )


DATA: Final = (
    "The database holds 10,000 incidents, the index 1,000,000 events of the last day, a twelfth of them the "
    "project's. A person is signed in by a session; one page is asked for at a time, through HAProxy and "
    "Serve, compressed, as a browser asks. Scripts and styles are not counted. CPU is that of the Ray node."
)
ROWS: Final = (
    Row(
        name="console",
        title="the console's pages: 50 outages, one incident, the overview",
        unit="page",
        method=f"{DATA} Beside each page stands the JSON API's answer of its main part.",
        open=_open_pages,
        shown=SHOWN,
        limit_s=480.0,
        targets=(
            _within("list", "list of 50"),
            _within("incident", "incident page"),
            _within("overview", "overview"),
        ),
        guards=(
            costs_at_most(9.0, "list", of="list: API"),
            costs_at_most(9.0, "incident", of="incident: API"),
            costs_at_most(9.0, "overview", of="overview: API"),
        ),
    ),
    Row(
        name="console-search",
        title="the console's search page beside the same query alone",
        unit="page",
        method=f"{DATA} Five searches of a day take turns, with the histogram that the page always shows; "
        "alone are the same bodies, posted to OpenSearch by the same client.",
        open=_open_search,
        shown=SHOWN,
        limit_s=480.0,
        targets=(
            _beyond("search", "query alone"),
            _beyond("search, facets", "query alone, facets"),
        ),
        guards=(costs_at_most(3.0, "search", of="query alone"),),
    ),
)
