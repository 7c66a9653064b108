"""Comparison: two requests over the documents of an incident's window, and what its labels cost the index."""

import resource
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice, repeat
from random import Random
from typing import Final
from uuid import UUID

from benchmarks.rounds import Contender, Plan, Round, Row, Target
from benchmarks.rows.latency import SHOWN, percentiles
from benchmarks.servers import Servers, open_servers
from benchmarks.stored_data import load_documents
from shared_types import Tenancy
from signals.cases.answering import first_firing, observed, series_of
from signals.cases.making import make_case
from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.comparison import HARD_STOP_S, compare
from signals.clients.opensearch.comparison_requests import ComparisonQuestion, windows_request
from signals.clients.opensearch.connection import Client, open_client
from signals.domain.findings.onset import Onset
from signals.errors import DependencyUnavailable
from tests.support.case_index import case_documents
from tests.support.events import TENANCY

KIND, SEED = "zone_down", 7
MERGED_WITHIN_S: Final = 120.0
ONSET_MINUTES: Final = 3  # before the minute in which the rule fires
Ask = Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """An index that holds the window's documents, and the question about it."""

    client: Client
    question: ComparisonQuestion
    times: int
    meters: Mapping[str, Callable[[], float]]

    def ask(self, question: Ask) -> Round:
        """Ask one question after the other; `stopped` is the share that the hard stop ended."""
        before = {name: meter() for name, meter in self.meters.items()}
        taken, stopped, cpu_s, began = [], 0, _cpu_s(), time.monotonic()
        for _ in range(self.times):
            asked_at = time.monotonic()
            try:
                question()
            except DependencyUnavailable:
                stopped += 1
            taken.append(time.monotonic() - asked_at)
        found = percentiles(taken, time.monotonic() - began, _cpu_s() - cpu_s)
        used = {name: meter() - before[name] for name, meter in self.meters.items()}
        return replace(found, extra={**found.extra, **used, "stopped": stopped / self.times})

    def compared(self) -> object:
        """Ask as the product does."""
        answer = compare(self.client, self.question)
        assert answer.comparison.failing.total > 0, "nothing was compared"
        return answer

    def counted(self) -> object:
        """Count the documents of the window alone."""
        body = {"query": windows_request(self.question, HARD_STOP_S)["query"]}
        return self.client.count(index=EVENTS_INDEX, body=body, request_timeout=10)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _question(tenancy: Tenancy) -> tuple[ComparisonQuestion, list[dict[str, object]]]:
    events, truth = make_case(KIND, SEED)
    series = series_of(truth["fingerprint"])
    fired = first_firing([observed(event) for event in events], series)
    assert fired is not None
    question = ComparisonQuestion(
        org_id=tenancy.org_id,
        project_id=tenancy.project_id,
        environment="prod",
        series=series,
        onset=Onset(minute=fired - ONSET_MINUTES, usual=0.0, is_ramp=False),
        now=fired,
    )
    return question, events


def _lines(events: list[dict[str, object]], count: int, *, is_labelled: bool = True) -> Iterator[bytes]:
    """Yield lines of a bulk: the events again and again, each time under an id of its own."""
    documents, ids = case_documents(events, is_labelled=is_labelled), Random(SEED)
    for document in islice(chain.from_iterable(repeat(documents)), count):
        old, new = document.document_id.encode(), str(UUID(int=ids.getrandbits(128), version=4)).encode()
        yield b'{"create":{"_id":"%s"}}\n%s\n' % (new, document.source.replace(old, new))


@contextmanager
def _open_comparison(plan: Plan) -> Iterator[list[Contender]]:
    count = plan.pick(full=400_000, quick=40_000, tiny=16_000)  # a case has 14,000
    with open_servers(plan, "opensearch") as servers, open_client(servers.opensearch()) as client:
        question, events = _question(TENANCY)
        load_documents(servers.opensearch(), _lines(events, count), count)
        bench = Bench(
            client=client,
            question=question,
            times=plan.pick(full=40, quick=20, tiny=3),
            meters=servers.meters(),
        )
        bench.ask(bench.counted)
        yield [
            Contender(name="count of the window", role="limit", run=partial(bench.ask, bench.counted)),
            Contender(name="compare", role="ours", run=partial(bench.ask, bench.compared)),
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexBench:
    """An empty index each round."""

    servers: Servers
    client: Client
    count: int

    def index(self, lines: list[bytes]) -> Round:
        """Index documents, and weigh them when they are one segment each shard."""
        self.client.indices.delete(index=EVENTS_INDEX, ignore_unavailable=True)
        cpu_s, began = _cpu_s(), time.monotonic()
        load_documents(self.servers.opensearch(), iter(lines), self.count)
        wall_s, cpu_s = time.monotonic() - began, _cpu_s() - cpu_s
        weight = {"bytes_per_document": self._bytes() / self.count}
        return Round(events=self.count, wall_s=wall_s, cpu_s=cpu_s, extra=weight)

    def _bytes(self) -> int:
        """Return what the index weighs as one segment, without those that it was merged from."""
        deadline = time.monotonic() + MERGED_WITHIN_S
        while time.monotonic() < deadline:
            self.client.indices.forcemerge(index=EVENTS_INDEX, max_num_segments=1, request_timeout=120)
            self.client.indices.flush(index=EVENTS_INDEX, force=True, request_timeout=120)
            self.client.indices.refresh(index=EVENTS_INDEX, request_timeout=120)
            stats = self.client.indices.stats(index=EVENTS_INDEX, metric="store,segments")["_all"][
                "primaries"
            ]
            if stats["segments"]["count"] == 1:
                return int(stats["store"]["size_in_bytes"])
        raise AssertionError("the index did not become one segment")


@contextmanager
def _open_index(plan: Plan) -> Iterator[list[Contender]]:
    count = plan.pick(full=60_000, quick=20_000, tiny=2_000)
    with open_servers(plan, "opensearch") as servers, open_client(servers.opensearch()) as client:
        _, events = _question(TENANCY)
        bench = IndexBench(servers=servers, client=client, count=count)
        without, labelled = (list(_lines(events, count, is_labelled=flag)) for flag in (False, True))
        bench.index(without)  # the first documents take twice as long: the Java compiler is still at work
        yield [
            Contender(name="without labels", role="limit", run=partial(bench.index, without)),
            Contender(name="with labels", role="ours", run=partial(bench.index, labelled)),
        ]


ROWS: Final = (
    Row(
        name="comparison",
        title="an incident's window → what sets the failing apart",
        unit="comparison",
        method="One comparison after the other over an index whose documents mostly lie in the window of the "
        "question, 13 labels each on average, request cache out of play. The limit counts the same documents "
        f"alone. The caller waits at most {HARD_STOP_S:g} s.",
        open=_open_comparison,
        shown=(*SHOWN, "opensearch_cpu_us", "stopped"),
        targets=(
            Target(sentence="p50 ≤ 250 ms", figure="p50_ms", at_most=250),
            Target(sentence="never above 2 s", figure="max_ms", at_most=2_100),
        ),
        limit_s=900.0,
    ),
    Row(
        name="labels",
        title="documents with labels and template → indexed",
        unit="document",
        method="The same documents with and without both fields, in turns, each into an empty index; timed "
        "until merges have ended. Weighed after a merge into one segment.",
        open=_open_index,
        shown=("rate", "bytes_per_document"),
        targets=(
            Target(sentence="≥ 90 % of the documents a second", figure="rate", at_least=0.9, of="limit"),
            Target(sentence="≤ 1.25× the bytes", figure="bytes_per_document", at_most=1.25, of="limit"),
        ),
        guards=(Target(sentence="≤ 1.4× the bytes", figure="bytes_per_document", at_most=1.4, of="limit"),),
        limit_s=900.0,
    ),
)
