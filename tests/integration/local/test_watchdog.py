"""The watchdog says which parts are missing, makes room for a command, and comes back after it."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from signals.local import bring_up, stack, watchdog
from signals.local.environment import write_env_file
from signals.local.errors import LocalStackError, NotReadyError
from signals.local.folder import StackFolder, StackState
from signals.local.processes import server_watch
from signals.local.processes.process import ChildProcess, Command
from signals.local.processes.process_mark import process_mark
from signals.local.processes.server_watch import missing, next_pause_s
from tests.support.waiting import until

SLEEP = "import time; time.sleep(600)"
PART = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {SLEEP!r}], start_new_session=True)
print(child.pid, flush=True)
child.wait()
"""
ATTEMPT = f"""
import os, subprocess, sys, time
from pathlib import Path
from signals.local.folder import StackFolder
from signals.local.processes.process import ChildProcess, Command
folder = StackFolder(root=Path(sys.argv[1]))
part = ChildProcess(name="kafka", pid_path=folder.pid_path("kafka"), log_path=folder.log_path("kafka"))
part.start(Command(argv=(sys.executable, "-c", {PART!r}), env=dict(os.environ), cwd=folder.root))
stray = subprocess.Popen([sys.executable, "-c", {SLEEP!r}], start_new_session=True)
print(os.getpid(), stray.pid, flush=True)
time.sleep(600)
"""
"""Starts a part and its child, and then a process that has no pid file yet."""
WATCHING = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {ATTEMPT!r}, sys.argv[1]])"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """The folder of a stack in which something runs."""
    folder = StackFolder(root=tmp_path)
    part = ChildProcess(name="part", pid_path=folder.pid_path("part"), log_path=folder.log_path("part"))
    argv = (sys.executable, "-c", "import time; time.sleep(600)")
    part.start(Command(argv=argv, env=dict(os.environ), cwd=tmp_path))
    part.mark_started()
    yield tmp_path
    watchdog.stop(tmp_path)
    part.stop()


def fail(root: Path, error: LocalStackError | type[LocalStackError]) -> None:
    """Let a command fail while the watchdog is away."""
    with watchdog.paused(root):
        assert not watchdog.is_running(root)
        raise error


def end(root: Path, number: signal.Signals, *, ending: bool = False) -> None:
    """Let a command get a signal while the watchdog is away."""
    with watchdog.paused(root, ending=ending):
        os.kill(os.getpid(), number)
        until(lambda: False)


def test_command_that_fails_leaves_the_watchdog_as_it_was(root: Path) -> None:
    with pytest.raises(LocalStackError):
        fail(root, LocalStackError)
    assert not watchdog.is_running(root)  # a start that failed: nothing is to be started again
    watchdog.start(root)
    with pytest.raises(LocalStackError):
        fail(root, LocalStackError)
    assert watchdog.is_running(root)  # an upgrade that failed: the former code goes on


@pytest.fixture(params=[signal.SIGTERM, signal.SIGHUP])
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal that ends a process; under nohup this process ignores one of them."""
    number: signal.Signals = request.param
    before = signal.signal(number, signal.SIG_DFL)
    yield number
    signal.signal(number, before)


def test_command_that_is_ended_leaves_the_watchdog_running(root: Path, number: signal.Signals) -> None:
    """As when the terminal is closed during `signals up`."""
    watchdog.start(root)
    with pytest.raises(KeyboardInterrupt):
        end(root, number)
    assert watchdog.is_running(root)
    assert signal.getsignal(number) == signal.SIG_DFL


def test_interrupted_down_starts_nothing_again(root: Path, number: signal.Signals) -> None:
    watchdog.start(root)
    with pytest.raises(KeyboardInterrupt):
        end(root, number, ending=True)
    assert watchdog.is_off(root)


def test_failure_is_told_also_where_the_watchdog_cannot_be_started(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk."""
    watchdog.start(root)

    def fail_to_start(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(ChildProcess, "start", fail_to_start)
    with pytest.raises(
        LocalStackError, match=r"^no room; then run `signals up`: the watchdog is off \(.*No space"
    ):
        fail(root, LocalStackError("no room"))


def test_watchdog_has_the_variables_of_the_running_product(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where another shell has started it: it must start no servers of its own beside the user's."""
    folder = StackFolder(root=root)
    write_env_file(folder.env_path, {"KAFKA_BROKERS": "kafka.example:9092", "PG_CA_CERT": ""})
    monkeypatch.delenv("KAFKA_BROKERS", raising=False)
    monkeypatch.setenv("PG_CA_CERT", "of the shell")
    watchdog.start(root, resuming=True)
    pid = _child(root, "watchdog").pid
    until(lambda: "server_watch" in " ".join(psutil.Process(pid).cmdline()))
    environment = psutil.Process(pid).environ()
    assert (environment["KAFKA_BROKERS"], environment["PG_CA_CERT"]) == ("kafka.example:9092", "of the shell")


def test_watchdog_is_off_while_parts_run_without_it(root: Path) -> None:
    assert watchdog.is_off(root)
    watchdog.start(root)
    assert not watchdog.is_off(root)
    assert not watchdog.is_off(root / "elsewhere")


def test_watchdog_goes_on_when_no_process_can_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As when memory or processes have run out."""
    folder = StackFolder(root=tmp_path)
    part, log = folder.pid_path("kafka"), folder.log_path("watchdog")
    for path in (part, log):
        path.parent.mkdir(parents=True, exist_ok=True)
    part.write_text("{}")
    attempts: list[list[str]] = []

    def run(command: list[str], *, check: bool) -> "subprocess.CompletedProcess[str]":
        attempts.append(command)
        if len(attempts) < 3:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        part.unlink()
        part.parent.rmdir()  # its stack is gone, so it ends
        return subprocess.CompletedProcess(command, int(check))

    monkeypatch.setattr("signals.local.processes.server_watch.subprocess.run", run)
    for name in ("LOOK_EVERY_S", "FIRST_PAUSE_S", "LONGEST_PAUSE_S"):
        monkeypatch.setattr(server_watch, name, 0.0)
    monkeypatch.setattr(sys, "argv", ["server_watch", str(tmp_path)])
    server_watch.main()
    assert len(attempts) == 3
    told = capfd.readouterr().err
    log.write_text(told.rpartition(": trying again")[0])
    assert watchdog.last_failure(tmp_path) == f"[Errno {errno.EAGAIN}] {os.strerror(errno.EAGAIN)}"


def test_late_parts_are_watched_with_the_variables_of_their_start(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_env_file(StackFolder(root=root).env_path, {"KAFKA_BROKERS": "of the start before"})
    monkeypatch.setenv("KAFKA_BROKERS", "of this start")
    with pytest.raises(NotReadyError):
        fail(root, NotReadyError)
    pid = _child(root, "watchdog").pid
    until(lambda: "server_watch" in " ".join(psutil.Process(pid).cmdline()))
    assert psutil.Process(pid).environ()["KAFKA_BROKERS"] == "of this start"


def _child(root: Path, name: str) -> ChildProcess:
    folder = StackFolder(root=root)
    return ChildProcess(name=name, pid_path=folder.pid_path(name), log_path=folder.log_path(name))


def _start(process: ChildProcess, root: Path, code: str) -> None:
    argv = (sys.executable, "-c", code, str(root))
    process.start(Command(argv=argv, env=dict(os.environ), cwd=root))


def test_parts_of_an_attempt_under_way_outlive_the_watchdog(tmp_path: Path) -> None:
    """As when the user types `signals up` while the watchdog starts Ray."""
    watching, part = _child(tmp_path, "watchdog"), _child(tmp_path, "kafka")
    _start(watching, tmp_path, WATCHING)
    until(lambda: watching.output().endswith("\n"))  # unbuffered, a line is written in pieces
    attempt, stray = map(int, watching.output().split())
    until(lambda: part.output().endswith("\n"))
    grandchild = int(part.output())
    first = part.pid
    watchdog.stop(tmp_path)
    assert not watchdog.is_running(tmp_path)
    assert process_mark(attempt) is None
    assert process_mark(stray) is None
    assert part.pid == first
    assert process_mark(grandchild) is not None
    part.stop()
    assert process_mark(grandchild) is None


def test_part_is_missing_until_its_start_is_complete_and_after_its_death(tmp_path: Path) -> None:
    part = _child(tmp_path, "part")
    assert missing(tmp_path) == {}
    _start(part, tmp_path, SLEEP)
    assert missing(tmp_path) == {"part": "starting"}
    part.mark_started()
    assert missing(tmp_path) == {}
    pid = part.pid
    assert pid is not None
    psutil.Process(pid).kill()
    until(lambda: missing(tmp_path) == {"part": "died"})
    part.stop()
    assert missing(tmp_path) == {}


@pytest.mark.parametrize("text", ["", "\0" * 40, "[]", "{}", '{"pid": 1}', '{"pid": null, "mark": "x"}'])
def test_unreadable_pid_file_is_a_death(tmp_path: Path, text: str) -> None:
    """As a loss of power leaves it."""
    part = _child(tmp_path, "part")
    part.pid_path.parent.mkdir()
    part.pid_path.write_text(text)
    assert missing(tmp_path) == {"part": "died"}
    assert not part.is_running()
    assert not part.stop()
    assert missing(tmp_path) == {}


def test_watchdog_is_no_part_that_it_starts(tmp_path: Path) -> None:
    _start(_child(tmp_path, "watchdog"), tmp_path, SLEEP)
    assert missing(tmp_path) == {}
    watchdog.stop(tmp_path)


def test_pause_doubles_up_to_a_minute_and_begins_anew_after_a_calm() -> None:
    pauses = [next_pause_s(0.0, float("inf"))]
    while len(pauses) < 8:
        pauses.append(next_pause_s(pauses[-1], calm_s=10))
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert next_pause_s(60, calm_s=301) == 1


@pytest.mark.parametrize("has_started", [False, True])
def test_attempt_completes_a_node_without_applications(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_started: bool
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(bring_up, "up", lambda *_, **__: calls.append("product"))
    monkeypatch.setattr(stack, "up", lambda *_, **__: calls.append("servers"))
    node = _child(tmp_path, "ray")
    _start(node, tmp_path, SLEEP)
    if has_started:
        node.mark_started()
    watchdog.restart(tmp_path)
    node.stop()
    assert calls == ["servers" if has_started else "product"]


def test_full_disk_is_named_with_its_remedy(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    StackFolder(root=root).save(StackState(data=str(root), password="unused"))
    assert watchdog.full(root) is None
    monkeypatch.setattr(stack, "FRESH_DATA_BYTES", 2**60)
    told = watchdog.full(root)
    assert told is not None
    assert told.endswith("make room, then start what has stopped with `signals up`.")
    watchdog.start(root)
    told = watchdog.full(root)
    assert told is not None
    assert told.endswith(
        "make room. The watchdog then starts what stopped within a minute; `signals up` does it at once."
    )
