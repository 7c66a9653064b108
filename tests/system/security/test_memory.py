"""Hostile bodies and headers cost a server a bounded amount of memory, and never a 5xx: over sockets."""

import itertools
import multiprocessing
import os
import random
import re
import socket
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
import zstandard

from signals.clients.kafka.publisher import open_publisher
from signals.clients.opensearch.connection import open_client
from signals.clients.postgres import open_pool
from signals.domain.access.scopes import Scope
from signals.local.stack import RunningStack
from signals.services.access.provisioning import create_org, create_project, issue_key
from signals.settings import KafkaSettings, OpenSearchSettings, PostgresSettings
from tests.integration.core.conftest import core_client
from tests.integration.ingest.conftest import ingest_client
from tests.support.events import TENANCY
from tests.system.security.conftest import one_address, served

MIB: Final = 2**20
AT_ONCE: Final = 8
MAX_GROWTH_MIB: Final = 160  # docs/operations/reliability.md; eight of the largest bodies at once are 64
BLOCK: Final = b"x" * 65_536
SENT_WITHIN_S: Final = 300.0
JSON: Final = {"Content-Type": "application/json"}
LINES: Final = {"Content-Type": "application/x-ndjson"}

Body = Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Both APIs in a process of their own."""

    port: int
    pid: int
    ingest: str
    read: str

    def peak_mib(self) -> float:
        """The most memory that the process has ever held."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found
        return int(found[1]) / 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One request; without `length` its body goes in chunks."""

    path: str
    body: Body
    headers: Mapping[str, str]
    length: int | None = None

    def head(self, key: str) -> bytes:
        """The head of the request."""
        size = {"Transfer-Encoding": "chunked"} if self.length is None else {"Content-Length": self.length}
        headers = {"Host": "x", "X-API-Key": key, "Connection": "close", **self.headers, **size}
        lines = [f"POST {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode()


def serve(
    pipe: Pipe, database: PostgresSettings, kafka: KafkaSettings, opensearch: OpenSearchSettings
) -> None:
    """Serve in the other process until the pipe says stop."""
    with (
        open_pool(database, size=4) as pool,
        open_publisher(kafka) as publisher,
        open_client(opensearch) as client,
        core_client(pool, client) as core,
        ingest_client(pool, publisher, answer_within_s=60.0) as ingest,
        served(one_address(core.app, ingest.app)) as base_url,
    ):
        create_org(pool, TENANCY.org_id, "An organisation")
        create_project(pool, TENANCY.project_id, org_id=TENANCY.org_id, name="A project")
        keys = [issue_key(pool, TENANCY.project_id, scope).text for scope in (Scope.INGEST, Scope.READ)]
        pipe.send((os.getpid(), urlsplit(base_url).port, *keys))
        pipe.recv()


@pytest.fixture
def server(
    database: PostgresSettings, kafka: KafkaSettings, opensearch: object, servers: RunningStack
) -> Iterator[Server]:
    """Both APIs behind uvicorn, as Serve runs them; `opensearch` has made the index."""
    search = OpenSearchSettings(opensearch_url=servers.environment["OPENSEARCH_URL"])
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, database, kafka, search))
    process.start()
    theirs.close()
    pid, port, ingest, read = ours.recv()
    yield Server(port=port, pid=pid, ingest=ingest, read=read)
    ours.send("end")
    process.join(timeout=180)
    assert process.exitcode == 0


def status_of(server: Server, attack: Attack, key: str) -> int | None:
    """Send it; return the answer's status, None when the server cut the connection."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(SENT_WITHIN_S)
        with suppress(ConnectionError):  # refused before all was sent: its answer may still be there
            connection.sendall(attack.head(key))
            for piece in attack.body():
                frame = b"%x\r\n%s\r\n" % (len(piece), piece) if attack.length is None else piece
                connection.sendall(frame)
            if attack.length is None:
                connection.sendall(b"0\r\n\r\n")
        try:
            answer = connection.recv(65_536)
        except ConnectionError:
            return None
    return int(answer.split(b" ", 2)[1]) if answer else None


def in_pieces(content: bytes) -> Body:
    return lambda: (content[at : at + len(BLOCK)] for at in range(0, len(content), len(BLOCK)))


def blocks(size: int) -> Body:
    return lambda: itertools.repeat(BLOCK, size // len(BLOCK))


def gzip_bomb() -> bytes:
    deflating = zlib.compressobj(9, wbits=31)
    return b"".join(deflating.compress(bytes(MIB)) for _ in range(1024)) + deflating.flush()


def zstd_bomb() -> bytes:
    deflating = zstandard.ZstdCompressor(level=1).compressobj()
    return b"".join(deflating.compress(bytes(MIB)) for _ in range(1024)) + deflating.flush()


def attacks() -> dict[str, Attack]:
    """The hostile requests, by name."""
    single, batch = "/v1/events", "/v1/events/batch"
    fields = ",".join(f'"f{number}": {number}' for number in range(10_000))
    event = '{"event_type": "error", "occurred_at": "2026-01-01T12:00:00Z", "attributes": %s}'
    flat = ",".join(['{"message": "' + "y" * 8_000 + '"}'] * 1_000).encode()

    def content(path: str, body: bytes, **headers: str) -> Attack:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Attack(path=path, body=in_pieces(body), headers=JSON | named, length=len(body))

    return {
        "gzip bomb": content(batch, gzip_bomb(), Content_Encoding="gzip"),
        "zstd bomb": content(batch, zstd_bomb(), Content_Encoding="zstd"),
        "100 MB declared": Attack(path=batch, body=blocks(100 * MIB), headers=JSON, length=100 * MIB),
        "100 MB undeclared": Attack(path=batch, body=blocks(100 * MIB), headers=JSON),
        "100 MB to core-api": Attack(path="/v1/incidents", body=blocks(100 * MIB), headers=JSON),
        "deep arrays": content(single, b"[" * 100_000 + b"]" * 100_000),
        "deep attributes": content(single, (event % ('{"a":' * 100_000 + "1" + "}" * 100_000)).encode()),
        "many fields": content(single, (event % ("{" + fields + "}")).encode()),
        "many objects": content(batch, b"[" + b",".join([b"{}"] * (8 * MIB // 3 - 1)) + b"]"),
        "many numbers": content(batch, b"[" + b",".join([b"0"] * (4 * MIB - 1)) + b"]"),
        "many lines": Attack(
            path=batch, body=in_pieces(b"{}\n" * (8 * MIB // 3)), headers=LINES, length=8 * MIB // 3 * 3
        ),
        "the largest batch": content(batch, b"[" + flat + b"]"),
        "1,000 headers": content(single, b"{}", **{f"X_Flood_{number}": "x" for number in range(1_000)}),
        "a header of 1 MB": content(single, b"{}", X_Flood="x" * MIB),
        "a long query": content(f"/v1/search/events?q={'z' * MIB}", b""),
    }


def test_hostile_requests_cost_bounded_memory_and_no_server_error(server: Server) -> None:
    plain = Attack(path="/v1/events", body=in_pieces(b"{}"), headers=JSON, length=2)
    assert status_of(server, plain, server.ingest) == 422
    sent = attacks()
    before = server.peak_mib()
    peaks = {}
    for name, attack in sent.items():
        key = server.ingest if attack.path.startswith("/v1/events") else server.read
        with ThreadPoolExecutor(AT_ONCE) as threads:
            found = set(threads.map(lambda _, a=attack, k=key: status_of(server, a, k), range(AT_ONCE)))
        assert all(status is None or 400 <= status < 500 for status in found), (name, found)
        peaks[name] = round(server.peak_mib() - before)
    mixed = [(name, number) for name in sent for number in range(2)]
    random.Random(4).shuffle(mixed)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        statuses = list(threads.map(lambda pair: status_of(server, sent[pair[0]], server.ingest), mixed))
    assert all(status is None or 400 <= status < 500 for status in statuses), statuses
    peaks["all of them, mixed"] = round(server.peak_mib() - before)
    assert max(peaks.values()) <= MAX_GROWTH_MIB, peaks
    assert status_of(server, plain, server.ingest) == 422
