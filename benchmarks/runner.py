"""Runs rows, each in its own process with interleaved rounds, so that a failed row affects no other."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks.figures import judge, measured
from benchmarks.machine import ROOT
from benchmarks.results import RowResult, Run, read_row
from benchmarks.rounds import Contender, Plan, Round, Row, Size

Say = Callable[[str], None]
SCRATCH: Final = (
    ROOT / ".bench"
)  # on the disk that a stack's data lies on: /tmp may be memory, where fsync is free
STOP_WITHIN_S: Final = 60.0  # a whole product goes down in 20 s on a busy machine (measured)
ERROR_LINES: Final = 8
WITHIN_S: Final = 2_520.0  # all rows together; three quarters of an hour with what follows


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a folder that the servers' account can enter, and delete it afterwards."""
    SCRATCH.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=SCRATCH))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # a killed row's servers may still be writing
        with suppress(OSError):
            SCRATCH.rmdir()


def measure(row: Row, plan: Plan, *, rounds: int, say: Say) -> RowResult:
    """Run one row here: every contender once a round (A B A B …), then the verdicts."""
    began = time.monotonic()
    with row.open(plan) as contenders:
        chosen = _guarded(row, contenders) if plan.size == "quick" else contenders
        taken = _interleave(chosen, min(rounds, row.most_rounds or rounds), say)
    results = tuple(measured(one, taken[one.name]) for one in chosen)
    targets = row.guards if plan.size == "quick" else row.targets
    return replace(
        _empty(row, time.monotonic() - began),
        contenders=results,
        judgements=tuple(judge(target, results) for target in targets),
    )


def _guarded(row: Row, contenders: Sequence[Contender]) -> list[Contender]:
    """Keep the contenders that guards name, by name or by role."""
    named = {name for guard in row.guards for name in (guard.ours or "ours", guard.of)}
    return [one for one in contenders if {one.name, one.role} & named]


def _interleave(contenders: Sequence[Contender], rounds: int, say: Say) -> dict[str, list[Round]]:
    taken: dict[str, list[Round]] = {one.name: [] for one in contenders}
    assert len(taken) == len(contenders), "contenders' names must differ"
    for number in range(1, rounds + 1):
        for one in contenders:
            result = one.run()
            taken[one.name].append(result)
            figures = " ".join(f"{name}={value:.4g}" for name, value in result.figures().items())
            say(f"  round {number} {one.name}: {figures}")
    return taken


def run_rows(
    rows: Sequence[Row], run: Run, *, keep: Callable[[Run], None], say: Say, within_s: float = WITHIN_S
) -> Run:
    """Run each row in a process of its own; write its result or its error at once.

    No row outlives `within_s`: late rows fail like rows that hang.
    """
    deadline = time.monotonic() + within_s
    for row in rows:
        say(f"{row.name}: {row.title}")
        left_s = max(0.0, deadline - time.monotonic())
        result = _in_own_process(replace(row, limit_s=min(row.limit_s, left_s)), run.size, run.rounds)
        outcome = f"failed: {result.error.splitlines()[-1]}" if result.error else "done"
        say(f"{row.name}: {outcome} after {result.took_s:.0f} s")
        run = replace(run, rows=(*run.rows, result))
        keep(run)
    return run


def _in_own_process(row: Row, size: Size, rounds: int) -> RowResult:
    began = time.monotonic()
    with scratch_folder() as folder:
        path, log = folder / "result.json", folder / "log"
        command = [
            sys.executable,
            "-m",
            "benchmarks",
            "row",
            row.name,
            f"--size={size}",
            f"--rounds={rounds}",
        ]
        with log.open("wb") as output:
            child = subprocess.Popen(
                [*command, f"--result={path}", f"--folder={folder}"],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                start_new_session=True,
            )
            ended = _wait(child, row.limit_s)
        if ended and path.exists():
            return read_row(path)
        cause = f"exit code {child.returncode}" if ended else f"not done within {row.limit_s:.0f} s"
        words = "\n".join(log.read_text(errors="replace").splitlines()[-ERROR_LINES:])
    return replace(_empty(row, time.monotonic() - began), error=f"{words}\n{cause}".strip())


def _wait(child: subprocess.Popen[bytes], within_s: float) -> bool:
    """Wait for the row's end or the deadline, then end all its processes."""
    try:
        child.wait(within_s)
    except subprocess.TimeoutExpired:
        return False
    else:
        return True
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):  # its group is empty, as it should be
                os.killpg(child.pid, number)
            with suppress(subprocess.TimeoutExpired):
                child.wait(STOP_WITHIN_S)


def _empty(row: Row, took_s: float) -> RowResult:
    return RowResult(
        name=row.name,
        title=row.title,
        unit=row.unit,
        method=row.method,
        shown=row.shown,
        took_s=round(took_s, 1),
    )
