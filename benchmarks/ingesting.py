"""Servers that take events over HTTP, ours and others', and rounds of load on them."""

import gzip
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import orjson
import yaml

from benchmarks.cpu import spent, tree_cpu_s
from benchmarks.events import kinds, records
from benchmarks.rounds import Plan, Round
from benchmarks.servers import Servers
from benchmarks.timing import Program, Running, ours, started
from signals.local.folder import StackFolder, State
from signals.local.ports import HOST, free_port
from signals.local.ray_head import DEFAULT_PORTS, SERVE_CONFIG, RayHead

EVENTS: Final = 10_000  # different ones; they are sent again and again, which ingest does not mind
WARM_S: Final = 2.0  # connections, the key's verdict, first metadata
UP_WITHIN_S: Final = 120.0
LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What clients send: `connections` at once, each with one request of `events` under way."""

    connections: int
    events: int
    gzipped: bool = False

    @property
    def path(self) -> str:
        """Where it goes."""
        return "/v1/events" if self.events == 1 else "/v1/events/batch"

    def write(self, folder: Path) -> Path:
        """Write the bodies as the load generator reads them, once."""
        path = folder / f"bodies-{self.events}{'-gzip' if self.gzipped else ''}"
        if not path.exists():
            path.write_bytes(b"".join(len(body).to_bytes(4, "big") + body for body in self._bodies()))
        return path

    def _bodies(self) -> Iterator[bytes]:
        sent = [_as_sent(value) for _, value in records(kinds(), EVENTS)]
        for start in range(0, EVENTS, self.events):
            part = sent[start : start + self.events]
            body = orjson.dumps(part[0] if self.events == 1 else part)
            yield gzip.compress(body) if self.gzipped else body


def _as_sent(record: bytes) -> dict[str, Any]:
    """Return what a client would send to become that record: the tenant is known from its key."""
    event: dict[str, Any] = orjson.loads(record)
    return {k: v for k, v in event.items() if k not in ("org_id", "project_id", "received_at")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Somebody who takes events, and the process whose tree is charged for it."""

    port: int
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestBench:
    """The servers below, a key, and how long a round is."""

    plan: Plan
    servers: Servers
    environment: Mapping[str, str]
    key: str

    @property
    def seconds(self) -> int:
        """Of load that is measured."""
        return self.plan.pick(full=8, quick=5, tiny=1)

    def load(self, shape: Shape, server: Server) -> Round:
        """Send for some seconds; the generator's own processor time stands beside the server's."""
        report = self.plan.folder / f"report-{uuid4().hex[:8]}.json"
        variables = {
            "BENCH_PORT": str(server.port),
            "BENCH_PATH": shape.path,
            "BENCH_KEY": self.key,
            "BENCH_HEADERS": "Content-Encoding: gzip\r\n" if shape.gzipped else "",
            "BENCH_BODIES": str(shape.write(self.plan.folder)),
            "BENCH_CONNECTIONS": str(shape.connections),
            "BENCH_WARM_S": str(WARM_S),
            "BENCH_SECONDS": str(self.seconds),
            "BENCH_REPORT": str(report),
        }
        with started(ours("http_load", variables), report.with_suffix(".log")) as running:
            result = self._between_marks(running, {"cpu_s": partial(tree_cpu_s, server.pid)}, "loadgen_cpu_s")
            running.wait_for("reported", UP_WITHIN_S)
        extra = {**result.extra, **json.loads(report.read_text())}
        cpu_s = extra.pop("cpu_s")
        return Round(events=result.events * shape.events, wall_s=result.wall_s, cpu_s=cpu_s, extra=extra)

    def produce(self, shape: Shape) -> Round:
        """Parse the same bodies and produce their events, without HTTP."""
        variables = {
            **self.environment,
            "BENCH_BODIES": str(shape.write(self.plan.folder)),
            "BENCH_SECONDS": str(self.seconds),
            "BENCH_IN_FLIGHT": str(shape.connections * shape.events),
        }
        log = self.plan.folder / f"limit-{uuid4().hex[:8]}.log"
        with started(ours("produce", variables), log) as running:
            result = self._between_marks(running, {}, "own_cpu_s")
        extra = dict(result.extra)
        return Round(events=result.events, wall_s=result.wall_s, cpu_s=extra.pop("own_cpu_s"), extra=extra)

    def _between_marks(self, running: Running, meters: Mapping[str, Callable[[], float]], own: str) -> Round:
        first = running.wait_for("first", UP_WITHIN_S)
        with spent({**self.servers.meters(), **meters}) as used:
            done = running.wait_for("done", UP_WITHIN_S)
        return Round(
            events=done.events,
            wall_s=done.at - first.at,
            cpu_s=0.0,
            extra={**used, own: done.cpu_s - first.cpu_s},
        )

    def fresh(self, program: Callable[[Mapping[str, str]], Program], shape: Shape) -> Round:
        """Start a server for this round alone."""
        with self.serving(program) as server:
            return self.load(shape, server)

    @contextmanager
    def serving(self, program: Callable[[Mapping[str, str]], Program]) -> Iterator[Server]:
        """Run a server until the end of the block."""
        port = free_port()
        log = self.plan.folder / f"server-{port}.log"
        with started(program({**self.environment, "BENCH_PORT": str(port)}), log) as running:
            _wait_until_up(port, running.check)
            yield Server(port=port, pid=running.pid)

    @contextmanager
    def on_serve(self) -> Iterator[Server]:
        """Run ingest-api as `make up` does: Ray, HAProxy, one replica; the other applications stay out."""
        ports = {name: free_port() for name in DEFAULT_PORTS}
        head = RayHead(
            folder=StackFolder(root=self.plan.folder / "ray"), state=State(data="", password="", ports=ports)
        )
        head.folder.root.mkdir()
        try:
            head.start(self.environment, tie_to_parent=True)
            config = yaml.safe_load(SERVE_CONFIG.read_text())
            config["http_options"] |= {"host": HOST, "port": ports["http"]}
            config["applications"] = [one for one in config["applications"] if one["name"] == "ingest"]
            head.dashboard.deploy(config)
            _wait_until_up(ports["http"], lambda: None)
            pid = head.process.pid
            assert pid is not None, "the Ray node has died"
            yield Server(port=ports["http"], pid=pid)
        finally:
            head.process.stop()


def _wait_until_up(port: int, check: Callable[[], None]) -> None:
    """Wait until the health check of the application itself says 200; a proxy before it says 404."""
    deadline = time.monotonic() + UP_WITHIN_S
    while time.monotonic() < deadline:
        check()
        connection = HTTPConnection(HOST, port, timeout=5)
        try:
            connection.request("GET", "/v1/events/healthz")
            if connection.getresponse().status == HTTPStatus.OK:
                return
        except OSError:
            pass  # not listening yet
        finally:
            connection.close()
        time.sleep(LOOK_S)
    raise RuntimeError(f"nobody answers on port {port} within {UP_WITHIN_S:g} s")
