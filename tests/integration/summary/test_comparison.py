"""The requests to OpenSearch count what a list of events gives, and stop in time."""

import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from shared_types import Tenancy
from signals.cases.answering import first_firing, observed, series_of
from signals.cases.making import make_case
from signals.clients.opensearch.comparison import HARD_STOP_S, ComparisonAnswer, compare
from signals.clients.opensearch.comparison_requests import ComparisonQuestion
from signals.clients.opensearch.connection import Client
from signals.domain.findings import collecting
from signals.domain.findings.comparison import Comparison, ComparisonWindow
from signals.domain.findings.series import ComparedSeries
from signals.domain.findings.verdict import find
from signals.errors import DependencyUnavailable
from tests.support.case_index import index_case
from tests.support.events import TENANCY

SEED = 7
PATIENT_S = 60.0
OF_ERRORS = ("failing_before", "route_errors_before")  # empty for a drop
OTHER = Tenancy("org_2", "proj_2")


def _both(client: Client, kind: str) -> tuple[Comparison, Comparison]:
    """Compare a case by its events, and by its documents."""
    events, truth = make_case(kind, SEED)
    series = series_of(truth["fingerprint"])
    seen = [observed(event) for event in events]
    fired = first_firing(seen, series)
    assert fired is not None
    expected = collecting.compare(seen, series, fired)
    index_case(client, events)
    return expected, compare(client, _question(expected, series), stop_s=PATIENT_S).comparison


def _question(expected: Comparison, series: ComparedSeries) -> ComparisonQuestion:
    return ComparisonQuestion(
        org_id=TENANCY.org_id,
        project_id=TENANCY.project_id,
        environment="prod",
        series=series,
        onset=expected.onset,
        now=expected.now,
    )


def _totals(comparison: Comparison) -> dict[str, int]:
    windows = ("failing", "working", "working_before", "errors_before", *OF_ERRORS, "errors")
    found = {name: getattr(comparison, name).total for name in windows}
    if not comparison.is_drop:
        del found["errors"]  # asked for drops alone
    return found


def _agree(counted: ComparisonWindow, expected: ComparisonWindow) -> None:
    assert counted.is_cut == expected.is_cut
    assert {k: v for k, v in counted.labels.items() if k in expected.labels} == {
        k: v for k, v in expected.labels.items() if k in counted.labels
    }
    assert len(counted.labels) == len(expected.labels)


@pytest.mark.parametrize("kind", ["zone_down", "nightly_job", "signups_channel"])
def test_index_counts_what_a_list_of_events_gives(opensearch: Client, kind: str) -> None:
    expected, counted = _both(opensearch, kind)
    assert _totals(counted) == _totals(expected)
    for name in ("failing", "working", "working_before", "errors_before", *OF_ERRORS):
        _agree(getattr(counted, name), getattr(expected, name))
    assert counted.failing.templates == expected.failing.templates
    assert counted.failing.pairs == expected.failing.pairs
    assert counted.working.pairs == expected.working.pairs
    assert bool(counted.failing.paired) != counted.is_drop
    assert [(c.event_id, c.kind, c.at, c.times) for c in counted.changes] == [
        (c.event_id, c.kind, c.at, c.times) for c in expected.changes
    ]
    ours, theirs = find(counted), find(expected)
    assert [replace(cause, message=None) for cause in ours.causes] == [
        replace(cause, message=None) for cause in theirs.causes
    ]


def test_other_tenants_and_environments_are_not_counted(opensearch: Client) -> None:
    events, truth = make_case("zone_down", SEED)
    series = series_of(truth["fingerprint"])
    seen = [observed(event) for event in events]
    fired = first_firing(seen, series)
    assert fired is not None
    expected = collecting.compare(seen, series, fired)
    index_case(opensearch, events, OTHER)
    question = _question(expected, series)
    assert set(_totals(compare(opensearch, question, stop_s=PATIENT_S).comparison).values()) == {0}
    theirs = replace(question, org_id=OTHER.org_id, project_id=OTHER.project_id)
    assert compare(opensearch, theirs, stop_s=PATIENT_S).comparison.failing.total == expected.failing.total
    elsewhere = replace(theirs, environment="staging")
    assert set(_totals(compare(opensearch, elsewhere, stop_s=PATIENT_S).comparison).values()) == {0}


def test_index_without_labels_counts_nothing(opensearch: Client) -> None:
    events, truth = make_case("zone_down", SEED)
    series = series_of(truth["fingerprint"])
    expected = collecting.compare([observed(event) for event in events], series, 29_000_000)
    opensearch.index(
        index="signals-events-v1",
        id="old",
        body={"org_id": "org_1", "project_id": "proj_1", "event_type": "error"},
        params={"refresh": "true"},
    )
    assert compare(opensearch, _question(expected, series), stop_s=PATIENT_S).comparison.failing.total == 0


class _Answering(http.server.BaseHTTPRequestHandler):
    """Answers each request as the test's `reply` says."""

    reply: Any = None

    def do_POST(self) -> None:
        """Answer, or never."""
        type(self).reply(self)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def _server(reply: Any) -> Iterator[Client]:
    handler = type("_Handler", (_Answering,), {"reply": staticmethod(reply)})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield Client(f"http://127.0.0.1:{server.server_address[1]}", max_retries=0)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def question() -> ComparisonQuestion:
    """A question that no index is needed for."""
    series = ComparedSeries(is_drop=False, error_code="E", route="/x")
    return _question(collecting.compare([], series, 29_000_000), series)


def test_search_that_hangs_is_given_up(question: ComparisonQuestion) -> None:
    assert HARD_STOP_S == 2.0
    ended = threading.Event()
    with _server(lambda _: ended.wait(120)) as client:
        began = time.monotonic()
        with pytest.raises(DependencyUnavailable, match="OpenSearch"):
            compare(client, question, stop_s=0.2)
        assert time.monotonic() - began < 60
        ended.set()


def test_absent_search_is_an_expected_error(question: ComparisonQuestion) -> None:
    with pytest.raises(DependencyUnavailable, match="OpenSearch"):
        compare(Client("http://127.0.0.1:1", max_retries=0), question)


def _answering(handler: Any, answer: object) -> None:
    body = json.dumps(answer).encode()
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def _windows(*names: str) -> dict[str, Any]:
    """Return windows of ten events each, all of which carry a label of each name."""
    labels = {
        "sum_other_doc_count": 0,
        "buckets": [{"key": f"{name}=b", "doc_count": 10} for name in names],
    }
    window = {"doc_count": 10, "labels": labels}
    return {
        "failing": window,
        "working": window,
        "working_before": window,
        "customs": {"doc_count": 0, "templates": {"buckets": []}},
        "changes": {"doc_count": 0, "newest": {"hits": {"hits": []}}},
    }


def _answer(aggregations: dict[str, Any], *, timed_out: bool = False) -> dict[str, Any]:
    return {
        "timed_out": timed_out,
        "_shards": {"failed": 0},
        "hits": {"hits": []},
        "aggregations": aggregations,
    }


def test_answer_in_part_says_so(question: ComparisonQuestion) -> None:
    whole = _answer(_windows("zone"), timed_out=True)
    with _server(lambda handler: _answering(handler, whole)) as client:
        answer = compare(client, question, stop_s=PATIENT_S)
    assert (answer.is_partial, answer.comparison.failing.total) == (True, 10)


def _asked(handler: Any) -> Any:
    return json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))["aggs"]


def test_pairs_that_hang_leave_single_labels(question: ComparisonQuestion) -> None:
    ended = threading.Event()

    def reply(handler: Any) -> None:
        if "changes" in _asked(handler):
            _answering(handler, _answer(_windows("zone", "plan")))
        else:
            ended.wait(120)

    with _server(reply) as client:
        answer = compare(client, question, stop_s=5.0)
        ended.set()
    assert (answer.is_partial, answer.comparison.failing.paired) == (True, frozenset())
    assert answer.comparison.failing.labels == {"zone=b": 10, "plan=b": 10}


def test_pairs_of_a_part_of_the_events_are_left_out(question: ComparisonQuestion) -> None:
    pair = {"key": "0&1", "doc_count": 9}
    counted = {name: {"doc_count": 9, "pairs": {"buckets": [pair]}} for name in ("failing", "working")}

    def asked_of(*, timed_out: bool) -> ComparisonAnswer:
        def reply(handler: Any) -> None:
            first = "changes" in _asked(handler)
            windows, pairs = _answer(_windows("zone", "plan")), _answer(counted, timed_out=timed_out)
            _answering(handler, windows if first else pairs)

        with _server(reply) as client:
            return compare(client, question, stop_s=PATIENT_S)

    whole, part = asked_of(timed_out=False), asked_of(timed_out=True)
    assert (whole.is_partial, whole.comparison.failing.pairs) == (False, {("plan=b", "zone=b"): 9})
    assert (part.is_partial, part.comparison.failing.pairs) == (True, {})


def test_labels_of_one_name_need_no_second_request(question: ComparisonQuestion) -> None:
    asked: list[Any] = []

    def reply(handler: Any) -> None:
        asked.append(_asked(handler))
        _answering(handler, _answer(_windows("zone")))

    with _server(reply) as client:
        answer = compare(client, question, stop_s=PATIENT_S)
    assert (len(asked), answer.is_partial) == (1, False)
