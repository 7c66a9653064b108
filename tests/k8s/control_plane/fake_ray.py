"""Answers for Ray in pods without containers, so that KubeRay sees a RayService become ready.

The API server sends requests for pods to this socket (its "cluster" egress, HTTP CONNECT). KubeRay reaches
pods through the API server: each request names its pod's address. Other processes use it as an HTTP proxy.
"""

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from tests.k8s.control_plane.api import Object

DASHBOARD_PORT, SERVE_PORT = 8265, 8000
IDLE_S = 20.0
"""Of a connection. KubeRay asks through the API server without a time limit: one answer that did not come
stopped it for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer in JSON."""

    body: object
    status: int = 200


@dataclass(slots=True, kw_only=True)
class FakeRay:
    """Ray's answers as tests decide them, and the configurations that Ray received."""

    image_at: Callable[[str], str]
    """The image of the pod at an address."""
    broken: set[str] = field(default_factory=set)
    """Images whose applications never deploy."""
    applications: dict[str, list[Object]] = field(default_factory=dict)
    """By the head's address, the applications that KubeRay submitted."""
    pages: dict[tuple[str, str], Answer] = field(default_factory=dict)
    """By host name and path, what Services of the product answer."""
    proxy: str = ""
    """The address of the same answers as an HTTP proxy."""

    def submit(self, head: str, config: Object) -> Answer:
        """Take the Serve configuration, as Ray's dashboard does."""
        self.applications[head] = config["applications"]
        return Answer(body={})

    def serve_status(self, head: str) -> Answer:
        """The applications' states, as Ray's dashboard reports them."""
        broken = self.image_at(head) in self.broken
        status: Object = {
            "status": "DEPLOY_FAILED" if broken else "RUNNING",
            "message": "",
            "deployments": {},
        }
        found = {
            app["name"]: {"name": app["name"], "route_prefix": app.get("route_prefix", "/"), **status}
            for app in self.applications.get(head, [])
        }
        return Answer(body={"applications": found})

    def answer(self, host: str, port: int, path: str) -> Answer:
        """The answer to a GET of this address."""
        if page := self.pages.get((host, path)):
            return page
        if port == DASHBOARD_PORT:
            return self.serve_status(host) if path.startswith("/api/serve/applications") else Answer(body={})
        if port == SERVE_PORT and path == "/-/healthz":
            return Answer(body="success")
        return Answer(body={"detail": f"nothing is known about {host}{path}"}, status=404)


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


@contextmanager
def fake_ray(socket: Path, image_at: Callable[[str], str]) -> Iterator[FakeRay]:
    """Ray's answers at the socket and at an HTTP proxy's port, until the block ends."""
    ray = FakeRay(image_at=image_at)

    class Handler(_Handler):
        fake = ray

    with _UnixServer(str(socket), Handler) as tunnel, ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        ray.proxy = f"http://127.0.0.1:{proxy.server_port}"
        for server in (tunnel, proxy):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        yield ray
        tunnel.shutdown()
        proxy.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    fake: FakeRay
    tunnelled: str = ""

    def log_message(self, *_arguments: object) -> None:
        """Log nothing: the base class formats the client's address, and a Unix socket has none."""

    def do_CONNECT(self) -> None:
        self.tunnelled = self.path
        self.send_response_only(200)
        self.end_headers()
        self.close_connection = False

    def do_GET(self) -> None:
        url = urlsplit(self.path if "://" in self.path else f"http://{self.tunnelled}{self.path}")
        self._send(self.fake.answer(url.hostname or "", url.port or 80, url.path))

    def do_PUT(self) -> None:
        config = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._send(self.fake.submit(self.tunnelled.partition(":")[0], config))

    def _send(self, answer: Answer) -> None:
        body = json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
