"""Which code a node runs, and which consumers began before it; a small server answers as Ray's dashboard."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from threading import Thread

import pytest

from signals.clients.postgres import open_pool, transaction
from signals.local import rollout
from signals.local.errors import LocalStackError
from signals.local.folder import StackFolder, StackState
from signals.local.ray_head import RayHead
from signals.local.rollout import DeployedCode
from signals.settings import PostgresSettings
from signals.store.operations.workers import Heartbeat, beat


@contextmanager
def dashboard(ray_version: str) -> Iterator[int]:
    """Answer the question for Ray's version; the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"ray_version": ray_version}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def head_at(root: Path, port: int = 1) -> RayHead:
    """A node whose files lie in a folder of the test's own."""
    state = StackState(data=str(root), password="unused", ports={"ray_dashboard": port})
    head = RayHead(folder=StackFolder(root=root), state=state)
    head.temp.mkdir()
    return head


@pytest.fixture
def head(tmp_path: Path) -> Iterator[RayHead]:
    """A node of the installed Ray."""
    with dashboard(version("ray")) as port:
        head = head_at(tmp_path, port)
        yield head
    for path in head.temp.iterdir():
        path.unlink()
    head.temp.rmdir()


def test_mark_follows_the_content_and_the_names_of_files(tmp_path: Path) -> None:
    code = tmp_path / "signals" / "one.py"
    code.parent.mkdir()
    code.write_text("1")
    first = rollout.code_mark(tmp_path)
    (code.parent / "__pycache__").mkdir()
    (code.parent / "__pycache__" / "one.pyc").write_bytes(b"compiled")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "one.py").write_text("no part of the product")
    assert rollout.code_mark(tmp_path) == first
    code.write_text("2")
    second = rollout.code_mark(tmp_path)
    code.rename(code.with_name("two.py"))
    assert len({first, second, rollout.code_mark(tmp_path)}) == 3


def test_node_is_outdated_until_the_present_code_is_deployed_whole(head: RayHead) -> None:
    assert rollout.is_outdated(head)  # of a release that left no note
    rollout.remember_start(head)
    assert not rollout.is_outdated(head)
    rollout.remember(head, DeployedCode(mark="other", since=datetime.now(UTC).isoformat(), is_complete=True))
    assert rollout.is_outdated(head)
    begun = DeployedCode(mark=rollout.code_mark(), since=datetime.now(UTC).isoformat(), is_complete=False)
    rollout.remember(head, begun)
    assert rollout.is_outdated(head)


def test_another_ray_is_named_and_nothing_is_replaced(head: RayHead) -> None:
    with dashboard("2.0.0") as port:
        head.state.ports["ray_dashboard"] = port
        with pytest.raises(
            LocalStackError, match=r"^Ray 2\.0\.0 runs and .*: `signals down`, then `signals up`$"
        ):
            rollout.is_outdated(head)
    assert rollout.deployed(head) is None


def test_consumers_that_began_before_the_replacement_are_named(
    head: RayHead, database: PostgresSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.database_url.get_secret_value())
    monkeypatch.setenv("PG_SSLMODE", "disable")
    now = datetime.now(UTC)
    early = now - timedelta(minutes=1)
    with open_pool(database, size=1) as pool, transaction(pool) as connection:
        for name, started_at in (("indexer-0", early), ("indexer-1", early), ("notifier-0", now)):
            beat(
                connection,
                Heartbeat(
                    name=name,
                    kind=name.partition("-")[0],
                    state="running",
                    detail="",
                    partitions=[],
                    lag=None,
                    started_at=started_at,
                    last_poll_at=None,
                    last_batch_at=None,
                    handled=0,
                    pid=1,
                    node="here",
                ),
            )
    rollout.remember_start(head)
    assert rollout.former_consumers(head) == []  # nothing was ever replaced
    since = (now - timedelta(seconds=30)).isoformat()
    rollout.remember(head, DeployedCode(mark="new", since=since, is_complete=True))
    assert rollout.former_consumers(head) == ["indexer-0 (former code)"]
