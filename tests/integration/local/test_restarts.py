"""The watchdog starts a real PostgreSQL again; Kafka and OpenSearch are given, as a user's own would be."""

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import psycopg
import pytest
from rich.console import Console
from typer.testing import CliRunner

from signals.cli import app
from signals.local import stack, watchdog
from signals.local.environment import read_env_file
from signals.local.errors import LocalStackError
from signals.local.folder import StackFolder
from signals.local.processes.ports import free_port
from signals.local.processes.process import Command
from signals.local.processes.server_watch import FAILED, missing
from signals.local.ray_head import ray_process
from signals.ray_node.variables import HOST
from tests.support.waiting import until

DYING_POSTGRES = """#!/bin/sh
if [ "$1" = -D ]; then
  echo start >> {starts}
  [ $(wc -l < {starts}) -gt {deaths} ] || {{ echo "no memory left"; exit 137; }}
fi
exec {real} "$@"
"""


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A user's environment, also of this process, with a Kafka and an OpenSearch of their own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SIGNALS_CACHE_DIR") if name in os.environ}
    with socket.create_server((HOST, 0)) as other:
        own = f"{HOST}:{other.getsockname()[1]}"
        given = {"KAFKA_BROKERS": own, "OPENSEARCH_URL": f"http://{own}"}
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("DATABASE_URL", raising=False)
        yield kept | given


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A stack's folder; nothing runs in it at the end."""
    root = tmp_path / ".signals"
    yield root
    watchdog.stop(root)
    if root.exists():
        stack.reset(root)


def _up(root: Path, environ: dict[str, str], **ports: int) -> str:
    if StackFolder(root=root).load() is None:  # the default port may become another test's meanwhile
        ports = {"postgres": free_port()} | ports
    running = stack.up(root, environ=environ, console=Console(file=io.StringIO()), ports=ports)
    return running.environment["DATABASE_URL"]


def _port(root: Path) -> int:
    state = StackFolder(root=root).load()
    assert state is not None
    return state.ports["postgres"]


def _kill(root: Path) -> Path:
    """Kill PostgreSQL as the system does that is out of memory; return its program."""
    (pid,) = [server.pid for server in stack.status(root) if server.pid]
    program = Path(psutil.Process(pid).exe())
    os.kill(pid, signal.SIGKILL)
    until(lambda: not any(server.pid for server in stack.status(root)))  # reaps it, as init would
    return program


def _status(root: Path) -> str:
    return CliRunner().invoke(app, ["status", "--folder", str(root)]).output


def _answers(root: Path) -> bool:
    with (
        suppress(psycopg.OperationalError),
        psycopg.connect(read_env_file(root / "env")["DATABASE_URL"]) as connection,
    ):
        return connection.execute("SELECT 1").fetchall() == [(1,)]
    return False


@contextmanager
def _dying(program: Path, deaths: int) -> Iterator[tuple[Path, Path]]:
    """Yield a folder of programs in which PostgreSQL dies at its first starts, and the file of its starts."""
    with TemporaryDirectory() as name:
        folder, starts = Path(name), Path(name) / "starts"
        folder.chmod(0o755)  # for the servers' account
        starts.touch()
        starts.chmod(0o666)
        (folder / "initdb").symlink_to(program.parent / "initdb")
        (folder / "postgres").write_text(DYING_POSTGRES.format(starts=starts, deaths=deaths, real=program))
        (folder / "postgres").chmod(0o755)
        yield folder, starts


def test_server_that_dies_in_two_restarts_runs_after_the_third(
    root: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _up(root, environ)
    with _dying(_kill(root), deaths=2) as (folder, starts):
        monkeypatch.setenv("PG_BINDIR", str(folder))
        watchdog.start(root)
        cause = until(lambda: watchdog.last_failure(root), within_s=120)
        assert cause == "postgres died while starting"
        until(lambda: not missing(root), within_s=120)
        assert _answers(root)
        assert len(starts.read_text().splitlines()) == 3
        until(lambda: watchdog.last_failure(root) is None)
        watchdog.stop(root)
        assert stack.down(root) == ("postgres",)
        assert not missing(root)


def test_first_start_that_dies_is_named_and_the_next_succeeds(root: Path, environ: dict[str, str]) -> None:
    _up(root, environ)
    with _dying(_kill(root), deaths=1) as (folder, _):
        stack.down(root)
        with pytest.raises(LocalStackError, match=r"^postgres died while starting.*\nno memory left"):
            _up(root, environ | {"PG_BINDIR": str(folder)})
    assert _status(root).startswith("Died: postgres; start again with `signals up`.")
    StackFolder(root=root).log_path("watchdog").write_text(f"{FAILED}no room\n")
    assert "The last attempt failed: no room" in _status(root)
    _up(root, environ)
    assert not missing(root)


def test_server_returns_to_its_port_once_another_program_has_left_it(
    root: Path, environ: dict[str, str]
) -> None:
    url = _up(root, environ)
    watchdog.start(root)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _kill(root)
        other.bind((HOST, _port(root)))
        other.listen()
        cause = until(lambda: watchdog.last_failure(root), within_s=120)
    holder = f"{psutil.Process().name()} (pid {os.getpid()})"
    assert cause == (
        f"port {_port(root)} for postgres is in use by {holder}: stop what uses it, "
        "or let `signals down` and `signals up` choose another"
    )
    until(lambda: not missing(root), within_s=120)
    assert read_env_file(root / "env")["DATABASE_URL"] == url
    assert _answers(root)


def test_server_keeps_its_port_while_ray_runs(root: Path, environ: dict[str, str]) -> None:
    url, port, other = _up(root, environ), _port(root), free_port()
    node = ray_process(StackFolder(root=root))
    sleeping = (sys.executable, "-c", "import time; time.sleep(600)")
    node.start(Command(argv=sleeping, env=dict(os.environ), cwd=root))
    with pytest.raises(LocalStackError, match=f"^postgres is in use on port {port}: `signals down` first$"):
        _up(root, environ, postgres=other)
    _kill(root)
    with pytest.raises(LocalStackError, match=f"^postgres is in use on port {port}: `signals down` first$"):
        _up(root, environ, postgres=other)
    with (
        socket.create_server((HOST, port)),
        pytest.raises(LocalStackError, match=f"^port {port} for postgres"),
    ):
        _up(root, environ)
    assert _up(root, environ) == url
    _kill(root)
    node.stop()
    with socket.create_server((HOST, port)):
        assert f":{port}/" not in _up(root, environ)


def test_server_that_the_user_gives_after_its_death_is_not_meant_to_run(
    root: Path, environ: dict[str, str]
) -> None:
    _up(root, environ)
    _kill(root)
    own = environ["OPENSEARCH_URL"].replace("http", "postgresql")
    _up(root, environ | {"DATABASE_URL": own})
    assert not missing(root)


def test_late_server_that_the_user_replaces_is_not_waited_for(root: Path, environ: dict[str, str]) -> None:
    _up(root, environ)
    path = root / "run" / "postgres.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"has_started": False}))
    assert missing(root) == {"postgres": "starting"}
    own = environ["OPENSEARCH_URL"].replace("http", "postgresql")
    _up(root, environ | {"DATABASE_URL": own})
    assert not missing(root)


def test_watchdog_goes_on_until_the_stack_stops(root: Path, environ: dict[str, str]) -> None:
    runner, port = CliRunner(), free_port()
    up = ["stack", "up", "--folder", str(root), f"--postgres-port={port}"]
    assert runner.invoke(app, up, env=environ).exit_code == 0
    (first,) = [server.pid for server in stack.status(root) if server.pid]
    _kill(root)
    until(lambda: not missing(root), within_s=120)
    assert _answers(root)
    assert first not in [server.pid for server in stack.status(root)]
    assert runner.invoke(app, ["stack", "down", "--folder", str(root)], env=environ).exit_code == 0
    assert not watchdog.is_running(root)
    assert not missing(root)


def test_watchdog_outlives_a_log_that_takes_no_more(tmp_path: Path) -> None:
    """As on a full disk: each line of its log is refused, and it tries all the same."""
    root = tmp_path / ".signals"
    (root / "run").mkdir(parents=True)
    (root / "run" / "kafka.json").write_text(json.dumps({"pid": os.getpid(), "mark": "of another process"}))
    nobody = f"{HOST}:{free_port()}"  # so that an attempt ends at once
    own = {
        "DATABASE_URL": f"postgresql://{nobody}/x",
        "KAFKA_BROKERS": nobody,
        "OPENSEARCH_URL": f"http://{nobody}",
    }
    reader, writer = os.pipe()
    os.close(reader)
    program = [sys.executable, "-m", "signals.local.processes.server_watch", str(root)]
    watching = subprocess.Popen(program, stderr=writer, env={**os.environ, **own})
    os.close(writer)
    try:
        until(lambda: (root / "lock").exists() or watching.poll() is not None, within_s=90)
        assert watching.poll() is None
    finally:
        shutil.rmtree(root / "run")  # its stack is gone, so it ends
        assert watching.wait(90) == 0
