"""Bodies of a comparison's two requests: windows of the series with bounded lists, then pairs of labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from signals.domain.findings.comparison import BEFORE_MINUTES, MAX_TEMPLATES, MAX_TERMS
from signals.domain.findings.labels import PEOPLE
from signals.domain.findings.onset import Onset
from signals.domain.findings.series import FIRST_FAILING_STATUS, ComparedSeries

SERVER_SHARE: Final = 0.75  # of the caller's time; then the server answers with what it has counted
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


def windows_request(asked: ComparisonQuestion, stop_s: float) -> Json:
    """Ask for the counts of single labels and templates in every window, and for changes."""
    onset, series = asked.onset.minute, asked.series
    during = _between(onset, asked.now + 1)
    before = _between(onset - BEFORE_MINUTES, onset)
    errors: list[Json] = [{"term": {"event_type": "error"}}]
    ours, served = _held(series), _working(series)
    windows: dict[str, Json] = {
        "working": _filtered([during, *served]),
        "working_before": _filtered([before, *served]),
        "errors_before": _filtered([before, *errors], templates=True),
        "changes": _changes(onset),
        "customs": _customs(asked),
    }
    if series.is_drop:
        windows["errors"] = _filtered([during, *errors], templates=True)
    else:
        windows["failing"] = _filtered([during, *ours], templates=True, people=True)
        windows["failing_before"] = _filtered([before, *ours])
        windows["route_errors_before"] = _filtered([before, *errors, *_on_route(series)])
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
        "timeout": _stop(stop_s),
        "query": _all([*_labelled(asked), {"bool": {"should": relevant, "minimum_should_match": 1}}]),
        "aggs": windows,
    }


def pairs_request(asked: ComparisonQuestion, labels: Sequence[str], stop_s: float) -> Json:
    """Ask how many failing and working events carry each two of the labels, named by their places.

    A matrix of filters takes half the processor time of terms within terms: those look each term up by name.
    """
    filters = {str(place): {"term": {"labels": label}} for place, label in enumerate(labels)}
    aggs = {"pairs": {"adjacency_matrix": {"filters": filters}}}
    windows = {"failing": _held(asked.series), "working": _working(asked.series)}
    return {
        "size": 0,
        "track_total_hits": False,
        "timeout": _stop(stop_s),
        "query": _all([*_labelled(asked), _between(asked.onset.minute, asked.now + 1)]),
        "aggs": {name: {"filter": _all(filters), "aggs": aggs} for name, filters in windows.items()},
    }


def _labelled(asked: ComparisonQuestion) -> list[Json]:
    """Select the tenant's events; documents of an earlier release have no template, and are left out."""
    fields = {"org_id": asked.org_id, "project_id": asked.project_id, "environment": asked.environment}
    return [*({"term": {field: value}} for field, value in fields.items()), {"exists": {"field": "template"}}]


def _stop(stop_s: float) -> str:
    return f"{int(SERVER_SHARE * stop_s * 1_000)}ms"


def _held(series: ComparedSeries) -> list[Json]:
    fields = {"attributes.error_code": series.error_code, "attributes.route": series.route}
    return [{"term": {"event_type": "error"}}, *(_equal(field, value) for field, value in fields.items())]


def _working(series: ComparedSeries) -> list[Json]:
    if series.is_drop:
        return [{"term": {"event_type": "signup"}}]
    failed = {"range": {"attributes.status_code": {"gte": FIRST_FAILING_STATUS}}}
    return [
        {"term": {"event_type": "http_request"}},
        *_on_route(series),
        {"bool": {"must_not": [failed]}},
    ]


def _on_route(series: ComparedSeries) -> list[Json]:
    return [] if series.route is None else [_equal("attributes.route", series.route)]


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


def _filtered(filters: Sequence[Json], *, templates: bool = False, people: bool = False) -> Json:
    aggs: dict[str, Json] = {"labels": _terms("labels", MAX_TERMS)}
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
