"""The benchmark's command line: the whole table, the quick guard, or one row."""

import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

import typer

from benchmarks.figures import UNMET
from benchmarks.machine import ROOT, commit, this_machine
from benchmarks.results import RowResult, Run, read_run, write_row, write_run
from benchmarks.rounds import Plan, Row, Size
from benchmarks.rows import all_rows
from benchmarks.runner import SCRATCH, measure, run_rows, scratch_folder
from benchmarks.scale_run import scale
from benchmarks.table import report, update_model, update_page, verdict_lines

RESULTS: Final = Path(__file__).parent / "results"
PAGE: Final = ROOT / "docs" / "operations" / "performance.md"
MODEL: Final = ROOT / "docs" / "operations" / "scaling.md"
assert get_args(Size) == ("full", "quick", "tiny")

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
Rounds = Annotated[int, typer.Option(min=1, help="Interleaved rounds a contender.")]
Names = Annotated[list[str] | None, typer.Argument(help="Rows; all when none is named.")]


@app.command("list")
def show() -> None:
    """Name the rows."""
    for row in all_rows().values():
        print(f"{row.name:24} {row.title}")


@app.command("row")
def one_row(
    name: str,
    rounds: Rounds = 3,
    size: Annotated[
        Literal["full", "quick", "tiny"], typer.Option(help="How much work a round is.")
    ] = "full",
    result: Annotated[Path | None, typer.Option(help="File for the figures, as JSON.")] = None,
    folder: Annotated[Path | None, typer.Option(help="An empty folder to work in.")] = None,
) -> None:
    """Run one row in this process and print it; a SIGTERM also ends its servers."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended before it was done"))
    row = _chosen([name])[0]
    with scratch_folder() as made:
        found = measure(row, Plan(size=size, folder=folder or made), rounds=rounds, say=_say)
    if result is not None:
        write_row(result, found)
        return
    print(report(_run(size, rounds, rows=(found,))))


@app.command("all")
def whole_table(names: Names = None, rounds: Rounds = 3, tiny: bool = False) -> None:
    """Run every row, write results and page after each; exit code 1 when a row failed."""
    run = _run("tiny" if tiny else "full", rounds)
    folder = SCRATCH / "tiny" if tiny else RESULTS  # a dry run leaves the published table alone
    path = folder / f"{run.started_at:%Y-%m-%dT%H%M}.json"

    def keep(so_far: Run) -> None:
        write_run(path, so_far)
        if not tiny and names is None:
            update_page(PAGE, so_far)

    run = run_rows(_chosen(names), run, keep=keep, say=_say)
    if not tiny and names is None and not update_model(MODEL, run):
        _say(f"{MODEL.name} stays as it was: a row of the model has no figures")
    print(report(run))
    _say(f"figures are in {path}")
    sys.exit(any(row.error for row in run.rows))


@app.command("quick")
def quick_guard(names: Names = None, rounds: Rounds = 2) -> None:
    """Run the contenders of guards, small and without peers; exit code 1 when a guard is missed."""
    rows = [row for row in _chosen(names) if row.guards]
    run = run_rows(rows, _run("quick", rounds), keep=lambda _: None, say=_say)
    print("\n".join(verdict_lines(run.rows)))
    took_s = sum(row.took_s for row in run.rows)
    print(
        f"{len(rows)} rows in {took_s:.0f} s; load {run.machine.load} at the start, {run.machine.cores} cores"
    )
    sys.exit(any(row.error or any(one.verdict in UNMET for one in row.judgements) for row in run.rows))


@app.command("scale")
def scale_run(minutes: Annotated[int, typer.Option(min=1, help="How long the rate is held.")] = 30) -> None:
    """Hold the highest rate that the product sustains, print its costs; exit code 1 when it lags."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended before it was done"))
    with scratch_folder() as folder:
        sys.exit(not scale(folder / "product", minutes))


@app.command("page")
def write_page(result: Path) -> None:
    """Write both pages again from the results of a run."""
    run = read_run(result)
    update_page(PAGE, run)
    update_model(MODEL, run)


def _chosen(names: list[str] | None) -> list[Row]:
    rows = all_rows()
    unknown = [name for name in names or () if name not in rows]
    if unknown:
        raise typer.BadParameter(f"no row is named {unknown[0]!r}; there are: {', '.join(rows)}")
    return [rows[name] for name in names] if names else list(rows.values())


def _run(size: Size, rounds: int, rows: tuple[RowResult, ...] = ()) -> Run:
    run = Run(started_at=datetime.now(UTC), commit=commit(), size=size, rounds=rounds, machine=this_machine())
    return replace(run, rows=rows)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    app()
