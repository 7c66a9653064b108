"""Counts what a comparison needs: the windows of a series, then pairs of the labels that can matter.

Two requests, because only the first shows which labels those are: counting pairs of all frequent labels took
more processor time than all else. The server is told to stop before the caller does, so that a slow search
gives the part that it has counted.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from opensearchpy.exceptions import NotFoundError, RequestError

from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.comparison_requests import (
    ComparisonQuestion,
    pairs_request,
    windows_request,
)
from signals.clients.opensearch.connection import Client, unavailable_when_down
from signals.domain.findings.combinations import paired_labels
from signals.domain.findings.comparison import (
    Change,
    Comparison,
    ComparisonWindow,
    change_text,
    distinct_of,
    samples_of,
    with_pairs,
)
from signals.errors import DependencyUnavailable

HARD_STOP_S: Final = 2.0  # the caller waits no longer, for both requests
MIN_LEFT_S: Final = 0.05  # guess: no search answers in less on a machine that needed the rest for the first

Json = dict[str, Any]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonAnswer:
    """The counts; `is_partial` when the server stopped before it had seen every event, or every pair."""

    comparison: Comparison
    is_partial: bool


def compare(client: Client, asked: ComparisonQuestion, *, stop_s: float = HARD_STOP_S) -> ComparisonAnswer:
    """Count the windows of a question; waits at most `stop_s`.

    Raises:
        DependencyUnavailable: when OpenSearch does not answer in time, or has no labels yet.
    """
    end = time.monotonic() + stop_s
    answer = _search(client, windows_request(asked, stop_s), stop_s)
    if "aggregations" not in answer:
        raise DependencyUnavailable("OpenSearch", "it counted nothing in time")
    comparison, is_partial = _comparison(asked, answer), _is_partial(answer)
    labels = paired_labels(comparison)
    if not labels:
        return ComparisonAnswer(comparison=comparison, is_partial=is_partial)
    pairs = _pairs(client, asked, labels, end - time.monotonic())
    if pairs is None:
        return ComparisonAnswer(comparison=comparison, is_partial=True)
    found = with_pairs(comparison, labels, failing=pairs["failing"], working=pairs["working"])
    return ComparisonAnswer(comparison=found, is_partial=is_partial)


def _pairs(
    client: Client, asked: ComparisonQuestion, labels: tuple[str, ...], left_s: float
) -> dict[str, dict[tuple[str, str], int]] | None:
    """Count pairs in the time that is left; None when not all events were counted: single labels stand alone.

    Pairs of a part beside single labels of all events would look like groups that work less than they do.
    """
    if left_s < MIN_LEFT_S:
        return None
    try:
        answer = _search(client, pairs_request(asked, labels, left_s), left_s)
    except DependencyUnavailable as error:
        log.info("pairs of labels not counted", reason=str(error))
        return None
    if _is_partial(answer) or "aggregations" not in answer:
        return None
    return {name: _pair_counts(part["pairs"], labels) for name, part in answer["aggregations"].items()}


def _search(client: Client, body: Json, stop_s: float) -> Json:
    try:
        with unavailable_when_down():
            # Never cached: each question is asked once, over events that are still coming.
            answer: Json = client.search(
                index=EVENTS_INDEX, body=body, request_timeout=stop_s, params={"request_cache": "false"}
            )
    except NotFoundError as error:
        raise DependencyUnavailable("OpenSearch", "it has no events index yet") from error
    except RequestError as error:
        reason = f"it refuses the comparison ({error.error}); run `signals prepare`"
        raise DependencyUnavailable("OpenSearch", reason) from error
    return answer


def _is_partial(answer: Json) -> bool:
    return bool(answer["timed_out"] or answer["_shards"]["failed"])


def _comparison(asked: ComparisonQuestion, answer: Json) -> Comparison:
    found = {name: _window(part) for name, part in answer["aggregations"].items() if "labels" in part}
    empty = ComparisonWindow()
    series = asked.series
    hits = [hit["_source"] for hit in answer["hits"]["hits"]]
    people = answer["aggregations"].get("failing", {}).get("people", {"buckets": []})
    failing = found.get("failing", empty)
    return Comparison(
        is_drop=series.is_drop,
        onset=asked.onset,
        now=asked.now,
        words=series.words,
        fixed=series.fixed,
        failing=failing,
        working=found.get("working", empty),
        working_before=found.get("working_before", empty),
        errors_before=found.get("errors_before", empty),
        failing_before=found.get("failing_before", empty),
        route_errors_before=found.get("route_errors_before", empty),
        errors=found.get("errors", empty),
        samples=samples_of((hit["template"], hit["message"]) for hit in hits),
        changes=_found_changes(answer["aggregations"]),
        distinct=distinct_of((*(bucket["key"] for bucket in people["buckets"]), *failing.labels)),
    )


def _window(part: Json) -> ComparisonWindow:
    return ComparisonWindow(
        total=part["doc_count"],
        labels=_counts(part["labels"]),
        templates=_counts(part.get("templates", {"buckets": []})),
        is_cut=part["labels"]["sum_other_doc_count"] > 0,
    )


def _pair_counts(matrix: Json, labels: Sequence[str]) -> dict[tuple[str, str], int]:
    """Read the cells of two labels; a cell of one is the label alone."""
    found = {}
    for bucket in matrix["buckets"]:
        places = [int(place) for place in bucket["key"].split("&")]
        if len(places) > 1:
            one, other = sorted(labels[place] for place in places)
            found[one, other] = int(bucket["doc_count"])
    return found


def _counts(terms: Json) -> dict[str, int]:
    return {bucket["key"]: bucket["doc_count"] for bucket in terms["buckets"]}


def _found_changes(aggregations: Mapping[str, Json]) -> tuple[Change, ...]:
    times = _counts(aggregations["customs"]["templates"])
    hits = [hit["_source"] for hit in aggregations["changes"]["newest"]["hits"]["hits"]]
    return tuple(
        Change(
            event_id=source["event_id"],
            kind="deploy" if source["event_type"] == "deploy" else "custom",
            at=datetime.fromisoformat(source["occurred_at"]).astimezone(UTC),
            text=change_text(source["message"]),
            labels=tuple(source.get("labels", ())),
            times=max(1, times.get(source["template"], 1)) if source["event_type"] == "custom" else 1,
        )
        for source in reversed(hits)
    )
