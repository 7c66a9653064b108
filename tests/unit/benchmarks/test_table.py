"""The page: a run replaces only the text between the markers."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.machine import this_machine
from benchmarks.overview import overview, verdict_sentence
from benchmarks.results import RowResult, Run, read_run
from benchmarks.rounds import Plan, Target
from benchmarks.rows import all_rows
from benchmarks.runner import measure
from benchmarks.table import (
    ANSWERS_BEGIN,
    ANSWERS_END,
    BEGIN,
    END,
    answers,
    report,
    update_page,
    verdict_lines,
)
from tests.unit.benchmarks.rows import contender, row
from tests.unit.docs.markdown import ROOT, table

TARGETS = (
    Target(sentence="half | of it", figure="rate", at_least=0.5, of="limit"),
    Target(sentence="9 ms", figure="p99_ms", at_most=4),
)


@pytest.fixture
def result(tmp_path: Path) -> RowResult:
    """A row with figures."""
    contenders = [
        contender("limit", "limit", [100, 110, 120]),
        contender("product", "ours", [60_000, 50_000, 70_000]),
    ]
    return measure(
        row(contenders, targets=TARGETS),
        Plan(size="full", folder=tmp_path),
        rounds=3,
        say=lambda _: None,
    )


def _run(*rows: RowResult) -> Run:
    return Run(
        started_at=datetime(2026, 3, 1, tzinfo=UTC),
        commit="abc",
        size="full",
        rounds=3,
        machine=this_machine(),
        rows=rows,
    )


def test_medians_show_extremes_and_absent_figures_are_omitted(result: RowResult) -> None:
    page = report(_run(result))
    assert "| product (ours) | 60,000 (50,000-70,000) | 10 (10-10) | 5 (5-5) |" in page
    assert "absent" not in page


def test_every_target_has_a_verdict(result: RowResult) -> None:
    rows = table(report(_run(result)), "row")
    assert [(cells[1], cells[3]) for cells in rows] == [("half \\| of it", "met"), ("9 ms", "**missed**")]


def test_failed_row_shows_its_error(result: RowResult) -> None:
    failed = replace(result, contenders=(), judgements=(), error="traceback\nexit code 1")
    page = report(_run(failed, result))
    assert "| `example` | - | exit code 1 | **failed** |" in page
    assert "traceback" in page
    assert verdict_lines([failed]) == ["example: FAILED - exit code 1"]


def test_only_text_between_the_markers_changes(tmp_path: Path, result: RowResult) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"top\n{ANSWERS_BEGIN}\nold\n{ANSWERS_END}\nmiddle\n{BEGIN}\nold\n{END}\nbelow\n")
    update_page(page, _run(result))
    text = page.read_text()
    assert text.startswith(f"top\n{ANSWERS_BEGIN}\n")
    assert f"\n{ANSWERS_END}\nmiddle\n{BEGIN}\n" in text
    assert text.endswith(f"\n{END}\nbelow\n")
    assert "old" not in text


def test_page_without_markers_is_refused(tmp_path: Path, result: RowResult) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing\n")
    with pytest.raises(ValueError, match="no markers"):
        update_page(page, _run(result))


def test_page_of_the_repository_has_its_markers() -> None:
    text = (ROOT / "docs" / "operations" / "performance.md").read_text()
    places = [text.index(marker) for marker in (ANSWERS_BEGIN, ANSWERS_END, BEGIN, END)]
    assert places == sorted(places)


def test_every_question_of_the_overview_is_answered_from_a_whole_run() -> None:
    newest = max((ROOT / "benchmarks" / "results").glob("*.json"))
    run = read_run(newest)
    assert len(overview(run.rows)) == 5
    assert answers(run) in (ROOT / "docs" / "operations" / "performance.md").read_text()


def test_question_without_its_figures_is_left_out(result: RowResult) -> None:
    assert overview([result]) == []
    assert verdict_sentence([result]) == "1 of 2 targets are met; the table below names the other 1."


def test_every_row_loads_and_has_a_unique_name() -> None:
    assert all(name == row.name and row.targets for name, row in all_rows().items())
