"""The parts of a search that count every event that matches: facets, histogram, comparison with the rest."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from signals.domain.queries.search import EventQuery, Excluded

FACET_SIZE: Final = 10
HISTOGRAM_BUCKETS: Final = 60
SHARED_SIZE: Final = 30  # values of one field that are compared; guess: labels of all names are one field
SHARED_MIN: Final = 2  # events that have a value, or it is chance
SHARED_APART: Final = 0.05  # distance of the two shares; guess: nobody acts on 34 % beside 33 %
SHARED_FIELDS: Final = {
    "event_type": "event_type",
    "severity": "severity",
    "environment": "environment",
    "error_code": "attributes.error_code",
    "status_code": "attributes.status_code",
    "method": "attributes.method",
    "label": "labels",
}
"""Filters whose values are compared. Route and release are labels, as are all other attributes."""
FACETS: Final[Mapping[str, str]] = {
    "event_type": "event_type",
    "severity": "severity",
    "environment": "environment",
    "error_code": "attributes.error_code",
    "route": "attributes.route",
    "release": "attributes.release",
    "status_code": "attributes.status_code",
}
_FACETS: Final[Mapping[str, object]] = {
    name: {"terms": {"field": field, "size": FACET_SIZE}} for name, field in FACETS.items()
}
_HISTOGRAM: Final[Mapping[str, object]] = {
    "histogram": {
        "auto_date_histogram": {
            "field": "occurred_at",
            "buckets": HISTOGRAM_BUCKETS,
            "minimum_interval": "minute",
        }
    },
}
_SHARED: Final = "shared "  # before the name of a filter: no facet is called so


@dataclass(frozen=True, slots=True, kw_only=True)
class FacetValue:
    """How many of the found events have this value."""

    value: str | int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramBucket:
    """How many of the found events occurred from `at` on."""

    at: datetime
    count: int


class SearchPart(StrEnum):
    """A part of the answer that a search asks for; each one counts every event that matches."""

    FACETS = "facets"
    HISTOGRAM = "histogram"
    COMPARISON = "comparison"


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Found events over time; `interval` is like `1m` or `7d`."""

    interval: str
    buckets: list[HistogramBucket]


@dataclass(frozen=True, slots=True, kw_only=True)
class DistinctiveValue:
    """A value clearly more usual in the found events than in the rest.

    `filter` is the key that finds it (`filters=`). `found` and `rest` are numbers of events; shares lie
    between 0 and 1.
    """

    filter: str
    value: str | int
    found: int
    share: float
    rest: int
    rest_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchComparison:
    """The found events beside the project's others of the same span; the most different values first."""

    found: int
    rest: int
    values: list[DistinctiveValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The parts that were asked for, None for the others."""

    facets: dict[str, list[FacetValue]] | None
    histogram: Histogram | None
    comparison: SearchComparison | None


def counting(
    query: EventQuery, parts: Collection[SearchPart], facets: Collection[str], *, of: Sequence[object]
) -> dict[str, object]:
    """Return what a request for the `parts` has more: of the facets, only these.

    `of` holds the clauses for the tenant's events of the query's span: the found ones are compared with them.
    """
    counted: dict[str, object] = {}
    if SearchPart.FACETS in parts:
        counted |= {name: _FACETS[name] for name in facets}
    if SearchPart.HISTOGRAM in parts:
        counted |= _HISTOGRAM
    if SearchPart.COMPARISON in parts:
        counted |= _compared(query, of)
    return {"aggs": counted} if counted else {}


def _compared(query: EventQuery, span: Sequence[object]) -> dict[str, object]:
    """Return the counts of values that stand out; a field that the query has fixed tells nothing."""
    fixed = {one.field for one in query.filters if not isinstance(one, Excluded) and one.field != "labels"}
    everything = {"bool": {"filter": list(span)}}
    return {
        _SHARED + name: {
            "significant_terms": {
                "field": field,
                "size": SHARED_SIZE,
                "min_doc_count": SHARED_MIN,
                "background_filter": everything,
            }
        }
        for name, field in SHARED_FIELDS.items()
        if field not in fixed
    }


def overview_of(answer: Mapping[str, Any]) -> Overview | None:
    """Read the parts from an answer of OpenSearch, None when none was asked for."""
    aggregations = answer.get("aggregations")
    if aggregations is None:
        return None
    facets = {name: _facet(aggregations[name]["buckets"]) for name in FACETS if name in aggregations}
    shared = {name: aggregations[_SHARED + name] for name in SHARED_FIELDS if _SHARED + name in aggregations}
    return Overview(
        facets=facets or None,
        histogram=_histogram(aggregations["histogram"]) if "histogram" in aggregations else None,
        comparison=_comparison(shared) if shared else None,
    )


def _histogram(answer: Mapping[str, Any]) -> Histogram:
    return Histogram(
        interval=answer["interval"],
        buckets=[
            HistogramBucket(at=datetime.fromtimestamp(bucket["key"] / 1000, UTC), count=bucket["doc_count"])
            for bucket in answer["buckets"]
        ],
    )


def _comparison(shared: Mapping[str, Mapping[str, Any]]) -> SearchComparison:
    """Order the values of all fields by the distance of their shares."""
    answer = next(iter(shared.values()))  # all count the same two sets
    found, rest = answer["doc_count"], answer["bg_count"] - answer["doc_count"]
    values = [
        value
        for name, counted in shared.items()
        for value in _shared_values(name, counted["buckets"], found, rest)
        if value.share - value.rest_share >= SHARED_APART
    ]
    values.sort(key=lambda value: (value.rest_share - value.share, value.filter, str(value.value)))
    return SearchComparison(found=found, rest=rest, values=values)


def _shared_values(
    name: str, buckets: Sequence[Mapping[str, Any]], found: int, rest: int
) -> Iterator[DistinctiveValue]:
    for bucket in buckets:
        outside = bucket["bg_count"] - bucket["doc_count"]
        yield DistinctiveValue(
            filter=name,
            value=bucket["key"],
            found=bucket["doc_count"],
            share=bucket["doc_count"] / found,
            rest=outside,
            rest_share=outside / rest if rest else 0.0,
        )


def _facet(buckets: Sequence[Mapping[str, Any]]) -> list[FacetValue]:
    return [FacetValue(value=bucket["key"], count=bucket["doc_count"]) for bucket in buckets]
