"""Answers event searches: reads the question, keeps pages together by cursor."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared_types import Tenancy
from signals.clients.opensearch.search import (
    EventSearch,
    FacetValue,
    FoundEvents,
    HistogramBucket,
    Position,
)
from signals.domain import cursors
from signals.domain.search import event_query


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """A search as the client wrote it."""

    text: str | None = None
    filters: Sequence[str] = ()
    since: str | None = None
    until: str | None = None
    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """How many events were found; a lower bound when not `exact`."""

    value: int
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Found events over time; `interval` is like `1m` or `7d`."""

    interval: str
    buckets: list[HistogramBucket]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPage:
    """Events as they were accepted, newest first; facets and histogram come with the first page.

    `complete` is false when the search ran out of time and shows what it had found by then.
    """

    events: list[dict[str, object]]
    total: Total
    complete: bool
    facets: dict[str, list[FacetValue]] | None
    histogram: Histogram | None
    next_cursor: str | None


class Searching:
    """Searches on behalf of a tenant; safe to call from several threads."""

    def __init__(self, events: EventSearch) -> None:
        self._events = events

    def search(self, tenancy: Tenancy, request: SearchRequest) -> SearchPage:
        """Answer one page.

        Raises:
            InvalidQuery: naming the parameter at fault.
            DependencyUnavailable: when OpenSearch does not answer.
        """
        query = event_query(
            text=request.text, filters=request.filters, since=request.since, until=request.until
        )
        tied_to = cursors.tie("events", tenancy, query)
        if request.cursor is None:
            return _page(self._events.first(tenancy, query, limit=request.limit), tied_to)
        after = _position(request.cursor, tied_to)
        return _page(self._events.following(tenancy, query, limit=request.limit, after=after), tied_to)


def _position(cursor: str, tied_to: str) -> Position:
    occurred_ms, event_id, snapshot = cursors.decode(cursor, (int, str, str), tied_to=tied_to)
    assert isinstance(occurred_ms, int)
    return Position(occurred_ms=occurred_ms, event_id=str(event_id), snapshot=str(snapshot) or None)


def _page(found: FoundEvents, tied_to: str) -> SearchPage:
    after, overview = found.after, found.overview
    next_cursor = None
    if after is not None:
        position = (after.occurred_ms, after.event_id, after.snapshot or "")
        next_cursor = cursors.encode(position, tied_to=tied_to)
    return SearchPage(
        events=found.events,
        total=Total(value=found.total, exact=found.total_is_exact),
        complete=found.complete,
        facets=overview.facets if overview else None,
        histogram=Histogram(interval=overview.interval, buckets=overview.histogram) if overview else None,
        next_cursor=next_cursor,
    )
