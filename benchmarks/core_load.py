"""A server and rounds of HTTP load on it."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Final
from uuid import uuid4

import yaml

from benchmarks.cpu import spent, tree_cpu_s
from benchmarks.rounds import Round
from benchmarks.servers import Servers
from benchmarks.timing import Running, ours, started
from signals.local.folder import StackFolder, StackState
from signals.local.processes.ports import free_port
from signals.local.ray_head import DEFAULT_PORTS, SERVE_CONFIG, RayHead
from signals.ray_node.variables import HOST

WARM_S: Final = 2.0  # connections, the key's verdict, first metadata
UP_WITHIN_S: Final = 120.0
POLL_S: Final = 0.1

Meters = Mapping[str, Callable[[], float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The server's port, and the root of the process tree that is measured."""

    port: int
    pid: int


def opensearch_of(servers: Servers) -> Server:
    """Return OpenSearch itself, for the limit of what asks it."""
    pid = servers.stack.servers["opensearch"].process.pid
    assert pid is not None, "OpenSearch has died"
    return Server(port=int(servers.opensearch().opensearch_url.rsplit(":", 1)[1]), pid=pid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The clients' load: `connections`, each with one request in flight.

    `bodies` is a file of bodies, each after its length; for GET a body is the address.
    """

    bodies: Path
    connections: int
    seconds: int
    key: str = ""
    method: str = "POST"
    path: str = ""
    headers: str = ""
    status: int = HTTPStatus.OK

    def on(self, server: Server, meters: Meters, folder: Path) -> Round:
        """Measure one round; the generator's processor time is reported beside the server's."""
        report = folder / f"report-{uuid4().hex[:8]}.json"
        variables = {
            "BENCH_PORT": str(server.port),
            "BENCH_METHOD": self.method,
            "BENCH_PATH": self.path,
            "BENCH_KEY": self.key,
            "BENCH_HEADERS": self.headers,
            "BENCH_BODIES": str(self.bodies),
            "BENCH_CONNECTIONS": str(self.connections),
            "BENCH_STATUS": str(self.status),
            "BENCH_WARM_S": str(WARM_S),
            "BENCH_SECONDS": str(self.seconds),
            "BENCH_REPORT": str(report),
        }
        charged: Meters = {**meters, "cpu_s": partial(tree_cpu_s, server.pid)}
        with started(ours("http_load", variables), report.with_suffix(".log")) as running:
            result = between_marks(running, charged, "loadgen_cpu_s")
            running.wait_for("reported", UP_WITHIN_S)
        extra = {**result.extra, **json.loads(report.read_text())}
        return Round(events=result.events, wall_s=result.wall_s, cpu_s=extra.pop("cpu_s"), extra=extra)


def between_marks(running: Running, meters: Meters, own: str) -> Round:
    """Measure from a program's first mark to its last one; `own` names its processor time."""
    first = running.wait_for("first", UP_WITHIN_S)
    with spent(meters) as used:
        done = running.wait_for("done", UP_WITHIN_S)
    extra = {**used, own: done.cpu_s - first.cpu_s}
    return Round(events=done.events, wall_s=done.at - first.at, cpu_s=0.0, extra=extra)


@contextmanager
def on_serve(application: str, health: str, environment: Mapping[str, str], folder: Path) -> Iterator[Server]:
    """Run one application as `make up` does: Ray, HAProxy, one replica; the others stay out."""
    ports = {name: free_port() for name in DEFAULT_PORTS}
    head = RayHead(folder=StackFolder(root=folder), state=StackState(data="", password="", ports=ports))
    head.folder.root.mkdir()
    try:
        head.start(environment, tie_to_parent=True)
        config = yaml.safe_load(SERVE_CONFIG.read_text())
        config["http_options"] |= {"host": HOST, "port": ports["http"]}
        config["applications"] = [one for one in config["applications"] if one["name"] == application]
        head.dashboard.deploy(config)
        wait_until_up(ports["http"], health, lambda: None)
        pid = head.process.pid
        assert pid is not None, "the Ray node has died"
        yield Server(port=ports["http"], pid=pid)
    finally:
        head.process.stop()


def wait_until_up(port: int, health: str, check: Callable[[], None]) -> None:
    """Wait until the application's health check answers 200; a proxy in front answers 404."""
    deadline = time.monotonic() + UP_WITHIN_S
    while time.monotonic() < deadline:
        check()
        with suppress(OSError), closing(HTTPConnection(HOST, port, timeout=5)) as connection:  # not there yet
            connection.request("GET", health)
            if connection.getresponse().status == HTTPStatus.OK:
                return
        time.sleep(POLL_S)
    raise RuntimeError(f"no answer on port {port} within {UP_WITHIN_S:g} s")
