"""core-api, its keys, and the commands that ask it."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import typer
import uvicorn
from starlette.testclient import TestClient
from typer.testing import CliRunner, Result

from signals.cli import ai, audit, incidents, maintenance, outages, rules, search, tenancy, users
from signals.settings import PostgresSettings
from tests.integration.core.conftest import (
    Keys,
    _logs,
    anonymous,
    keys,
    open_incident,
    open_outage,
    settle,
)
from tests.support.waiting import until

__all__ = ["_logs", "anonymous", "keys", "open_incident", "open_outage", "settle"]

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database: PostgresSettings) -> Run:
    """Runs a command as a user would, away from any local stack's environment file."""
    app = typer.Typer()
    for commands in (tenancy, ai, audit, incidents, maintenance, outages, search, rules, users):
        commands.register(app)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database.database_url.get_secret_value())
    for name in ("CORE_API_URL", "READ_API_KEY", "ADMIN_API_KEY"):
        monkeypatch.setenv(name, "")

    def invoke(*arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(app, list(arguments), input=stdin)

    return invoke


@pytest.fixture
def served(anonymous: TestClient, keys: Keys, run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """core-api on a port of its own, named by the environment."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        server = uvicorn.Server(uvicorn.Config(anonymous.app, log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        until(lambda: server.started)
        monkeypatch.setenv("CORE_API_URL", f"http://127.0.0.1:{listener.getsockname()[1]}/")
        monkeypatch.setenv("READ_API_KEY", keys.read)
        monkeypatch.setenv("ADMIN_API_KEY", keys.admin)
        yield
        server.should_exit = True
        thread.join(timeout=10)
