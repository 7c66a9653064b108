"""Time from a clone to the first summarized incident, with empty and with full caches."""

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, LiteralString

import psycopg
from rich.console import Console

from benchmarks.cpu import trees_cpu_s
from benchmarks.machine import ROOT
from benchmarks.rounds import Contender, Plan, Round, Row, Target
from signals.local.environment import read_env_file
from signals.local.folder import StackFolder
from signals.local.progress import DownloadProgress
from signals.local.servers import kafka, opensearch
from signals.local.servers.artifacts import ArtifactCache
from signals.local.servers.assembly import processes

FIRST_SUMMARY: LiteralString = "SELECT min(created_at) FROM ai_outputs WHERE created_at > %s"
UV: Final = Path(sys.executable).parent / "uv"


@dataclass(slots=True, kw_only=True)
class Clones:
    """Clones of this commit below a folder; the newest one may be started again."""

    folder: Path
    cache: Mapping[str, str] = field(default_factory=dict)
    made: list[Path] = field(default_factory=list)

    def fresh(self) -> Round:
        """Clone, `make demo`, stop."""
        self.remove_newest()
        started_at, began = datetime.now(UTC), time.monotonic()
        clone = self.folder / f"clone-{len(self.made)}"
        self.made.append(clone)
        _run(["git", "clone", "--quiet", "--depth=1", f"file://{ROOT}", str(clone)], cwd=self.folder)
        return self._demo(clone, started_at, began)

    def again(self) -> Round:
        """`make demo` in the newest clone, without its data: an open incident gets no new summary."""
        self._reset(self.made[-1])
        return self._demo(self.made[-1], datetime.now(UTC), time.monotonic())

    def _demo(self, clone: Path, started_at: datetime, began: float) -> Round:
        cpu_before_s = _children_cpu_s()
        try:
            self._make(clone, "demo")
            demo_s = time.monotonic() - began
            stack = StackFolder(root=clone / ".signals")
            pids = [process.pid for process in processes(stack).values()]
            running_s = trees_cpu_s(pid for pid in pids if pid is not None)
            wall_s = (_first_summary_at(stack, started_at) - started_at).total_seconds()
        finally:
            self._make(clone, "down")
        # What `down` itself used is within the noise of a start.
        cpu_s = _children_cpu_s() - cpu_before_s + running_s
        return Round(events=1, wall_s=wall_s, cpu_s=cpu_s, extra={"demo_s": demo_s, "cpu_s": cpu_s})

    def remove_newest(self) -> None:
        """Delete the newest clone with its data."""
        if self.made and self.made[-1].exists():
            self._reset(self.made[-1])
            shutil.rmtree(self.made[-1])

    def _reset(self, clone: Path) -> None:
        if (clone / ".signals").exists():
            self.command(clone, ".venv/bin/signals", "stack", "reset", "--yes")

    def _make(self, clone: Path, target: str) -> None:
        self.command(clone, "make", target, f"PYTHON={sys.executable}")

    def command(self, clone: Path, *command: str) -> None:
        """Run a command in a clone without variables that lead to another stack."""
        ours = ("KAFKA_", "DATABASE_", "PG_", "OPENSEARCH_", "RAY_", "GRADIENT_", "VIRTUAL_ENV", "PYTHONPATH")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        _run(list(command), cwd=clone, environment={**environment, **self.cache})


def _run(command: list[str], *, cwd: Path, environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[:3])} failed:\n{(done.stdout + done.stderr)[-1500:]}")


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _first_summary_at(stack: StackFolder, since: datetime) -> datetime:
    with psycopg.connect(read_env_file(stack.env_path)["DATABASE_URL"]) as connection:
        row = connection.execute(FIRST_SUMMARY, [since]).fetchone()
    assert row is not None, "a demo without a summary fails"
    found: datetime = row[0]
    return found


@dataclass(slots=True, kw_only=True)
class Download:
    """Downloads the files of a first `make demo`, without using them."""

    folder: Path
    done: int = 0

    def run(self) -> Round:
        """Fetch locked wheels and the servers into empty caches."""
        self.done += 1
        place = self.folder / f"download-{self.done}"
        cpu_before_s, began = _children_cpu_s(), time.monotonic()
        wheels = ("pip", "install", "--quiet", "--no-deps", "--target", str(place / "wheels"))
        lock = str(ROOT / "requirements" / "dev.lock")
        _run([str(UV), *wheels, "--cache-dir", str(place / "uv"), "--requirements", lock], cwd=self.folder)
        with DownloadProgress(console=Console(stderr=True)) as progress:
            cache = ArtifactCache(
                folder=place, mirror=os.environ.get("SIGNALS_MAVEN_MIRROR") or None, progress=progress
            )
            for bundle in (kafka.BUNDLE, opensearch.BUNDLE):
                cache.home_of(bundle)
        wall_s = time.monotonic() - began
        shutil.rmtree(place)
        return Round(events=1, wall_s=wall_s, cpu_s=_children_cpu_s() - cpu_before_s)


@contextmanager
def _open_warm(plan: Plan) -> Iterator[list[Contender]]:
    clones = Clones(folder=plan.folder)
    try:
        yield [
            Contender(
                name="fresh clone", role="ours", run=clones.fresh, note="caches of pip, uv and ours full"
            ),
            Contender(
                name="started again",
                role="ours",
                run=clones.again,
                note="the same clone, installed before, without data",
            ),
        ]
    finally:
        clones.remove_newest()


@contextmanager
def _open_cold(plan: Plan) -> Iterator[list[Contender]]:
    cache = plan.folder / "cache"
    cache.mkdir()
    cache.chmod(0o755)
    empty = {
        "XDG_CACHE_HOME": str(cache),
        "SIGNALS_CACHE_DIR": str(cache),
        "PIP_CACHE_DIR": str(cache / "pip"),
    }
    clones = Clones(folder=plan.folder, cache={**empty, "UV_CACHE_DIR": str(cache / "uv")})
    try:
        yield [
            Contender(
                name="download alone",
                role="limit",
                run=Download(folder=plan.folder).run,
                note="wheels and servers, nothing started",
            ),
            Contender(name="fresh clone, empty caches", role="ours", run=clones.fresh),
        ]
    finally:
        clones.remove_newest()


METHOD: Final = (
    "`git clone` of this commit, then `make demo`; the end is when the first summary was written, by the "
    "database's clock. The demo itself goes on until its twelve seconds of traffic are searchable. CPU is of "
    "everything started, servers included."
)
SHOWN: Final = ("wall_s", "demo_s", "cpu_s")

ROWS: Final = (
    Row(
        name="start-warm",
        title="clone → first summarized incident, caches full",
        unit="start",
        method=METHOD,
        open=_open_warm,
        shown=SHOWN,
        targets=(
            Target(sentence="fresh clone: ≤ 30 s", figure="wall_s", at_most=30.0, ours="fresh clone"),
            Target(sentence="started again: ≤ 30 s", figure="wall_s", at_most=30.0, ours="started again"),
        ),
        limit_s=600.0,
    ),
    Row(
        name="start-cold",
        title="clone → first summarized incident, caches empty",
        unit="start",
        method=METHOD,
        open=_open_cold,
        shown=SHOWN,
        targets=(
            Target(sentence="cold ≤ 3 min", figure="wall_s", at_most=180.0),
            Target(sentence="(beside the download alone)", figure="wall_s", at_most=2.0, of="limit"),
        ),
        most_rounds=1,  # two minutes of downloads each, which the registry's load decides
        limit_s=600.0,
    ),
)
