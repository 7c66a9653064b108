"""A crash is logged by type and frames, without the data that caused it."""

import json
from collections.abc import Callable, Iterator
from uuid import UUID

import httpx2
import psycopg
import pytest
import structlog
from psycopg_pool import ConnectionPool
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route, Router

from serve_apps.http.application import Application, PathAnswers
from shared_types.envelope import Envelope
from signals.clients.postgres import Connection, open_pool
from signals.errors import DependencyUnavailable
from signals.local.processes.ports import free_port
from signals.logs import configure_logs, without_data
from signals.ray_node.variables import HOST
from signals.settings import PostgresSettings
from tests.support.waiting import pause, until
from tests.system.security.conftest import served

MARK = "marker-of-an-event"
ANOTHER_ATTEMPT_S = 3.0  # the pool tries again after a second


@pytest.fixture(autouse=True)
def _configured() -> None:
    configure_logs()


def logged_crash(crash: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> str:
    try:
        crash()
    except Exception:  # noqa: BLE001  # what a consumer's loop does, too
        structlog.get_logger().exception("it crashed")
    entry = json.loads(capsys.readouterr().out)
    assert isinstance(entry["exception"], str)
    return entry["exception"]


def wrapped() -> None:
    try:
        json.loads(json.dumps({}))[MARK]
    except KeyError as error:
        raise RuntimeError(MARK) from error


@pytest.mark.parametrize(
    ("crash", "kind"),
    [
        (lambda: int(MARK), "builtins.ValueError"),
        (lambda: UUID(MARK), "builtins.ValueError"),
        (lambda: Envelope.model_validate({"message": MARK}), "pydantic_core._pydantic_core.ValidationError"),
        (wrapped, "builtins.KeyError\n\nwhich led to:"),
        (wrapped, "builtins.RuntimeError"),
    ],
)
def test_text_of_a_crash_is_not_logged(
    crash: Callable[[], object], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logged = logged_crash(crash, capsys)
    assert MARK not in logged
    assert kind in logged
    assert "in logged_crash" in logged  # the frames are there


def test_row_quoted_by_postgresql_is_not_logged(
    pool: ConnectionPool[Connection], capsys: pytest.CaptureFixture[str]
) -> None:
    def collide() -> None:
        with pool.connection() as connection:
            for _ in range(2):
                connection.execute("INSERT INTO orgs (id, name) VALUES (%s, 'x')", [MARK])

    with pytest.raises(psycopg.errors.UniqueViolation, match=MARK):
        collide()  # the exception itself does quote it
    logged = logged_crash(collide, capsys)
    assert MARK not in logged
    assert "psycopg.errors.UniqueViolation (SQLSTATE 23505)" in logged


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (DependencyUnavailable("Kafka", "it is away\nmore"), "Kafka is unavailable: it is away"),
        (ConnectionRefusedError(111, "Connection refused"), "[Errno 111] Connection refused"),
    ],
)
def test_own_and_operating_system_messages_are_kept(error: Exception, text: str) -> None:
    assert without_data((type(error), error, None)).endswith(text)


def test_circular_causes_end() -> None:
    first, second = RuntimeError("a"), RuntimeError("b")
    first.__cause__, second.__cause__ = second, first
    assert without_data((RuntimeError, first, None)).count("RuntimeError") == 2


def test_crash_in_a_request_is_answered_and_its_text_reaches_no_log(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def crash(_: Request) -> StreamingResponse:
        raise RuntimeError(MARK)

    async def broken_off(_: Request) -> StreamingResponse:
        def pieces() -> Iterator[str]:
            yield "a piece"
            raise RuntimeError(MARK)

        return StreamingResponse(pieces())

    answers = {"/crash": crash, "/broken-off": broken_off}
    routes = [Route(path, PathAnswers({"GET": answer})) for path, answer in answers.items()]
    app = Application(Router(routes))
    with served(app) as base_url, httpx2.Client(base_url=base_url, timeout=60) as client:
        answer = client.get("/crash")
        assert (answer.status_code, answer.json()["code"]) == (500, "internal")
        with pytest.raises(httpx2.RemoteProtocolError):
            client.get("/broken-off")
    written = "".join(capfd.readouterr()) + caplog.text
    assert MARK not in written
    assert written.count("request crashed") == 2


def test_pool_that_cannot_reconnect_logs_one_structured_line(capfd: pytest.CaptureFixture[str]) -> None:
    port, shown, errors = free_port(), "", ""

    def is_logged() -> bool:
        nonlocal shown, errors
        new = capfd.readouterr()
        shown, errors = shown + new.out, errors + new.err
        return f"port {port}" in shown

    settings = PostgresSettings(database_url=SecretStr(f"postgresql://user:{MARK}@{HOST}:{port}/db"))
    with open_pool(settings, size=1):
        until(is_logged, within_s=60)
        pause(ANOTHER_ATTEMPT_S)
    assert is_logged()
    (entry,) = [json.loads(line) for line in shown.splitlines() if f"port {port}" in line]
    assert entry["event"] == "a library warns"
    assert entry["reason"].startswith("error connecting in 'pool-")
    assert MARK not in shown
    assert "error connecting" not in errors
