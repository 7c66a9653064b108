"""Contenders take turns, and a failed row does not affect the others."""

import sys
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.machine import ROOT, this_machine
from benchmarks.results import Run, read_run, write_run
from benchmarks.rounds import Contender, Plan, Row, Target
from benchmarks.runner import measure, run_rows
from tests.unit.benchmarks.rows import contender, row

GUARD = Target(sentence="a tenth", figure="rate", at_least=0.1, of="limit")


def _silent(_: str) -> None:
    return


def _run() -> Run:
    return Run(
        started_at=datetime(2026, 3, 1, tzinfo=UTC),
        commit="abc",
        size="tiny",
        rounds=1,
        machine=this_machine(),
    )


def test_contenders_take_turns(tmp_path: Path) -> None:
    order: list[str] = []
    example = row([contender(name, "peer", [1, 1, 1], on_run=order.append) for name in "AB"])
    measure(example, Plan(size="full", folder=tmp_path), rounds=3, say=_silent)
    assert "".join(order) == "ABABAB"


def test_quick_run_leaves_peers_out_and_judges_guards(tmp_path: Path) -> None:
    contenders = [
        contender("limit", "limit", [100]),
        contender("ours", "ours", [9]),
        contender("peer", "peer", []),
    ]
    example = row(contenders, targets=(), guards=(GUARD,))
    found = measure(example, Plan(size="quick", folder=tmp_path), rounds=1, say=_silent)
    assert [one.name for one in found.contenders] == ["limit", "ours"]
    assert [one.verdict for one in found.judgements] == ["missed"]


def test_quick_run_skips_contenders_without_a_guard(tmp_path: Path) -> None:
    contenders = [contender("limit", "limit", [9]), contender("b", "ours", []), contender("c", "ours", [9])]
    guard = Target(sentence="c", figure="rate", at_least=0.5, of="limit", ours="c")
    example = row(contenders, guards=(guard,))
    found = measure(example, Plan(size="quick", folder=tmp_path), rounds=1, say=_silent)
    assert [one.name for one in found.contenders] == ["limit", "c"]


def test_failed_or_hanging_row_does_not_affect_other_rows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "child.py"
    script.write_text(
        "import sys, time\n"
        "from pathlib import Path\n"
        "name = sys.argv[4]\n"
        "path = next(a.partition('=')[2] for a in sys.argv if a.startswith('--result='))\n"
        "if name == 'bad': raise SystemExit('a sentence about the cause')\n"
        "if name == 'slow': time.sleep(60)\n"
        "from benchmarks.results import RowResult, write_row\n"
        "row = RowResult(name=name, title='t', unit='event', method='m', shown=(), took_s=1)\n"
        "write_row(Path(path), row)\n"
    )
    shim = tmp_path / "python"  # stands where the interpreter does: gets -m benchmarks row NAME …
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(sys, "executable", str(shim))

    def never(_: Plan) -> AbstractContextManager[list[Contender]]:
        raise AssertionError("rows run in processes of their own")

    def named(name: str, limit_s: float = 30.0) -> Row:
        return replace(row([]), name=name, open=never, limit_s=limit_s)

    kept: list[int] = []
    run = run_rows(
        [named("bad"), named("slow", 0.5), named("good")],
        _run(),
        keep=lambda so_far: kept.append(len(so_far.rows)),
        say=_silent,
    )
    assert kept == [1, 2, 3]
    bad, slow, good = run.rows
    assert "a sentence about the cause" in bad.error
    assert "exit code 1" in bad.error
    assert "not done within" in slow.error
    assert (good.name, good.error) == ("good", "")


def test_late_row_fails_at_the_deadline() -> None:
    run = run_rows([row([])], _run(), keep=lambda _: None, say=_silent, within_s=0.0)
    assert "not done within 0 s" in run.rows[0].error


def test_results_survive_a_round_trip(tmp_path: Path) -> None:
    contenders = [contender("limit", "limit", [100]), contender("ours", "ours", [50])]
    found = measure(
        row(contenders, targets=(GUARD,)), Plan(size="full", folder=tmp_path), rounds=1, say=_silent
    )
    run = replace(_run(), rows=(found,))
    write_run(tmp_path / "results" / "run.json", run)
    assert read_run(tmp_path / "results" / "run.json") == run
