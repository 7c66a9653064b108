"""The scaling model: linear in events, except PostgreSQL, whose work follows fan-in."""

from pathlib import Path

import pytest

from benchmarks.figures import Measured, measured
from benchmarks.results import RowResult
from benchmarks.rounds import Contender, Round
from benchmarks.scaling import BATCH, EACH_ITS_ROW, Costs, costs_of, needs, touched
from benchmarks.table import BEGIN, END, model, update_model
from tests.unit.benchmarks.test_table import _run
from tests.unit.docs.markdown import ROOT

COSTS = Costs(ingest_us=20, engine_us=15, bucket_us=50, indexer_us=15, opensearch_us=60)


def test_cores_grow_with_the_rate_and_leave_headroom() -> None:
    one, ten = (needs(COSTS, rate=rate, fingerprints=3_000) for rate in (100_000, 1_000_000))
    assert (one.detectors, ten.detectors) == (3, 25)  # 1.5 and 15 busy threads, 60 % full
    assert one.kafka_mb_per_s * 10 == pytest.approx(ten.kafka_mb_per_s)


def test_batch_touches_each_of_few_fingerprints_and_many_once() -> None:
    assert touched(BATCH, 100) == pytest.approx(100, abs=0.1)
    assert touched(BATCH, 1e7) == pytest.approx(BATCH, rel=0.01)
    assert touched(BATCH, 1) == 1


def test_postgres_cost_follows_rows_not_events() -> None:
    calm, busy = (needs(COSTS, rate=100_000, fingerprints=keys) for keys in (300, 1_000_000))
    assert busy.buckets_per_s == pytest.approx(100_000, rel=0.02)
    assert calm.buckets_per_s < busy.buckets_per_s / 9
    assert busy.detectors == calm.detectors


def _result(name: str, cpu_s: float, extra: dict[str, float], contender: str = "product") -> RowResult:
    contender_ = Contender(
        name=contender,
        role="ours",
        run=lambda: Round(events=1_000_000, wall_s=10, cpu_s=cpu_s, extra=extra),
    )
    one: Measured = measured(contender_, [contender_.run()])
    return RowResult(name=name, title="", unit="event", method="", shown=(), took_s=1, contenders=(one,))


ROWS = (
    _result("engine", 15, {"postgres_cpu_s": 3.0}),
    _result("indexer", 15, {"opensearch_cpu_s": 60.0}),
    _result("ingest-batches", 20, {}),
    _result("growth", 40, {"postgres_cpu_s": 50.0}, EACH_ITS_ROW),
)


def test_costs_come_from_the_rows_of_a_run() -> None:
    found = costs_of(ROWS)
    assert found is not None
    assert (found.ingest_us, found.engine_us, found.indexer_us, found.opensearch_us) == (20, 15, 15, 60)
    assert found.bucket_us == pytest.approx(50, rel=0.01)


def test_page_is_unchanged_when_a_row_is_missing(tmp_path: Path) -> None:
    page = tmp_path / "scaling.md"
    page.write_text(f"{BEGIN}\nold\n{END}\n")
    assert not update_model(page, _run(*ROWS[:2]))
    assert "old" in page.read_text()
    assert update_model(page, _run(*ROWS))
    assert "| detectors | 1 | 3 | 3 | 25 | 25 |" in page.read_text()


def test_page_of_the_repository_has_its_markers() -> None:
    text = (ROOT / "docs" / "operations" / "scaling.md").read_text()
    assert text.index(BEGIN) < text.index(END)
    assert "events/s" in model(COSTS)
