"""One child process that outlives us: started detached, found again by its pid file, stopped by pid.

Knows nothing about what it runs.
"""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from signals.local.errors import DiedError, LocalStackError, NotReadyError
from signals.local.files import replace_file
from signals.local.processes.account import ServerAccount
from signals.local.processes.pid_file import PidFile, read_pid_file
from signals.local.processes.process_mark import process_mark
from signals.local.processes.process_tree import (
    descendants,
    is_tree_listening_on,
    kill_survivors,
    pids_listening_on,
)

POLL_S = 0.05
"""Between two checks of a condition; small against any server's start."""
STOP_WITHIN_S = 20.0
"""Until SIGKILL; a loaded Kafka needs about 3 s for a clean stop (measured)."""
LONGEST_START_S = 600.0
"""Even while the log grows (guess): a person wants to know by then."""
LOG_TAIL_LINES = 12
OUTPUT_FOLLOWS = "; its last output:"
STACK_FRAME = "\tat "
"""Java's; the cause stands above them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program to run and its account; the environment is complete, nothing is inherited."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    account: ServerAccount | None = None


def run_to_end(command: Command, *, duty: str, stdin: str = "") -> None:
    """Run a short command and wait for it.

    Raises:
        LocalStackError: it failed; quotes the end of what it said.
    """
    user = command.account
    done = subprocess.run(
        command.argv,
        input=stdin,
        env=dict(command.env),
        cwd=command.cwd,
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise _failure(f"cannot {duty}", done.stdout + done.stderr)


@dataclass(slots=True, kw_only=True)
class ChildProcess:
    """A process under our care, in this run of the program or in an earlier one."""

    name: str
    pid_path: Path
    log_path: Path
    stop_signal: signal.Signals = signal.SIGTERM
    _watch: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def pid(self) -> int | None:
        """The pid while the process that we started lives, else None."""
        known = read_pid_file(self.pid_path)
        if known is None:
            return None
        _reap(known.pid)
        return known.pid if known.lives() else None

    def is_running(self) -> bool:
        """Whether the process that we started lives."""
        return self.pid is not None

    def is_listening_on(self, port: int) -> bool:
        """Whether the process or a descendant accepts TCP connections on the port."""
        pid = self.pid
        return pid is not None and is_tree_listening_on(pid, port)

    def shares(self, port: int) -> bool:
        """Whether a program of another process tree accepts TCP connections on the port, too.

        Linux allows that to two of one account (SO_REUSEPORT); elsewhere the second one fails.
        """
        if sys.platform != "linux":
            return False
        return any(psutil.pid_exists(pid) for pid in pids_listening_on(port) - self._tree())

    def start(self, command: Command, *, tie_to_parent: bool = False) -> None:
        """Start it in a session of its own, output to the log file; with `tie_to_parent` it dies with us.

        Raises:
            LocalStackError: it is running already, or the program cannot be started at all.
        """
        if self.is_running():
            raise LocalStackError(f"{self.name} is already running")
        for path in (self.log_path, self.pid_path):
            path.parent.mkdir(parents=True, exist_ok=True)
        if self.log_path.exists():
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        user = command.account
        try:
            with self.log_path.open("wb") as log:
                child = subprocess.Popen(
                    command.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=command.cwd,
                    env=dict(command.env),
                    start_new_session=True,
                    user=user.uid if user else None,
                    group=user.gid if user else None,
                    extra_groups=[] if user else None,
                )
        except OSError as error:
            raise LocalStackError(f"{self.name} cannot be started: {error}") from error
        mark = process_mark(child.pid) or "died at once"
        try:
            replace_file(self.pid_path, PidFile(child.pid, mark, has_started=False).text())
        except OSError:  # a full disk: no later command would find the process
            child.kill()
            child.wait()
            raise
        child.returncode = 0  # it outlives this object on purpose; _reap collects it, not Popen
        if tie_to_parent:
            self._watch = subprocess.Popen(
                [sys.executable, "-m", "signals.local.processes.parent_watch", str(child.pid), mark],
                stdin=subprocess.PIPE,
                cwd=Path(__file__).parents[3],  # so that the module is found without an installation
                start_new_session=True,
            )

    def wait_until_ready(self, is_ready: Callable[[], bool], quiet_s: float) -> None:
        """Return once `is_ready` says so. A log that grows shows progress, so the wait goes on.

        Raises:
            DiedError: quotes the end of its log. The pid file stays, because it is still meant to run.
            NotReadyError: its log stood still for `quiet_s`, or `LONGEST_START_S` are over; it runs on.
        """
        began = progressed = time.monotonic()
        written = self._written()
        while not is_ready():
            if not self.is_running():
                self._end_watch()
                raise _failure(f"{self.name} died while starting", self.output(), DiedError)
            now = time.monotonic()
            if written != (written := self._written()):
                progressed = now
            if now > min(progressed + quiet_s, began + LONGEST_START_S):
                raise _failure(
                    f"{self.name} is not ready after {now - began:.0f} s and goes on starting",
                    self.output(),
                    NotReadyError,
                )
            time.sleep(POLL_S)

    def mark_started(self) -> None:
        """Write down that its start is complete: nothing is left to do for it."""
        known = read_pid_file(self.pid_path)
        if known is not None and not known.has_started:
            replace_file(self.pid_path, known._replace(has_started=True).text())

    def _written(self) -> int:
        return self.log_path.stat().st_size if self.log_path.exists() else 0

    def stop(self, within_s: float = STOP_WITHIN_S, *, for_good: bool = True) -> bool:
        """Ask it to stop, kill it and its descendants after the deadline; False when it did not run.

        Unless `for_good`, its pid file stays, because it is still meant to run.
        """
        pid = self.pid
        if pid is not None:
            family = descendants(pid)
            _send(pid, self.stop_signal)
            _send(pid, signal.SIGCONT)  # a suspended process would never see the request
            if not self._is_gone(within_s):
                _send(pid, signal.SIGKILL)
                self._is_gone(within_s)
            kill_survivors(family)
        if for_good:
            self._forget()
        return pid is not None

    def kill_without(self, others: Iterable["ChildProcess"]) -> None:
        """Kill it and its descendants, except for `others` that it has started, and theirs."""
        pid = self.pid
        if pid is not None:
            _send_group(pid, signal.SIGSTOP)  # from now on it starts nothing and writes no pid file
            family = descendants(pid)
            spared = {one for other in others for one in other._tree()}  # later, so with what they start now
            _send_group(pid, signal.SIGKILL)
            self._is_gone(STOP_WITHIN_S)
            kill_survivors([one for one in family if one.pid not in spared])
        self._forget()

    def kill(self) -> None:
        """SIGKILL, as a crash would, and wait until its descendants are gone as well."""
        pid = self._running_pid()
        family = descendants(pid)
        _send(pid, signal.SIGKILL)
        self._is_gone(STOP_WITHIN_S)
        kill_survivors(family)  # they would hold the ports and shared memory that a new start needs
        self._forget()

    def suspend(self) -> None:
        """SIGSTOP: the ports stay open, nothing answers."""
        _send(self._running_pid(), signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        _send(self._running_pid(), signal.SIGCONT)

    def output(self) -> str:
        """The process's output since its last start."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def _tree(self) -> set[int]:
        pid = self.pid
        return {pid, *(one.pid for one in descendants(pid))} if pid else set()

    def _running_pid(self) -> int:
        pid = self.pid
        if pid is None:
            raise LocalStackError(f"{self.name} is not running")
        return pid

    def _is_gone(self, within_s: float) -> bool:
        deadline = time.monotonic() + within_s
        while self.is_running():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True

    def _forget(self) -> None:
        self.pid_path.unlink(missing_ok=True)
        self._end_watch()

    def _end_watch(self) -> None:
        if self._watch is not None:
            self._watch.communicate()  # closes the pipe, which ends it
            self._watch = None


def _failure(problem: str, output: str, error: type[LocalStackError] = LocalStackError) -> LocalStackError:
    if os.strerror(errno.ENOSPC) in output:
        return error(f"{problem} because the disk is full: make room and start again")
    lines = [line for line in output.splitlines() if line.strip() and not line.startswith(STACK_FRAME)]
    tail = "\n".join(lines[-LOG_TAIL_LINES:]) or "(nothing)"
    return error(f"{problem}{OUTPUT_FOLLOWS}\n{tail}")


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return  # started by another process: init reaps it


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile, which is as good
        os.kill(pid, number)


def _send_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)  # it leads the group of its session
