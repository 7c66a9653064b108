"""Ingest servers of the product and of peers, and rounds of load on them."""

import gzip
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final
from uuid import uuid4

import orjson

from benchmarks.bodies import write_bodies
from benchmarks.core_load import Load, Server, between_marks, on_serve, wait_until_up
from benchmarks.events import as_sent, kinds, records
from benchmarks.rounds import Plan, Round
from benchmarks.servers import Servers
from benchmarks.timing import Program, ours, started
from signals.local.processes.ports import free_port

EVENTS: Final = 10_000  # distinct bodies; they are sent repeatedly, which ingest accepts
HEALTH: Final = "/v1/events/healthz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The clients' load: `connections`, each with one request of `events` in flight."""

    connections: int
    events: int
    gzipped: bool = False

    status = HTTPStatus.ACCEPTED

    @property
    def path(self) -> str:
        """Path of the request."""
        return "/v1/events" if self.events == 1 else "/v1/events/batch"

    @property
    def headers(self) -> str:
        """Lines of the request's head beside the usual ones."""
        return "Content-Encoding: gzip\r\n" if self.gzipped else ""

    def write(self, folder: Path) -> Path:
        """Write the bodies in the load generator's format, once."""
        path = folder / f"bodies-{self.events}{'-gzip' if self.gzipped else ''}"
        return path if path.exists() else write_bodies(path, self._bodies())

    def _bodies(self) -> Iterator[bytes]:
        sent = [as_sent(value) for _, value in records(kinds(), EVENTS)]
        for start in range(0, EVENTS, self.events):
            part = sent[start : start + self.events]
            body = orjson.dumps(part[0] if self.events == 1 else part)
            yield gzip.compress(body) if self.gzipped else body


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorShape:
    """The load of another product's clients: requests of `events` each, made by `bodies`."""

    name: str
    connections: int
    events: int
    path: str
    bodies: Callable[[], Iterator[bytes]]
    headers: str = ""
    status: HTTPStatus = HTTPStatus.OK

    def write(self, folder: Path) -> Path:
        """Write the bodies in the load generator's format, once."""
        path = folder / f"bodies-{self.name}"
        return path if path.exists() else write_bodies(path, self.bodies())


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestBench:
    """Servers and key of the row, and the length of a round."""

    plan: Plan
    servers: Servers
    environment: Mapping[str, str]
    key: str

    @property
    def seconds(self) -> int:
        """Seconds of measured load in a round."""
        return self.plan.pick(full=8, quick=3, tiny=1)

    def load(self, shape: Shape | DoorShape, server: Server) -> Round:
        """Measure one round of load on a server."""
        load = Load(
            bodies=shape.write(self.plan.folder),
            connections=shape.connections,
            seconds=self.seconds,
            key=self.key,
            path=shape.path,
            headers=shape.headers,
            status=shape.status,
        )
        result = load.on(server, self.servers.meters(), self.plan.folder)
        return Round(
            events=result.events * shape.events,
            wall_s=result.wall_s,
            cpu_s=result.cpu_s,
            extra=result.extra,
        )

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
            result = between_marks(running, self.servers.meters(), "own_cpu_s")
        extra = dict(result.extra)
        return Round(events=result.events, wall_s=result.wall_s, cpu_s=extra.pop("own_cpu_s"), extra=extra)

    def through(self, program: Callable[[Mapping[str, str]], Program], shape: Shape | DoorShape) -> Round:
        """Run a program that starts a peer's own servers, sends the bodies, and waits for their end."""
        folder = self.plan.folder / f"peer-{uuid4().hex[:8]}"
        folder.mkdir()
        variables = {
            "BENCH_BODIES": str(shape.write(self.plan.folder)),
            "BENCH_EVENTS": str(self.plan.pick(full=200, quick=50, tiny=8)),
            "BENCH_FOLDER": str(folder),
            "BENCH_PORT": str(free_port()),
        }
        with started(program(variables), folder / "log") as running:
            result = between_marks(running, self.servers.meters(), "own_cpu_s")
        cpu_s = result.extra["own_cpu_s"]
        return Round(events=result.events, wall_s=result.wall_s, cpu_s=cpu_s)

    def fresh(self, program: Callable[[Mapping[str, str]], Program], shape: Shape) -> Round:
        """Start a server for this round alone."""
        with self.serving(program) as server:
            return self.load(shape, server)

    @contextmanager
    def serving(self, program: Callable[[Mapping[str, str]], Program]) -> Iterator[Server]:
        """Run a server while the block runs."""
        port = free_port()
        log = self.plan.folder / f"server-{port}.log"
        with started(program({**self.environment, "BENCH_PORT": str(port)}), log) as running:
            wait_until_up(port, HEALTH, running.check)
            yield Server(port=port, pid=running.pid)

    def on_serve(self) -> AbstractContextManager[Server]:
        """Run ingest-api alone as `make up` does."""
        return on_serve("ingest", HEALTH, self.environment, self.plan.folder / "ray")
