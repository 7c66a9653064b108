"""Times a program that consumes a topic filled before: from its first record to its last durable one.

Starting the process, joining the group and warming up are not timed.
"""

import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Final

import psutil
from pydantic import TypeAdapter

from benchmarks.cpu import spent, tree_cpu_s
from benchmarks.machine import ROOT
from benchmarks.rounds import Round

FIRST_WITHIN_S: Final = 60.0  # joining took 4 s on a busy machine (measured)
POLL_S: Final = 0.025  # how late the end may be noticed; a poll is one short query
LOG_TAIL: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A mark that a program printed through `benchmarks.peers.marks`."""

    name: str
    at: float
    cpu_s: float
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A command to run; only the given variables are added to its environment."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]


_MARK: Final = TypeAdapter(Mark)


MOST_LINES: Final = 10_000  # of the newest; a row that reads none keeps a few MB


class Running:
    """A started program whose marks are read as they come."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log
        self._marks: Queue[Mark] = Queue()
        self._logged: deque[str] = deque(maxlen=MOST_LINES)
        Thread(target=self._read, name="marks", daemon=True).start()

    @property
    def pid(self) -> int:
        """Process id of the program."""
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith('{"name"'):
                self._marks.put(_MARK.validate_json(line))
            else:
                self._logged.append(line)

    def take_logged(self) -> list[str]:
        """Return what the program has logged since the last call, and forget it."""
        return [self._logged.popleft() for _ in range(len(self._logged))]

    def wait_for(self, name: str, within_s: float) -> Mark:
        """Return the next mark of that name.

        Raises:
            RuntimeError: when the program ended or printed no mark in time; quotes the end of its log.
        """
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            try:
                found = self._marks.get(timeout=0.1)
            except Empty:
                self.check()
                continue
            if found.name == name:
                return found
        raise RuntimeError(f"no mark {name!r} within {within_s} s: {self._words()}")

    def newest(self, name: str) -> int:
        """Return the number of the newest unread mark of that name, 0 without one."""
        newest = 0
        while not self._marks.empty():
            found = self._marks.get()
            newest = found.events if found.name == name else newest
        return newest

    def check(self) -> None:
        """Check that the program runs.

        Raises:
            RuntimeError: when it has ended; quotes the end of its log.
        """
        if self._process.poll() is not None and self._marks.empty():
            raise RuntimeError(f"the program ended with {self._process.returncode}: {self._words()}")

    def _words(self) -> str:
        return self._log.read_text(errors="replace")[-LOG_TAIL:]


@contextmanager
def started(program: Program, log: Path) -> Iterator[Running]:
    """Run a program until the end of the block; its errors go to `log`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **program.environment}
    with log.open("w") as errors:
        process = subprocess.Popen(
            program.argv, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT, env=environment
        )
    try:
        yield Running(process, log)
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[str]) -> None:
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in psutil.wait_procs(family, timeout=2)[1]:
        child.kill()
    if process.stdout is not None:
        process.stdout.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """The end of a round: `durable()` reaches `wanted` within `limit_s` of the first record."""

    wanted: int
    durable: Callable[[], int] | None
    meters: Mapping[str, Callable[[], float]]
    limit_s: float = 60.0


def timed(program: Program, race: Race, log: Path) -> Round:
    """Run a program and time it from its first record to the last durable event.

    Without `durable` the program marks its own end. What was durable at the end is counted: a
    consumer that commits in large steps may have gone past `wanted`. One whose windows close late is
    credited with all that it has processed by then.
    """
    with started(program, log) as running:
        first = running.wait_for("first", FIRST_WITHIN_S)
        with spent(race.meters) as servers:
            if race.durable is None:
                done = running.wait_for("done", race.limit_s)
                events, ended_at, cpu_s = done.events, done.at, done.cpu_s
            else:
                events, ended_at = _wait_durable(race, race.durable, running)
                cpu_s = tree_cpu_s(running.pid)
                events = max(events, running.newest("progress"))
    return Round(events=events, wall_s=ended_at - first.at, cpu_s=cpu_s - first.cpu_s, extra=servers)


def _wait_durable(race: Race, durable: Callable[[], int], running: Running) -> tuple[int, float]:
    deadline = time.monotonic() + race.limit_s
    while time.monotonic() < deadline:
        events = durable()
        if events >= race.wanted:
            return events, time.monotonic()
        running.check()
        time.sleep(POLL_S)
    raise RuntimeError(f"only {durable()} of {race.wanted} events within {race.limit_s} s")


def ours(module: str, environment: Mapping[str, str]) -> Program:
    """Return a program of `benchmarks.programs`, run by this interpreter."""
    return Program(argv=(sys.executable, "-m", f"benchmarks.programs.{module}"), environment=environment)
