"""A lean HTTP/1.1 client: each of its connections sends the next request after an answer.

A connection that an answer announces to close is opened again: HAProxy closes all of them when it reads a
new configuration, which happens once more after an application is up. The bodies lie in a file, each behind
its length in four bytes; of GET they are the addresses. Only what `Content-Length` frames is read.
"""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.bodies import read_bodies
from benchmarks.peers.marks import mark

END_OF_HEAD = b"\r\n\r\n"
CLOSING = b"\r\nconnection: close"


class Load:
    """The requests, taken in turn by all connections, and the time of each answer."""

    def __init__(self, requests: list[bytes], status: bytes, port: int) -> None:
        self._requests = requests
        self._port = port
        self._opening: set[asyncio.Task[None]] = set()
        self.status = status
        self.sent = 0
        self.waits_s: list[float] = []
        self.refusals: list[bytes] = []
        self.is_over = False
        self.open = 0
        self.ended = asyncio.get_running_loop().create_future()

    def next_request(self) -> bytes:
        """Return the next request."""
        self.sent += 1
        return self._requests[self.sent % len(self._requests)]

    async def connect(self) -> None:
        """Open a connection, which sends at once."""
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: Connection(self), "127.0.0.1", self._port)

    def connect_again(self) -> None:
        """Open a connection in place of one that the server closes."""
        self.open += 1
        opening = asyncio.get_running_loop().create_task(self.connect())
        self._opening.add(opening)
        opening.add_done_callback(self._opened)

    def _opened(self, opening: asyncio.Task[None]) -> None:
        self.open -= 1
        self._opening.discard(opening)
        if opening.exception():
            self.refusals.append(f"no connection: {opening.exception()}".encode())


class Connection(asyncio.Protocol):
    """One connection with one request under way."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._received = b""
        self._sent_at = 0.0
        self._is_closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class
        self._load.open += 1
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count a connection that closes early as refused."""
        self._load.open -= 1
        if not self._load.is_over and not self._is_closing:
            self._load.refusals.append(f"connection lost: {exc}".encode())
        if self._load.open == 0 and not self._load.ended.done():
            self._load.ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Send the next request when the answer is whole."""
        self._received += data
        head, found, body = self._received.partition(END_OF_HEAD)
        if not found:
            return
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if len(body) < int(length):
            return
        self._received = b""
        self._load.waits_s.append(time.perf_counter() - self._sent_at)
        if head[9:12] != self._load.status:
            self._load.refusals.append(head[:80] + body[:200])
        self._is_closing = CLOSING in head.lower()
        if self._load.is_over or self._is_closing:
            self._transport.close()
        else:
            self._send()
        if self._is_closing and not self._load.is_over:
            self._load.connect_again()

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._load.next_request())


def _requests(environ: os._Environ[str]) -> list[bytes]:
    common = f"Host: 127.0.0.1\r\nX-API-Key: {environ['BENCH_KEY']}\r\n{environ['BENCH_HEADERS']}"
    bodies = read_bodies(Path(environ["BENCH_BODIES"]))
    if environ["BENCH_METHOD"] == "GET":
        return [f"GET {address.decode()} HTTP/1.1\r\n{common}\r\n".encode() for address in bodies]
    kind = "" if "content-type:" in common.lower() else "Content-Type: application/json\r\n"
    head = f"POST {environ['BENCH_PATH']} HTTP/1.1\r\n{kind}{common}"
    return [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies]


async def _main(environ: os._Environ[str]) -> dict[str, float]:
    load = Load(_requests(environ), environ["BENCH_STATUS"].encode(), int(environ["BENCH_PORT"]))
    for _ in range(int(environ["BENCH_CONNECTIONS"])):
        await load.connect()
    await asyncio.sleep(float(environ["BENCH_WARM_S"]))
    load.waits_s.clear()
    mark("first")
    await asyncio.sleep(float(environ["BENCH_SECONDS"]))
    waits_s = sorted(load.waits_s)
    if load.refusals or not waits_s:
        raise RuntimeError(f"{len(waits_s)} answers, refused: {load.refusals[:3]}")
    mark("done", events=len(waits_s))
    load.is_over = True
    await load.ended
    return {
        "p50_ms": waits_s[len(waits_s) // 2] * 1000,
        "p95_ms": waits_s[len(waits_s) * 95 // 100] * 1000,
        "p99_ms": waits_s[len(waits_s) * 99 // 100] * 1000,
    }


if __name__ == "__main__":
    report = uvloop.run(_main(os.environ))
    Path(os.environ["BENCH_REPORT"]).write_text(json.dumps(report))
    mark("reported")
