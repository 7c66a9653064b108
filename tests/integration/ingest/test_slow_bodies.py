"""A body that drips does not hold its slot, nor do endless headers: over a socket, as Serve runs it."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from serve_apps.http import bodies
from signals.clients.kafka.publisher import Publisher
from signals.clients.postgres import Connection
from signals.services.access.provisioning import IssuedKey
from tests.integration.ingest.conftest import ingest_client
from tests.support.waiting import until


@pytest.fixture
def port(pool: ConnectionPool[Connection], publisher: Publisher) -> Iterator[int]:
    """ingest-api behind uvicorn on a free port."""
    with ingest_client(pool, publisher) as client, socket.socket() as listening:
        assert isinstance(client, TestClient)
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(client.app, lifespan="off", log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        until(lambda: server.started)
        yield int(listening.getsockname()[1])
        server.should_exit = True
        thread.join(timeout=20)


def _answer(connection: socket.socket) -> bytes:
    """Read until the server closes."""
    connection.settimeout(20)
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def test_a_dripping_body_ends_in_408(port: int, key: IssuedKey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_WITHIN_S", 0.5)
    head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-API-Key: {key.text}\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port)) as connection:
        began = time.monotonic()
        connection.sendall(head.encode() + b"{")
        answer = _answer(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code": "slow_body"' in answer
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("header", [b"X-Flood: " + b"x" * 1_000_000, b"\r\n".join([b"X-Flood: x"] * 100_000)])
def test_a_flood_of_headers_gets_no_server_error(port: int, header: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(20)
        try:
            connection.sendall(
                b"POST /v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + header + b"\r\n\r\n"
            )
            answer = _answer(connection)
        except ConnectionError:
            answer = b""  # cut off in the middle: a refusal as well
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 401 ", b"HTTP/1.1 431 "))
