"""Searches the events of one tenant: a checked query in, one page of events with facets out.

The tenant stands in `filter`, next to and never inside what the reader wrote.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError, RequestError, TransportError

from shared_types import Tenancy
from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import unavailable_when_down
from signals.clients.opensearch.index import ADDED
from signals.clients.opensearch.search_counts import FACETS, Overview, SearchPart, counting, overview_of
from signals.domain.queries.parameters import InvalidQuery
from signals.domain.queries.search import AnyOf, Between, EventQuery, Excluded, Filter
from signals.errors import DependencyUnavailable

SEARCH_TIMEOUT_S: Final = 5  # the server stops collecting here and answers with what it has
CALL_TIMEOUT_S: Final = 10  # guess: the server's own limit, and the way there and back
COUNTED_UP_TO: Final = 10_000  # totals above are a lower bound: counting on would visit every match
KEEP_ALIVE: Final = "1m"  # of a point in time, renewed by each page; guess: a reader turns a page sooner

TEXT_FIELDS: Final = ["message", "attributes.error_code", "attributes.route", "attributes.release"]
# No fuzziness and no slop: their cost is out of proportion in a query from outside.
TEXT_FLAGS: Final = "AND|OR|NOT|PHRASE|PREFIX|PRECEDENCE|ESCAPE|WHITESPACE"
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCounts:
    """How many events match, and the parts that were asked for; `total` is a lower bound when not exact."""

    total: int
    total_is_exact: bool
    overview: Overview | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPosition:
    """Where a page ended; `snapshot` is a point in time, None when the server would not open one."""

    occurred_ms: int
    event_id: str
    snapshot: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEvents:
    """One page, newest first. `complete` is false when the server ran out of time."""

    events: list[dict[str, object]]
    total: int
    total_is_exact: bool
    complete: bool
    overview: Overview | None
    after: SearchPosition | None


class EventSearch:
    """Searches with one client; safe to call from several threads."""

    def __init__(self, client: OpenSearch) -> None:
        self._client = client

    def counts(
        self,
        tenancy: Tenancy,
        query: EventQuery,
        *,
        parts: Collection[SearchPart],
        facets: Collection[str] = tuple(FACETS),
    ) -> EventCounts:
        """Return the `parts` alone, without events: nothing is sorted, fetched or kept open for them.

        Raises:
            InvalidQuery: when OpenSearch refuses the text.
            DependencyUnavailable: when it does not answer, or has no index yet.
        """
        answer = self._search(counts_alone(tenancy, query, parts, facets), None)
        total = answer["hits"]["total"]
        return EventCounts(
            total=total["value"],
            total_is_exact=total["relation"] == "eq",
            overview=overview_of(answer),
        )

    def first(
        self,
        tenancy: Tenancy,
        query: EventQuery,
        *,
        limit: int,
        parts: Collection[SearchPart] = (),
        is_paged: bool = True,
    ) -> FoundEvents:
        """Return the newest events with the `parts`; further pages see one point in time.

        It is opened when there are further pages, after this one: older events that arrive between the two
        are on them, and nothing is missed or shown twice. Without `is_paged` no reader asks for them: none
        is opened, since a server keeps only a few hundred at once.

        Raises:
            InvalidQuery: when OpenSearch refuses the text.
            DependencyUnavailable: when it does not answer, or has no index yet.
        """
        return self._run(first_page(tenancy, query, limit, parts), limit, None, opens=is_paged)

    def following(
        self, tenancy: Tenancy, query: EventQuery, *, limit: int, after: SearchPosition
    ) -> FoundEvents:
        """Return the next page, without an overview.

        When the point in time has expired the page goes on from the same position in the present.

        Raises:
            InvalidQuery: when OpenSearch refuses the text or the position.
            DependencyUnavailable: when it does not answer.
        """
        body = _body(tenancy, query, limit) | {"search_after": [after.occurred_ms, after.event_id]}
        try:
            return self._run(body, limit, after.snapshot)
        except _SnapshotExpiredError:
            return self._run(body, limit, None)

    def _run(
        self, body: dict[str, object], limit: int, snapshot: str | None, *, opens: bool = False
    ) -> FoundEvents:
        answer = self._search(body, snapshot)
        hits = answer["hits"]["hits"]
        after = None
        if len(hits) > limit:
            occurred_ms, event_id = hits[limit - 1]["sort"]
            kept = self._open_snapshot() if opens else answer.get("pit_id") or snapshot
            after = SearchPosition(occurred_ms=occurred_ms, event_id=event_id, snapshot=kept)
        elif snapshot:
            self._close_snapshot(snapshot)
        total = answer["hits"]["total"]
        return FoundEvents(
            events=[hit["_source"] for hit in hits[:limit]],
            total=total["value"],
            total_is_exact=total["relation"] == "eq",
            complete=not answer["timed_out"],
            overview=overview_of(answer),
            after=after,
        )

    def _search(self, body: dict[str, object], snapshot: str | None) -> Any:
        where: dict[str, object] = {"index": EVENTS_INDEX}
        if snapshot:
            where, body = {}, body | {"pit": {"id": snapshot, "keep_alive": KEEP_ALIVE}}
        try:
            with unavailable_when_down():
                return self._client.search(body=body, request_timeout=CALL_TIMEOUT_S, **where)
        except NotFoundError as error:
            if snapshot:
                raise _SnapshotExpiredError from error
            raise DependencyUnavailable("OpenSearch", "it has no events index yet") from error
        except RequestError as error:
            parameter = "cursor" if "search_after" in body else "q"
            raise InvalidQuery(parameter, f"OpenSearch refuses it ({error.error}); simplify it") from error

    def _open_snapshot(self) -> str | None:
        try:
            answer = self._client.create_pit(
                index=EVENTS_INDEX, params={"keep_alive": KEEP_ALIVE}, request_timeout=CALL_TIMEOUT_S
            )
        except TransportError as error:
            if error.status_code in (404, 429):  # no index any more, or too many are open
                return None
            with unavailable_when_down():
                raise
        return str(answer["pit_id"])

    def _close_snapshot(self, snapshot: str) -> None:
        try:
            self._client.delete_pit(body={"pit_id": [snapshot]}, request_timeout=CALL_TIMEOUT_S)
        except TransportError as error:  # the page is found already, and the server forgets by itself
            log.info("point in time left to expire", error=type(error).__name__)


class _SnapshotExpiredError(Exception):
    """The point in time of a cursor is gone."""


def first_page(
    tenancy: Tenancy, query: EventQuery, limit: int, parts: Collection[SearchPart] = ()
) -> dict[str, object]:
    """Return the request for the newest events and the `parts`."""
    return _body(tenancy, query, limit) | counting(query, parts, FACETS, of=_span(tenancy, query))


def counts_alone(
    tenancy: Tenancy, query: EventQuery, parts: Collection[SearchPart], facets: Collection[str]
) -> dict[str, object]:
    """Return the request for the `parts` without any event; of the facets, only these."""
    body = _body(tenancy, query, 0) | {"size": 0}
    del body["sort"], body["_source"]
    return body | counting(query, parts, facets, of=_span(tenancy, query))


def _body(tenancy: Tenancy, query: EventQuery, limit: int) -> dict[str, object]:
    conditions: dict[str, object] = {
        "filter": [*_span(tenancy, query), *map(_clause, query.filters)],
    }
    if query.text:
        conditions["must"] = {
            "simple_query_string": {
                "query": query.text,
                "fields": TEXT_FIELDS,
                "default_operator": "AND",
                "flags": TEXT_FLAGS,
            }
        }
    return {
        "query": {"bool": conditions},
        "_source": {"excludes": ["origin", *ADDED]},  # ours: where the record lies, what is compared
        "sort": [{"occurred_at": "desc"}, {"event_id": "desc"}],
        "size": limit + 1,  # one more tells whether there is a next page
        "track_total_hits": COUNTED_UP_TO,
        "timeout": f"{SEARCH_TIMEOUT_S}s",
    }


def _span(tenancy: Tenancy, query: EventQuery) -> list[object]:
    """Return the clauses for the tenant's events of the query's span."""
    clauses: list[object] = [
        {"term": {"org_id": tenancy.org_id}},
        {"term": {"project_id": tenancy.project_id}},
    ]
    if query.since or query.until:
        clauses.append(
            _clause(Between(field="occurred_at", low=query.since, high=query.until, high_included=False))
        )
    return clauses


def _clause(condition: Filter) -> dict[str, object]:
    if isinstance(condition, Excluded):
        return {"bool": {"must_not": _clause(condition.condition)}}
    if isinstance(condition, AnyOf):
        return {"terms": {condition.field: [_literal(value) for value in condition.values]}}
    bounds: dict[str, object] = {}
    if condition.low is not None:
        bounds["gte" if condition.low_included else "gt"] = _literal(condition.low)
    if condition.high is not None:
        bounds["lte" if condition.high_included else "lt"] = _literal(condition.high)
    return {"range": {condition.field: bounds}}


def _literal(value: object) -> object:
    return value.isoformat(timespec="milliseconds") if isinstance(value, datetime) else value
