"""Child processes: found again by pid file, stopped for certain, never confused with strangers."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from signals.local.errors import LocalStackError, NotReadyError
from signals.local.processes import ports
from signals.local.processes.process import ChildProcess, Command, run_to_end
from signals.local.processes.process_mark import process_mark
from tests.support.waiting import until

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(60)
"""
PARENT_OF_ONE = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(60)
"""
LISTENING = """
import socket, sys, time
with socket.socket() as server:
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    server.bind(("127.0.0.1", int(sys.argv[1])))
    server.listen()
    print("listening", flush=True)
    time.sleep(60)
"""
HOLDER_OF_A_LISTENER = """
import subprocess, sys
subprocess.run(sys.argv[1:])
"""
TALKATIVE_STEPS = 60
TALKATIVE = f"""
import time
for _ in range({TALKATIVE_STEPS}):
    print("step", flush=True)
    time.sleep(0.1)
time.sleep(60)
"""


def _child(folder: Path, name: str = "thing") -> ChildProcess:
    return ChildProcess(name=name, pid_path=folder / f"{name}.json", log_path=folder / f"{name}.log")


def _python(code: str, folder: Path, *arguments: str) -> Command:
    return Command(argv=(sys.executable, "-c", code, *arguments), env=dict(os.environ), cwd=folder)


def test_child_is_found_and_stopped_by_a_later_run(tmp_path: Path) -> None:
    _child(tmp_path).start(_python("import time; time.sleep(60)", tmp_path))
    found = _child(tmp_path)
    assert found.is_running()
    assert found.stop()
    assert not found.is_running()
    assert not found.stop()


def test_reused_pid_is_never_killed(tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    child = _child(tmp_path)
    child.pid_path.write_text(json.dumps({"pid": stranger.pid, "mark": "another boot:12345"}))
    assert not child.is_running()
    assert not child.stop()
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_process_that_ignores_the_request_is_killed_at_the_deadline(tmp_path: Path) -> None:
    child = _child(tmp_path)
    child.start(_python(STUBBORN, tmp_path))
    child.wait_until_ready(lambda: "up" in child.output(), quiet_s=20)
    assert child.stop(within_s=0.2)
    assert not child.is_running()


def test_descendants_in_other_sessions_do_not_survive_a_stop(tmp_path: Path) -> None:
    child = _child(tmp_path)
    child.start(_python(PARENT_OF_ONE, tmp_path))
    grandchild = int(until(lambda: child.output().strip()))
    child.stop()
    until(lambda: process_mark(grandchild) is None)


def test_suspended_process_can_be_stopped(tmp_path: Path) -> None:
    child = _child(tmp_path)
    child.start(_python("import time; time.sleep(60)", tmp_path))
    child.suspend()
    assert child.stop(within_s=10)


def test_death_while_starting_quotes_the_last_output(tmp_path: Path) -> None:
    child = _child(tmp_path)
    child.start(_python("print('the disk is on fire'); raise SystemExit(3)", tmp_path))
    with pytest.raises(
        LocalStackError, match=r"^thing died while starting; its last output:\nthe disk is on fire$"
    ):
        child.wait_until_ready(lambda: False, quiet_s=20)


def test_late_start_is_reported_and_goes_on(tmp_path: Path) -> None:
    child = _child(tmp_path)
    child.start(_python("import time; time.sleep(60)", tmp_path))
    with pytest.raises(NotReadyError, match=r"^thing is not ready after \d+ s and goes on starting"):
        child.wait_until_ready(lambda: False, quiet_s=0.1)
    assert child.is_running()
    child.stop()


def test_growing_log_prolongs_a_start(tmp_path: Path) -> None:
    child = _child(tmp_path)
    child.start(_python(TALKATIVE, tmp_path))
    child.wait_until_ready(lambda: child.output().count("step") == TALKATIVE_STEPS, quiet_s=5)
    child.stop()


def test_missing_program_is_reported(tmp_path: Path) -> None:
    command = Command(argv=(str(tmp_path / "nothing"),), env={}, cwd=tmp_path)
    with pytest.raises(LocalStackError, match=r"^thing cannot be started: "):
        _child(tmp_path).start(command)


def test_second_start_of_a_running_child_is_refused(tmp_path: Path) -> None:
    child = _child(tmp_path)
    child.start(_python("import time; time.sleep(60)", tmp_path))
    with pytest.raises(LocalStackError, match=r"^thing is already running$"):
        child.start(_python("import time; time.sleep(60)", tmp_path))
    child.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full")
def test_full_disk_in_a_child_is_reported_in_one_sentence(tmp_path: Path) -> None:
    command = Command(argv=("sh", "-c", "cat /proc/self/stat > /dev/full"), env={"LC_ALL": "C"}, cwd=tmp_path)
    with pytest.raises(
        LocalStackError, match=r"^cannot write because the disk is full: make room and start again$"
    ):
        run_to_end(command, duty="write")


def test_no_free_port_is_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "COUNT", 40)
    given = [ports.free_port() for _ in range(10)]
    assert len(set(given)) == 10


def test_port_of_another_address_is_not_shared(tmp_path: Path) -> None:
    child = _child(tmp_path)
    child.start(_python("import time; time.sleep(60)", tmp_path))
    with socket.create_server(("127.0.0.2", 0)) as elsewhere:
        assert not child.shares(elsewhere.getsockname()[1])
    child.stop()


def test_port_is_shared_with_a_program_outside_of_the_process_tree_only(tmp_path: Path) -> None:
    port, child, other = ports.free_port(), _child(tmp_path), _child(tmp_path, "other")
    listener = _python(LISTENING, tmp_path, str(port))
    child.start(_python(HOLDER_OF_A_LISTENER, tmp_path, *listener.argv))
    try:
        until(lambda: child.is_listening_on(port))
        assert not child.shares(port)
        other.start(listener)
        until(lambda: other.is_listening_on(port))
        assert child.shares(port) == (sys.platform == "linux")
    finally:
        other.stop()
        child.stop()


def test_tied_process_tree_dies_with_its_killed_parent(tmp_path: Path) -> None:
    parent = f"""
import sys, time
from pathlib import Path
from signals.local.processes.process import ChildProcess, Command
folder = Path({str(tmp_path)!r})
child = ChildProcess(name="thing", pid_path=folder / "thing.json", log_path=folder / "thing.log")
child.start(Command(argv=(sys.executable, "-c", {PARENT_OF_ONE!r}), env={{}}, cwd=folder), tie_to_parent=True)
child.wait_until_ready(lambda: bool(child.output()), quiet_s=20)
print("up", flush=True)
time.sleep(60)
"""
    repository = Path(__file__).parents[3]
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, cwd=repository) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        child = _child(tmp_path)
        assert child.is_running()
        grandchild = int(child.output())
        process.send_signal(signal.SIGKILL)
    until(lambda: not child.is_running())
    until(lambda: process_mark(grandchild) is None)
