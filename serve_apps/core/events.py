"""The endpoints of events: search them, and account for them."""

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from serve_apps.core.requests import (
    BLANK,
    READ_ERRORS,
    CoreResources,
    Cursor,
    Instant,
    Limit,
    ProjectId,
    check_project,
)
from serve_apps.http.answers import json_answer
from serve_apps.http.endpoint import Answer, Call, Endpoint
from signals.clients.opensearch.search_counts import SearchPart
from signals.domain.access.scopes import Right
from signals.domain.queries.search import MAX_FILTERS_TEXT, MAX_PAIRS, MAX_TEXT
from signals.services.events.search import SearchPage, SearchRequest
from signals.services.ledger.audit import LedgerReport, span


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchQuery:
    """The parameters of a search."""

    q: Annotated[
        Annotated[str, Field(max_length=MAX_TEXT)] | None,
        BLANK,
        Field(description='words (all must occur), "phrases", -not, prefix*, a | b'),
    ] = None
    filters: Annotated[
        list[Annotated[str, Field(max_length=MAX_FILTERS_TEXT)]],
        Field(
            max_length=MAX_PAIRS,
            description='key:value pairs, like `severity:error,route:"/a b",status_code:>=500`; '
            "repeat a key for alternatives, `-key:value` excludes; "
            "ranges like `occurred_at:[2025-12-27T10:00:00Z TO *]`",
        ),
    ] = field(default_factory=list)
    project_id: ProjectId = None
    since: Instant = None
    until: Instant = None
    limit: Limit = 50
    cursor: Cursor = None
    include: Annotated[
        list[SearchPart],
        Field(
            max_length=len(SearchPart),
            description="counts over every match, with the first page: `facets` (the most frequent values), "
            "`histogram` (by time), `comparison` (values more usual here than in the rest of the span)",
        ),
    ] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerQuery:
    """The parameters of the ledger."""

    project_id: ProjectId = None
    since: Instant = None
    until: Instant = None


def search_events(core: CoreResources, call: Call[SearchQuery]) -> Response:
    """Search the project's events, newest first; `include` asks for counts with the first page."""
    query = call.query
    check_project(call.tenancy, query.project_id)
    request = SearchRequest(
        text=query.q,
        filters=query.filters,
        since=query.since,
        until=query.until,
        limit=query.limit,
        cursor=query.cursor,
        parts=frozenset(query.include),
    )
    return json_answer(call.request, core.event_finder.search(call.tenancy, request))


def get_ledger(core: CoreResources, call: Call[LedgerQuery]) -> Response:
    """Account for the project's events by the minute in which they were received; the newest hour by default.

    A stage has `missing` events when everything of that minute was read and fewer came out than went in.
    """
    check_project(call.tenancy, call.query.project_id)
    start, end = span(call.query.since, call.query.until)
    return json_answer(call.request, core.ledger_audit.report(call.tenancy.project_id, start, end))


ENDPOINTS: tuple[Endpoint[CoreResources], ...] = (
    Endpoint(
        method="GET",
        path="/v1/search/events",
        handler=search_events,
        tag="events",
        right=Right.READ,
        query=SearchQuery,
        answers={200: Answer(description="One page.", model=SearchPage)},
        errors=READ_ERRORS,
    ),
    Endpoint(
        method="GET",
        path="/v1/ledger",
        handler=get_ledger,
        tag="events",
        right=Right.READ,
        query=LedgerQuery,
        answers={200: Answer(description="The account.", model=LedgerReport)},
        errors=READ_ERRORS,
    ),
)
