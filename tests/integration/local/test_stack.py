"""The stack's commands on a real PostgreSQL; Kafka and OpenSearch are given, as a user's own would be."""

import io
import os
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
from rich.console import Console
from typer.testing import CliRunner

from signals.cli.stack import app
from signals.local import stack
from signals.local.environment import read_env_file
from signals.local.errors import LocalStackError, NotReadyError
from signals.local.folder import StackFolder, StackState
from signals.local.processes import server_watch
from signals.local.processes.account import ACCOUNT_NAME
from signals.local.processes.footprint import footprint_of
from signals.local.processes.ports import free_port
from signals.local.processes.process import Command
from signals.local.servers.assembly import choose_ports
from signals.local.servers.opensearch import OpenSearch
from signals.local.stack import RunningStack
from signals.ray_node.variables import HOST
from tests.support.waiting import until

OWN = ("KAFKA_BROKERS", "OPENSEARCH_URL")


@pytest.fixture(scope="module")
def environ(servers: RunningStack) -> dict[str, str]:
    """A user's environment with a Kafka and an OpenSearch of their own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SIGNALS_CACHE_DIR") if name in os.environ}
    return kept | {name: servers.environment[name] for name in OWN}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a stack that several tests use in turn."""
    root = tmp_path_factory.mktemp("stack") / ".signals"
    yield root
    stack.reset(root)
    assert not root.exists()


def _up(root: Path, environ: Mapping[str, str], **ports: int) -> RunningStack:
    return stack.up(root, environ=environ, console=Console(file=io.StringIO()), ports=ports)


def _execute(environment: Mapping[str, str], statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def test_only_servers_without_an_address_are_started(root: Path, environ: dict[str, str]) -> None:
    running = _up(root, environ)
    assert running.started == ("postgres",)
    assert {name: running.environment[name] for name in OWN} == {name: environ[name] for name in OWN}
    assert running.environment["PG_SSLMODE"] == "disable"
    assert read_env_file(root / "env") == running.environment
    assert {server.name: server.state for server in stack.status(root)} == {
        "postgres": "running",
        "kafka": "yours",
        "opensearch": "yours",
    }


def test_second_up_starts_no_server(root: Path, environ: dict[str, str]) -> None:
    first = _up(root, environ)
    again = _up(root, environ)
    assert again.started == ()
    assert again.environment == first.environment
    shown = CliRunner().invoke(app, ["up", "--folder", str(root)], env=environ)
    assert "Already running; nothing to do." in shown.output


def test_sourced_environment_file_keeps_our_servers_ours(root: Path, environ: dict[str, str]) -> None:
    sourced = environ | {"DATABASE_URL": _up(root, environ).environment["DATABASE_URL"]}
    stack.down(root)
    assert _up(root, sourced).started == ("postgres",)


def test_restart_keeps_data_port_and_password(root: Path, environ: dict[str, str]) -> None:
    before = _up(root, environ).environment
    _execute(before, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert stack.down(root) == ("postgres",)
    assert stack.down(root) == ()
    after = _up(root, environ).environment
    assert after == before
    assert _execute(after, "SELECT answer FROM kept") == [(42,)]


def test_crashed_server_is_started_again(root: Path, environ: dict[str, str]) -> None:
    running = _up(root, environ)
    running.servers["postgres"].kill()
    assert _up(root, environ).started == ("postgres",)
    assert _execute(running.environment, "SELECT 1") == [(1,)]


def test_server_does_not_run_as_root(root: Path, environ: dict[str, str]) -> None:
    pid = _up(root, environ).servers["postgres"].process.pid
    user = psutil.Process(pid).username()
    assert user == (ACCOUNT_NAME if os.geteuid() == 0 else psutil.Process().username())


def test_footprint_covers_the_backends(root: Path, environ: dict[str, str]) -> None:
    pid = _up(root, environ).servers["postgres"].process.pid
    assert pid is not None
    cost = footprint_of(pid)
    assert cost.processes > 1
    assert 2**20 < cost.pss_bytes < 300 * 2**20
    assert cost.cpu_s > 0


def test_concurrent_command_is_refused(root: Path, environ: dict[str, str]) -> None:
    with (
        StackFolder(root=root.resolve()).locked(),
        pytest.raises(LocalStackError, match=r"^another command is at work on "),
    ):
        _up(root, environ)


def test_moved_folder_keeps_its_data(tmp_path: Path, environ: dict[str, str]) -> None:
    with TemporaryDirectory() as public:
        Path(public).chmod(0o755)
        before, after = Path(public) / "before", Path(public) / "after"
        _execute(_up(before, environ).environment, "CREATE TABLE kept AS SELECT 42 AS answer")
        stack.down(before)
        before.rename(after)
        assert _execute(_up(after, environ).environment, "SELECT answer FROM kept") == [(42,)]
        stack.reset(after)
        assert not before.exists()


def test_busy_requested_port_is_an_error(tmp_path: Path, environ: dict[str, str]) -> None:
    with socket.create_server((HOST, 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(LocalStackError, match=f"^port {port} for postgres is in use"):
            _up(tmp_path / ".signals", environ, postgres=port)
    stack.reset(tmp_path / ".signals")


def test_broker_of_another_stack_on_the_port_is_not_taken_for_ours(
    tmp_path: Path, servers: RunningStack
) -> None:
    port = int(servers.environment["KAFKA_BROKERS"].rsplit(":", 1)[1])
    with (
        pytest.raises(LocalStackError, match=f"another program took port {port} while kafka started"),
        stack.ephemeral(tmp_path / ".signals", servers=("kafka",), ports={"kafka": port}),
    ):
        pass


def test_busy_remembered_port_is_replaced_and_reported(tmp_path: Path, environ: dict[str, str]) -> None:
    root = tmp_path / ".signals"
    port = urlsplit(_up(root, environ).environment["DATABASE_URL"]).port
    assert port is not None
    stack.down(root)
    with socket.create_server((HOST, port)):
        moved = _up(root, environ)
    assert f":{port}/" not in moved.environment["DATABASE_URL"]
    assert moved.notes[0].startswith(f"port {port} is in use, so postgres listens on ")
    stack.reset(root)


def test_port_that_is_taken_during_the_start_is_replaced(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, port, calls = tmp_path / ".signals", free_port(), list[StackState]()

    def choose_late(state: StackState, *rest: Any, **options: Any) -> list[str]:
        calls.append(state)
        if len(calls) > 1:
            return choose_ports(state, *rest, **options)
        state.ports["postgres"] = port  # was free a moment ago
        return []

    monkeypatch.setattr(stack, "choose_ports", choose_late)
    with socket.create_server((HOST, port)):
        moved = _up(root, environ)
    assert f":{port}/" not in moved.environment["DATABASE_URL"]
    assert moved.notes[0].startswith(f"port {port} is in use, so postgres listens on ")
    stack.reset(root)


def test_failed_start_keeps_what_runs_and_a_second_one_goes_on(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    root = tmp_path / ".signals"
    offline = environ | {"KAFKA_BROKERS": "", "SIGNALS_MAVEN_MIRROR": f"http://{HOST}:{free_port()}"}
    with TemporaryDirectory() as cache:
        Path(cache).chmod(0o755)
        pid = _up(root, environ).servers["postgres"].process.pid
        with pytest.raises(LocalStackError, match="check the network"):
            _up(root, offline | {"SIGNALS_CACHE_DIR": cache})
    again = _up(root, environ)
    assert (again.started, again.servers["postgres"].process.pid) == ((), pid)
    stack.reset(root)


def test_search_server_that_does_not_start_keeps_no_other_part_down(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / ".signals"
    dies = Command(argv=("sh", "-c", "echo no shard; exit 1"), env=dict(os.environ), cwd=tmp_path)
    monkeypatch.setattr(OpenSearch, "command", lambda _: dies)
    offered = environ | {"OPENSEARCH_URL": ""}
    with pytest.raises(NotReadyError, match=r"(?s)^everything else goes on.*opensearch died while.*no shard"):
        _up(root, offered)
    known = read_env_file(root / "env")
    assert _execute(known, "SELECT 1") == [(1,)]
    assert known["OPENSEARCH_URL"]
    assert server_watch.missing(root) == {"opensearch": "died"}
    stack.reset(root)


def test_interrupted_start_leaves_what_had_died_to_the_watchdog(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / ".signals"
    pid = _up(root, environ).servers["postgres"].process.pid
    assert pid is not None
    psutil.Process(pid).kill()
    until(lambda: server_watch.missing(root) == {"postgres": "died"})
    waited: list[object] = []

    def interrupted(tasks: Any, **how: Any) -> Any:
        waited.append(tasks)
        if len(waited) == 1:
            raise KeyboardInterrupt
        return wait(tasks, **how)

    monkeypatch.setattr(stack, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _up(root, environ)
    assert server_watch.missing(root) == {"postgres": "died"}
    assert _up(root, environ).started == ("postgres",)
    stack.reset(root)


def test_reset_requires_confirmation(root: Path, environ: dict[str, str]) -> None:
    _up(root, environ)
    runner = CliRunner()
    assert runner.invoke(app, ["reset", "--folder", str(root)], input="n\n").exit_code != 0
    assert root.exists()
    assert runner.invoke(app, ["reset", "--folder", str(root), "--yes"]).exit_code == 0
    assert not root.exists()


def test_reset_of_a_mistyped_folder_deletes_nothing(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis").write_text("years of work")
    with pytest.raises(LocalStackError, match="holds no local stack: nothing was deleted"):
        stack.reset(tmp_path)
    assert (tmp_path / "data" / "thesis").exists()


def test_logs_and_status_are_shown(root: Path, environ: dict[str, str]) -> None:
    _up(root, environ)
    runner = CliRunner()
    assert (
        "database system is ready" in runner.invoke(app, ["logs", "postgres", "--folder", str(root)]).output
    )
    shown = runner.invoke(app, ["status", "--folder", str(root)]).output
    assert "postgres" in shown
    assert "***" in shown
    unknown = runner.invoke(app, ["logs", "nope", "--folder", str(root)])
    assert isinstance(unknown.exception, LocalStackError)
