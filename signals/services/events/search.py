"""Answers event searches: reads the question, keeps pages together by cursor.

A cursor carries OpenSearch's id of a point in time, sealed: OpenSearch answers a forged one with an
internal error or not at all. The secret lives and dies with the process; a cursor that another process
sealed goes on without its point in time, from the same position.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared_types import Tenancy
from signals.clients.opensearch.search import EventSearch, FoundEvents, SearchPosition
from signals.clients.opensearch.search_counts import FacetValue, Histogram, SearchComparison, SearchPart
from signals.domain.queries import cursors
from signals.domain.queries.search import event_query


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """A search as the client wrote it; `parts` come with the first page.

    Without `is_paged` the reader will not ask for further pages, and nothing is kept open for them.
    """

    text: str | None = None
    filters: Sequence[str] = ()
    since: str | None = None
    until: str | None = None
    limit: int = 50
    cursor: str | None = None
    parts: Collection[SearchPart] = ()
    is_paged: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """How many events were found; a lower bound when not `exact`."""

    value: int
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPage:
    """Events as they were accepted, newest first; the parts that were asked for come with the first page.

    `complete` is false when the search ran out of time and shows what it had found by then.
    """

    events: list[dict[str, object]]
    total: Total
    complete: bool
    facets: dict[str, list[FacetValue]] | None
    histogram: Histogram | None
    comparison: SearchComparison | None
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedPage:
    """The counts of a search without its events."""

    total: Total
    facets: dict[str, list[FacetValue]] | None
    histogram: Histogram | None


class EventFinder:
    """Searches on behalf of a tenant; safe to call from several threads."""

    def __init__(self, events: EventSearch) -> None:
        self._events = events
        self._secret = secrets.token_bytes(32)

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
            found = self._events.first(
                tenancy, query, limit=request.limit, parts=request.parts, is_paged=request.is_paged
            )
        else:
            after = self._open(request.cursor, tied_to)
            found = self._events.following(tenancy, query, limit=request.limit, after=after)
        next_cursor = self._sealed(found.after, tied_to) if found.after else None
        return _page(found, next_cursor)

    def count(self, tenancy: Tenancy, since: datetime, *, facets: Collection[str]) -> CountedPage:
        """Count a tenant's events since an instant: by time, and by the values of some facets.

        Raises:
            DependencyUnavailable: when OpenSearch does not answer.
        """
        query = event_query(text=None, filters=(), since=since.isoformat(), until=None)
        found = self._events.counts(
            tenancy, query, parts=(SearchPart.FACETS, SearchPart.HISTOGRAM), facets=facets
        )
        overview = found.overview
        return CountedPage(
            total=Total(value=found.total, exact=found.total_is_exact),
            facets=overview.facets if overview else None,
            histogram=overview.histogram if overview else None,
        )

    def _sealed(self, after: SearchPosition, tied_to: str) -> str:
        snapshot = after.snapshot or ""
        parts = (after.occurred_ms, after.event_id, snapshot, self._seal(tied_to, snapshot))
        return cursors.encode(parts, tied_to=tied_to)

    def _open(self, cursor: str, tied_to: str) -> SearchPosition:
        occurred_ms, event_id, snapshot, seal = cursors.decode(cursor, (int, str, str, str), tied_to=tied_to)
        assert isinstance(occurred_ms, int)
        after = SearchPosition(
            occurred_ms=occurred_ms, event_id=str(event_id), snapshot=str(snapshot) or None
        )
        genuine = hmac.compare_digest(
            str(seal).encode("utf-8", "surrogatepass"), self._seal(tied_to, str(snapshot)).encode()
        )
        return after if genuine else replace(after, snapshot=None)

    def _seal(self, tied_to: str, snapshot: str) -> str:
        text = f"{tied_to}:{snapshot}".encode("utf-8", "surrogatepass")
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()


def _page(found: FoundEvents, next_cursor: str | None) -> SearchPage:
    overview = found.overview
    return SearchPage(
        events=found.events,
        total=Total(value=found.total, exact=found.total_is_exact),
        complete=found.complete,
        facets=overview.facets if overview else None,
        histogram=overview.histogram if overview else None,
        comparison=overview.comparison if overview else None,
        next_cursor=next_cursor,
    )
