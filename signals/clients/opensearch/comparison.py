"""Counts what a comparison needs in one request: four or five filtered windows, each list bounded.

The server is told to stop before the caller does, so that a slow search gives the part that it has counted.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from opensearchpy.exceptions import NotFoundError, RequestError

from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import Client, unavailable_when_down
from signals.domain.findings.collecting import FIRST_FAILING_STATUS, MAX_CHANGE_CHARS, PEOPLE, ComparedSeries
from signals.domain.findings.comparison import (
    BEFORE_MINUTES,
    MAX_PAIRED,
    MAX_SAMPLES,
    MAX_TEMPLATES,
    MAX_TERMS,
    Change,
    Comparison,
    ComparisonWindow,
)
from signals.domain.findings.labels import split
from signals.domain.findings.onset import Onset
from signals.errors import DependencyUnavailable

HARD_STOP_S: Final = 2.0  # the caller waits no longer
SERVER_SHARE: Final = 0.75  # of that time; then the server answers with what it has counted
ROUTINE_HOURS: Final = 24  # in which a custom event that came before is routine
MAX_CHANGES: Final = 20
MAX_CUSTOMS: Final = 500  # templates of custom events that are counted
MAX_PEOPLE: Final = 2_000  # distinct values that are counted; "about" beyond
SAMPLED: Final = 100  # messages read, to tell numbers that never change from those that do

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonQuestion:
    """The series of one tenant to compare, from its onset to the minute `now` (since the epoch)."""

    org_id: str
    project_id: str
    environment: str
    series: ComparedSeries
    onset: Onset
    now: int

    @property
    def words(self) -> tuple[str, ...]:
        """The fingerprint's own values."""
        return tuple(word for word in (self.series.error_code, self.series.route) if word)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonAnswer:
    """The counts; `is_partial` when the server stopped before it had seen every event."""

    comparison: Comparison
    is_partial: bool


def compare(client: Client, asked: ComparisonQuestion, *, stop_s: float = HARD_STOP_S) -> ComparisonAnswer:
    """Count the windows of a question; waits at most `stop_s`.

    Raises:
        DependencyUnavailable: when OpenSearch does not answer in time, or has no labels yet.
    """
    try:
        with unavailable_when_down():
            answer = client.search(index=EVENTS_INDEX, body=request(asked, stop_s), request_timeout=stop_s)
    except NotFoundError as error:
        raise DependencyUnavailable("OpenSearch", "it has no events index yet") from error
    except RequestError as error:
        reason = f"it refuses the comparison ({error.error}); run `signals prepare`"
        raise DependencyUnavailable("OpenSearch", reason) from error
    if "aggregations" not in answer:
        raise DependencyUnavailable("OpenSearch", "it counted nothing in time")
    shards = answer["_shards"]
    return ComparisonAnswer(
        comparison=_comparison(asked, answer),
        is_partial=bool(answer["timed_out"] or shards["failed"]),
    )


def request(asked: ComparisonQuestion, stop_s: float = HARD_STOP_S) -> Json:
    """Return the body of the request."""
    onset, series = asked.onset.minute, asked.series
    during = _between(onset, asked.now + 1)
    before = _between(onset - BEFORE_MINUTES, onset)
    errors: list[Json] = [{"term": {"event_type": "error"}}]
    ours, served = _held(series), _working(series)
    windows: dict[str, Json] = {
        "working": _filtered([during, *served], paired=True),
        "working_before": _filtered([before, *served]),
        "errors_before": _filtered([before, *errors], templates=True),
        "changes": _changes(onset),
        "customs": _customs(asked),
    }
    if series.is_drop:
        windows["errors"] = _filtered([during, *errors], templates=True)
    else:
        windows["failing"] = _filtered([during, *ours], paired=True, templates=True, people=True)
    # Custom events are rare, and routine when they came before: a longer time is read of them alone.
    relevant = [
        _between(onset - BEFORE_MINUTES, asked.now + 1),
        _all([{"term": {"event_type": "custom"}}, _between(onset - ROUTINE_HOURS * 60, onset)]),
    ]
    return {
        "size": SAMPLED,
        "_source": ["message", "template"],
        "post_filter": _all([during, *(errors if series.is_drop else ours)]),
        "sort": ["_doc"],
        "track_total_hits": False,
        "timeout": f"{int(SERVER_SHARE * stop_s * 1_000)}ms",
        "query": {
            "bool": {
                "filter": [
                    {"term": {"org_id": asked.org_id}},
                    {"term": {"project_id": asked.project_id}},
                    {"term": {"environment": asked.environment}},
                    {"exists": {"field": "template"}},  # documents of an earlier release are left out
                    {"bool": {"should": relevant, "minimum_should_match": 1}},
                ]
            }
        },
        "aggs": windows,
    }


def _held(series: ComparedSeries) -> list[Json]:
    fields = {"attributes.error_code": series.error_code, "attributes.route": series.route}
    return [{"term": {"event_type": "error"}}, *(_equal(field, value) for field, value in fields.items())]


def _working(series: ComparedSeries) -> list[Json]:
    if series.is_drop:
        return [{"term": {"event_type": "signup"}}]
    route = [] if series.route is None else [_equal("attributes.route", series.route)]
    failed = {"range": {"attributes.status_code": {"gte": FIRST_FAILING_STATUS}}}
    return [{"term": {"event_type": "http_request"}}, *route, {"bool": {"must_not": [failed]}}]


def _equal(field: str, value: str | None) -> Json:
    if value is None:
        return {"bool": {"must_not": [{"exists": {"field": field}}]}}
    return {"term": {field: value}}


def _between(start: int, end: int) -> Json:
    """Select the minutes `start <= minute < end`."""
    bounds = {"gte": start * 60_000, "lt": end * 60_000, "format": "epoch_millis"}
    return {"range": {"occurred_at": bounds}}


def _all(filters: Sequence[Json]) -> Json:
    return {"bool": {"filter": list(filters)}}


def _filtered(
    filters: Sequence[Json], *, paired: bool = False, templates: bool = False, people: bool = False
) -> Json:
    aggs: dict[str, Json] = {"labels": _terms("labels", MAX_TERMS)}
    if paired:
        aggs["pairs"] = {
            **_terms("labels", MAX_PAIRED),
            "aggs": {"with": _terms("labels", 2 * MAX_PAIRED)},
        }
    if templates:
        aggs["templates"] = _terms("template", MAX_TEMPLATES)
    if people:
        names = "|".join(PEOPLE)
        aggs["people"] = {"terms": {"field": "labels", "size": MAX_PEOPLE, "include": f"({names})=.*"}}
    return {"filter": _all(filters), "aggs": aggs}


def _terms(field: str, size: int) -> Json:
    return {"terms": {"field": field, "size": size}}


def _changes(onset: int) -> Json:
    near = _between(onset - BEFORE_MINUTES, onset + 1)
    newest = {
        "size": MAX_CHANGES,
        "sort": [{"occurred_at": "desc"}],
        "_source": ["event_id", "event_type", "occurred_at", "message", "labels", "template"],
    }
    kinds = {"terms": {"event_type": ["deploy", "custom"]}}
    return {"filter": _all([near, kinds]), "aggs": {"newest": {"top_hits": newest}}}


def _customs(asked: ComparisonQuestion) -> Json:
    until = _between(asked.onset.minute - ROUTINE_HOURS * 60, asked.now + 1)
    return {
        "filter": _all([until, {"term": {"event_type": "custom"}}]),
        "aggs": {"templates": _terms("template", MAX_CUSTOMS)},
    }


def _comparison(asked: ComparisonQuestion, answer: Json) -> Comparison:
    found = {name: _window(part) for name, part in answer["aggregations"].items() if "labels" in part}
    empty = ComparisonWindow()
    series = asked.series
    people = answer["aggregations"].get("failing", {}).get("people", {"buckets": []})
    failing = found.get("failing", empty)
    return Comparison(
        is_drop=series.is_drop,
        onset=asked.onset,
        now=asked.now,
        words=asked.words,
        fixed=frozenset(("route",) if series.is_drop else ("route", "error_code", "method")),
        failing=failing,
        working=found.get("working", empty),
        working_before=found.get("working_before", empty),
        errors_before=found.get("errors_before", empty),
        errors=found.get("errors", empty),
        samples=_samples(answer["hits"]["hits"]),
        changes=_found_changes(answer["aggregations"]),
        distinct=_distinct((*(bucket["key"] for bucket in people["buckets"]), *failing.labels)),
    )


def _window(part: Json) -> ComparisonWindow:
    pairs = {
        (min(one["key"], other["key"]), max(one["key"], other["key"])): other["doc_count"]
        for one in part.get("pairs", {"buckets": ()})["buckets"]
        for other in one["with"]["buckets"]
    }
    return ComparisonWindow(
        total=part["doc_count"],
        labels=_counts(part["labels"]),
        pairs=pairs,
        templates=_counts(part.get("templates", {"buckets": []})),
        is_cut=part["labels"]["sum_other_doc_count"] > 0,
    )


def _counts(terms: Json) -> dict[str, int]:
    return {bucket["key"]: bucket["doc_count"] for bucket in terms["buckets"]}


def _samples(hits: Iterable[Json]) -> dict[str, tuple[str, ...]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for hit in hits:
        kept = found[hit["_source"]["template"]]
        if len(kept) < MAX_SAMPLES:
            kept.append(hit["_source"]["message"])
    return {template: tuple(messages) for template, messages in found.items()}


def _found_changes(aggregations: Mapping[str, Json]) -> tuple[Change, ...]:
    times = _counts(aggregations["customs"]["templates"])
    hits = [hit["_source"] for hit in aggregations["changes"]["newest"]["hits"]["hits"]]
    return tuple(
        Change(
            event_id=source["event_id"],
            kind="deploy" if source["event_type"] == "deploy" else "custom",
            at=datetime.fromisoformat(source["occurred_at"]).astimezone(UTC),
            text=" ".join(source["message"].split())[:MAX_CHANGE_CHARS],
            labels=tuple(source.get("labels", ())),
            times=max(1, times.get(source["template"], 1)) if source["event_type"] == "custom" else 1,
        )
        for source in reversed(hits)
    )


def _distinct(labels: Iterable[str]) -> dict[str, int]:
    values: defaultdict[str, set[str]] = defaultdict(set)
    for label in labels:
        name, value = split(label)
        if name in (*PEOPLE, "region"):
            values[name].add(value)
    return {name: len(found) for name, found in values.items()}
