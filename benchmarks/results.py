"""Results of a run, as kept in `results/<date>.json`: written again after every row."""

from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from benchmarks.figures import Judgement, Measured
from benchmarks.machine import Machine
from benchmarks.rounds import Size
from signals.local.files import replace_file


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """A row's figures and verdicts, or the error that kept it from having any."""

    name: str
    title: str
    unit: str
    method: str
    shown: tuple[str, ...]
    took_s: float
    contenders: tuple[Measured, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A whole run; `commit` is the source's, with `+` when files were changed."""

    started_at: datetime
    commit: str
    size: Size
    rounds: int
    machine: Machine
    rows: tuple[RowResult, ...] = ()


_RUN: Final = TypeAdapter(Run)
_ROW: Final = TypeAdapter(RowResult)


def write_run(path: Path, run: Run) -> None:
    """Write a run atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, _RUN.dump_json(run, indent=1).decode() + "\n", mode=0o644)


def read_run(path: Path) -> Run:
    """Read what `write_run` wrote."""
    return _RUN.validate_json(path.read_bytes())


def write_row(path: Path, row: RowResult) -> None:
    """Write a row for the process that runs the table."""
    replace_file(path, _ROW.dump_json(row).decode())


def read_row(path: Path) -> RowResult:
    """Read what `write_row` wrote."""
    return _ROW.validate_json(path.read_bytes())
