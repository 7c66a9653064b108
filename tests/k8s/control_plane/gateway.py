"""A proxy between operator and API server that records writes and can kill the operator after one.

Plain HTTP on loopback towards the operator, so that requests are readable; the operator's token passes
through, and with it its rights.
"""

import json
import re
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Literal

import httpx2

from tests.k8s.control_plane.control_plane import ControlPlane

NOT_PASSED_ON = {"connection", "content-length", "host", "transfer-encoding"}
BOOKKEEPING = ("/leases", "/events", "/selfsubjectaccessreviews", "/selfsubjectrulesreviews")
"""What is written all the time and changes nothing that anybody asked for."""
Fault = Literal["garbled", "reset", "unavailable", "garbled error"]
"""Half a document; a connection that is reset; 503 as an API server says it; 503 with half a document."""
STARTING: Final = re.compile(r"/apis?(/[^/]+){0,2}|.*/(signalsstacks|signalsscenarios)|.*/leases/[^/]+")
"""Paths that an operator reads when it starts: discovery, the lists that it watches, its Lease."""
HALF: Final = b'{"kind": "APIResourceList", "resou'
UNAVAILABLE: Final = {
    "kind": "Status",
    "apiVersion": "v1",
    "status": "Failure",
    "reason": "ServiceUnavailable",
    "message": "the server is currently unable to handle the request",
    "code": 503,
}
"""As an API server answers that is starting (k8s.io/apimachinery, NewServiceUnavailable)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One request that changed something."""

    method: str
    path: str


@dataclass(slots=True, kw_only=True)
class Gateway:
    """The writes that passed through, and the action after the next one."""

    url: str
    writes: list[Write] = field(default_factory=list)
    after_write: Callable[[Write], bool] = lambda _write: True
    """Called when the API server has done it; false keeps its answer from the operator."""
    reads: Counter[str] = field(default_factory=Counter)
    """How often each object was asked for."""
    fault: Fault | None = None
    """How the first answer to each path of `STARTING` is hurt."""
    hurt: set[str] = field(default_factory=set)
    """The paths whose first answer was hurt."""
    refused: list[str] = field(default_factory=list)
    """What the API server forbade (403): rights that the chart does not give."""


@contextmanager
def gateway(cluster: ControlPlane, *, port: int = 0) -> Iterator[Gateway]:
    """Pass on everything until the block ends, on a free port unless one is given."""
    trust = ssl.create_default_context(cafile=cluster.folder / "pki" / "ca.crt")
    server_url = cluster.api.client.base_url
    upstream = httpx2.Client(base_url=server_url, verify=trust, timeout=None, trust_env=False)

    class Handler(_Handler):
        pass

    with upstream, _Server(("127.0.0.1", port), Handler) as server:
        gate = Gateway(url=f"http://127.0.0.1:{server.server_port}")
        Handler.gate, Handler.upstream = gate, upstream
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield gate
        server.shutdown()


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_arguments: object) -> None:
        """Log nothing: connections break whenever an operator is killed."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gate: Gateway
    upstream: httpx2.Client

    def log_message(self, *_arguments: object) -> None:
        """Log nothing: the gateway records the writes."""

    def _pass_on(self) -> None:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in NOT_PASSED_ON}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        # One end may be gone: the operator was killed, or the test is over.
        with (
            suppress(OSError, httpx2.TransportError),
            self.upstream.stream(self.command, self.path, headers=headers, content=body) as answer,
        ):
            if answer.status_code == httpx2.codes.FORBIDDEN:
                self.gate.refused.append(f"{self.command} {self.path}")
            if self.gate.fault is not None and self._is_first():
                self._hurt(self.gate.fault)
                return
            if self._may_answer(answer):
                self._answer(answer)
                return
        self.close_connection = True

    def _may_answer(self, answer: httpx2.Response) -> bool:
        if self.command == "GET":
            self.gate.reads[self.path.partition("?")[0]] += 1
        if self.command == "GET" or answer.is_error or self._is_bookkeeping():
            return True
        write = Write(method=self.command, path=self.path.partition("?")[0])
        self.gate.writes.append(write)
        return self.gate.after_write(write)

    def _is_bookkeeping(self) -> bool:
        return any(part in self.path for part in BOOKKEEPING)

    def _is_first(self) -> bool:
        path = self.path.partition("?")[0]
        if self.command != "GET" or not STARTING.fullmatch(path) or path in self.gate.hurt:
            return False
        self.gate.hurt.add(path)
        return True

    def _hurt(self, fault: Fault) -> None:
        if fault == "reset":
            # Closing a socket that may not linger sends RST: socket(7), SO_LINGER.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        body = json.dumps(UNAVAILABLE).encode() if fault == "unavailable" else HALF
        self.send_response(httpx2.codes.OK if fault == "garbled" else httpx2.codes.SERVICE_UNAVAILABLE)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, answer: httpx2.Response) -> None:
        self.send_response(answer.status_code)
        self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in filter(None, answer.iter_bytes()):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")


for _method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
    setattr(_Handler, f"do_{_method}", _Handler._pass_on)
