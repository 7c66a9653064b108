"""An HTTP proxy before OpenSearch that answers bulks as a server in trouble would.

What it reports as failed has not reached the server, except where a fault says so.
"""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Literal
from urllib.parse import urlsplit

Fault = Literal["none", "request", "items", "cut", "garbage"]
"""`request`: the whole bulk is refused. `items`: every second document is. `cut` and `garbage`: the bulk is
applied, but its answer breaks off or is no JSON."""

PART: Final = 20  # the most documents that a slow server takes at once
PARTS_A_S: Final = 10  # and the fewest parts a second
POISONED: Final[dict[str, Any]] = {
    "status": 400,
    "error": {"type": "mapper_parsing_exception", "reason": "failed to parse"},
}


def _set_event() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@dataclass(slots=True)
class OpenSearchProxy:
    """The running proxy. `fault` is met by every bulk from now on, with `status` where it has one."""

    url: str
    target: str
    poison: bytes
    """Documents with this text are always refused, under every fault."""
    fault: Fault = "none"
    status: int = 429
    hurt: int = 0
    """How many bulks met a fault."""
    most_bytes: int | None = None
    """A larger bulk is refused with 413, as a proxy with a limit does; None is no limit."""
    per_second: int | None = None
    """How many documents of all bulks are taken a second, one bulk after the other; None is no bound."""
    sent: int = 0
    """How many documents all bulks held together."""
    answering: threading.Event = field(default_factory=_set_event)
    """While cleared, a request is held: taken, and neither handled nor answered."""
    began_at: float = 0.0
    """When the first bulk came (`time.monotonic`)."""
    taken_at: float = 0.0
    """When a slow server last took a document."""
    busy_s: float = 0.0
    """How long a slow server was at documents."""
    under_way: int = 0
    """How many bulks came and are not done with."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    queue: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count a bulk until it is done with."""
        with self.lock:
            self.under_way += 1
        try:
            yield
        finally:
            with self.lock:
                self.under_way -= 1

    def wait_for(self, documents: int) -> None:
        """Take the time of these documents; none since the bound was lifted."""
        per_second = self.per_second
        if per_second is not None:
            time.sleep(documents / per_second)

    def goodput(self, documents: int) -> float:
        """Return documents a second of wall time, as a share of what a slow server gives.

        What it gives is measured while it is at work: a starved machine lowers both.
        """
        given_per_s = self.sent / self.busy_s
        return documents / (self.taken_at - self.began_at) / given_per_s

    def set_fault(self, fault: Fault, status: int = 429) -> None:
        """Change what happens to the next bulks."""
        self.fault, self.status = fault, status

    def sort_out(self, body: bytes, fault: Fault) -> tuple[bytes, dict[int, dict[str, Any]], int]:
        """Return what is forwarded, the items that are answered here by place, and how many there are."""
        lines = body.split(b"\n")
        pairs = list(zip(lines[0:-1:2], lines[1::2], strict=True))
        kept, refused = [], {}
        for place, (action, source) in enumerate(pairs):
            if self.poison in source:
                refused[place] = POISONED
            elif fault == "items" and place % 2:
                kind = "cluster_block_exception" if self.status == 403 else "rejected_execution_exception"
                refused[place] = {"status": self.status, "error": {"type": kind, "reason": "not now"}}
            else:
                kept += [action, source]
        return b"\n".join([*kept, b""]) if kept else b"", refused, len(pairs)


class _Server(ThreadingHTTPServer):
    """Carries the proxy's state to its handlers."""

    daemon_threads = True
    proxy: OpenSearchProxy


class _Handler(BaseHTTPRequestHandler):
    """Answers for `proxy`, which the server carries."""

    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        if "_bulk" in self.path:
            with self.server.proxy.working():
                self._bulk(body)
        else:
            self.server.proxy.answering.wait()
            self._answer(*_forward(self.server.proxy.target, self.command, self.path, body))

    def do_GET(self) -> None:
        self.do_POST()

    def do_HEAD(self) -> None:
        self.do_POST()

    def do_PUT(self) -> None:
        self.do_POST()

    def _bulk(self, body: bytes) -> None:
        self.server.proxy.answering.wait()
        most_bytes = self.server.proxy.most_bytes
        if most_bytes is not None and len(body) > most_bytes:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"{}")
            return
        fault = self.server.proxy.fault
        if fault != "none":
            with self.server.proxy.lock:
                self.server.proxy.hurt += 1
        if fault == "request":
            self._answer(self.server.proxy.status, b'{"error": {"type": "rejected_execution_exception"}}')
            return
        forwarded, refused, count = self.server.proxy.sort_out(body, fault)
        with self.server.proxy.lock:
            self.server.proxy.began_at = self.server.proxy.began_at or time.monotonic()
            self.server.proxy.sent += count
        items: Iterator[dict[str, Any]] = iter(())
        if forwarded:
            status, taken = self._take(forwarded)
            if status != 200:
                self._answer(status, b"{}")
                return
            items = iter(taken)
        merged = [{"create": refused[n]} if n in refused else next(items) for n in range(count)]
        answer = json.dumps({"items": merged}).encode()
        if fault == "garbage":
            answer = b"<html>bad gateway, but 200</html>"
        self._answer(200, answer, cut=fault == "cut")

    def _take(self, bulk: bytes) -> tuple[int, list[dict[str, Any]]]:
        """Forward a bulk; a slow server takes it part by part, and goes on when the client has hung up."""
        proxy = self.server.proxy
        if proxy.per_second is None:
            return self._take_part(bulk)
        lines, items = bulk.split(b"\n")[:-1], []
        step = 2 * max(1, min(PART, proxy.per_second // PARTS_A_S))
        with proxy.queue:
            for start in range(0, len(lines), step):
                part = lines[start : start + step]
                began_at = time.monotonic()
                proxy.wait_for(len(part) // 2)
                status, taken = self._take_part(b"\n".join([*part, b""]))
                if status != 200:
                    return status, []
                items += taken
                proxy.taken_at = time.monotonic()
                proxy.busy_s += proxy.taken_at - began_at
        return 200, items

    def _take_part(self, part: bytes) -> tuple[int, list[dict[str, Any]]]:
        status, text = _forward(self.server.proxy.target, self.command, self.path, part)
        return (200, json.loads(text)["items"]) if status == 200 else (status, [])

    def _answer(self, status: int, body: bytes, *, cut: bool = False) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        with suppress(BrokenPipeError, ConnectionResetError):  # a client that hung up wants no answer
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = cut

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def opensearch_proxy(target: str, *, poison: bytes) -> Iterator[OpenSearchProxy]:
    """Stand before the OpenSearch at `target` until the end of the block."""
    server = _Server(("127.0.0.1", 0), _Handler)
    proxy = OpenSearchProxy(url=f"http://127.0.0.1:{server.server_address[1]}", target=target, poison=poison)
    server.proxy = proxy
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _forward(target: str, method: str, path: str, body: bytes) -> tuple[int, bytes]:
    address = urlsplit(target)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    try:
        connection.request(
            method,
            path,
            body,
            {"Content-Type": "application/x-ndjson" if "_bulk" in path else "application/json"},
        )
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
