"""Which code a node runs, and what began before it; a small server answers as Ray's dashboard."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from signals.clients.postgres import open_pool, transaction
from signals.local import rollout
from signals.local.errors import DiedError, LocalStackError
from signals.local.folder import StackFolder, StackState
from signals.local.ray_dashboard import APPLICATIONS
from signals.local.ray_head import RayHead
from signals.local.rollout import DeployedCode
from signals.ray_node.variables import CODE_MARK
from signals.settings import PostgresSettings
from signals.store.operations.workers import Heartbeat, beat


@dataclass(slots=True)
class Answers:
    """The answers of a dashboard, and the marks of code that it was given for all applications."""

    ray_version: str
    applications: Mapping[str, Any] = field(
        default_factory=lambda: {name: running(name) for name in ("ingest", "core", "consumers")}
    )
    marks: list[str] = field(default_factory=list)
    partial: list[dict[str, str]] = field(default_factory=list)
    """The marks by application where they differ."""
    silent: int = 0
    """How many configurations get no answer, as from a dashboard that is late or dies."""


@contextmanager
def dashboard(answers: Answers) -> Iterator[int]:
    """Answer as Ray's dashboard; the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == APPLICATIONS:
                self.answer({"applications": answers.applications})
            else:
                self.answer({"ray_version": answers.ray_version})

        def do_PUT(self) -> None:
            if answers.silent:
                answers.silent -= 1
                return
            config = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            given = {one["name"]: one["runtime_env"]["env_vars"][CODE_MARK] for one in config["applications"]}
            if len(set(given.values())) == 1:
                answers.marks.append(given["core"])
            else:
                answers.partial.append(given)
            self.answer({})

        def answer(self, found: Mapping[str, Any]) -> None:
            body = json.dumps(found).encode()
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


def running(name: str) -> dict[str, Any]:
    """An application of former code as Serve tells it."""
    former = {"name": name, "runtime_env": {"env_vars": {CODE_MARK: "former"}}}
    return {"status": "RUNNING", "deployed_app_config": former}


def head_at(root: Path, port: int = 1) -> RayHead:
    """A node whose files lie in a folder of the test's own."""
    state = StackState(data=str(root), password="unused", ports={"ray_dashboard": port, "http": 1})
    head = RayHead(folder=StackFolder(root=root), state=state)
    head.temp.mkdir()
    return head


@pytest.fixture
def answers() -> Answers:
    """The answers of a node of the installed Ray, which runs the applications."""
    return Answers(version("ray"))


@pytest.fixture
def head(tmp_path: Path, answers: Answers) -> Iterator[RayHead]:
    """That node."""
    with dashboard(answers) as port:
        head = head_at(tmp_path, port)
        yield head
    shutil.rmtree(head.temp)


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


def test_configuration_without_an_answer_is_sent_again(head: RayHead, answers: Answers) -> None:
    answers.silent = 2
    replace(head.dashboard, is_node_running=lambda: True).deploy(
        {"applications": [{"name": "core", "runtime_env": {"env_vars": {CODE_MARK: "sent"}}}]}
    )
    assert answers.marks == ["sent"]


def test_configuration_for_a_dead_node_is_given_up_at_once(head: RayHead, answers: Answers) -> None:
    answers.silent = 1
    with pytest.raises(DiedError, match=r"^Ray has died: see `signals stack logs ray`$"):
        head.deploy()
    assert answers.silent == 0


def test_another_ray_is_named_and_nothing_is_replaced(head: RayHead, answers: Answers) -> None:
    answers.ray_version = "2.0.0"
    with pytest.raises(
        LocalStackError, match=r"^Ray 2\.0\.0 runs and .*: `signals down`, then `signals up`$"
    ):
        rollout.is_outdated(head)
    assert rollout.deployed(head) is None


def test_core_api_has_the_new_code_before_the_others(head: RayHead, answers: Answers) -> None:
    rollout.replace_code(head)
    (first,), (last,) = answers.partial, answers.marks
    assert first == {"core": last, "ingest": "former", "consumers": "former"}


def test_core_api_that_fails_leaves_the_others_as_they_were(head: RayHead, answers: Answers) -> None:
    failed = {"status": "DEPLOY_FAILED", "message": "RuntimeError: this release is broken"}
    answers.applications = {"ingest": running("ingest"), "core": running("core") | failed}
    with pytest.raises(LocalStackError, match=r"^the new code of core does not start"):
        rollout.replace_code(head)
    assert not answers.marks


def test_return_to_running_code_after_a_failure_is_a_replacement_too(head: RayHead, answers: Answers) -> None:
    rollout.replace_code(head)
    known = rollout.deployed(head)
    assert known is not None
    rollout.remember(head, DeployedCode(mark=known.mark, since=known.since, is_complete=False))
    rollout.replace_code(head)  # a second `up` after a late part: Serve is to go on
    assert answers.marks[0] == answers.marks[1]
    rollout.remember(
        head, DeployedCode(mark="failed", since=datetime.now(UTC).isoformat(), is_complete=False)
    )
    rollout.replace_code(head)
    # With the mark of before Serve would leave its replicas, and `up` would wait for new consumers for good.
    assert answers.marks[2] != answers.marks[1]


def test_failed_application_is_named_with_its_cause_and_the_way_back(head: RayHead, answers: Answers) -> None:
    message = "Deploying failed:\nTraceback ...\nRuntimeError: this release is broken\n"
    failed = {"status": "DEPLOY_FAILED", "message": message}
    answers.applications = {"ingest": running("ingest") | failed, "core": running("core")}
    with pytest.raises(
        LocalStackError,
        match=r"^the new code of ingest does not start \(RuntimeError: this release is broken\), the former "
        r"goes on: put corrected or former code in place, then `signals up`; ",
    ):
        rollout.replace_code(head)
    assert rollout.is_outdated(head)  # so a corrected release is deployed
    with pytest.raises(LocalStackError):
        rollout.replace_code(head)
    # Its cause may have passed, but Serve does nothing for a configuration that it has.
    assert answers.marks[0] != answers.marks[1]


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
    rollout.remember_replaced(head)  # from now on a clock that is set changes nothing
    assert rollout.former_consumers(head) == []
    assert rollout.deployed(head) == DeployedCode(mark="new", since=None, is_complete=True)
