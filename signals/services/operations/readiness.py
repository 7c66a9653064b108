"""Says whether everything that should run does: the servers, every expected consumer, and each stage.

A check of a server that hangs is left to run and waited for again by the next call, so that a hung
server costs one thread. Answers name parts and states, never addresses or error texts.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Final, Literal

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.ledger import Audit
from signals.errors import DependencyUnavailable, SettingsError
from signals.services.operations.partition_lag import PartitionLag, StageReading, stage_readings
from signals.store.operations import workers
from signals.store.operations.workers import Worker

POSTGRES: Final = "postgresql"
CHECK_S: Final = 2.0  # how long an answer waits for slow servers
REUSE_S: Final = 1.0  # an answer is given again for this long: the endpoint is open to anybody
LEDGER_S: Final = 10.0  # guess: what the ledger said holds this long; it changes once a minute
READING_S: Final = 5.0  # guess: it is late after a minute; Kafka is asked three questions each time
STALE_S: Final = 15.0  # a consumer reports every few seconds

log = structlog.get_logger(__name__)

DependencyCheck = Callable[[], None]
ActorState = Literal["running", "starting", "backing-off", "stale", "missing", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DependencyState:
    """Whether a server answered, and after how long; None when it did not."""

    name: str
    state: Literal["ok", "unavailable", "timeout"]
    latency_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedActor:
    """The report of a consumer that should run; `unknown` while PostgreSQL is away.

    `lag` counts records or jobs that wait for it, None while it is unknown. `restarts` counts those of the
    last 10 minutes: a consumer that dies again and again is `running` in between.
    """

    name: str
    state: ActorState
    lag: int | None
    restarts: int = 0


UNKNOWN_LEDGER: Final = Audit(state="unknown", missing={})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductReadiness:
    """The whole pipeline at a glance; `ready` when every part is, no stage stands still, no event is missing.

    A consumer's lag is that of its own partitions. `stages` covers all of them, also one that no consumer
    has; it is what Kafka and PostgreSQL last told, empty before.
    """

    ready: bool
    dependencies: list[DependencyState]
    actors: list[ExpectedActor]
    stages: list[StageReading]
    ledger: Audit


class ReadinessCheck:
    """Checks PostgreSQL, `servers` and the consumers that are expected, at once and within `CHECK_S`.

    `audit` says whether the ledger balances; it asks PostgreSQL. `lags` asks Kafka as well.
    """

    def __init__(
        self,
        pool: ConnectionPool[Connection],
        servers: Mapping[str, DependencyCheck],
        audit: Callable[[], Audit],
        lags: Callable[[], Sequence[PartitionLag]],
    ) -> None:
        self._pool = pool
        self._audit = audit
        self._lags = lags
        self._reading: Future[list[StageReading]] | None = None
        self._stages: list[StageReading] = []
        self._next_reading = 0.0
        self._ledger = UNKNOWN_LEDGER
        self._next_audit = 0.0
        self._checks: dict[str, DependencyCheck] = {POSTGRES: self._ask_postgres, **servers}
        self._expected: tuple[str, ...] = ()
        self._threads = ThreadPoolExecutor(len(self._checks) + 1, thread_name_prefix="readiness")
        self._lock = threading.Lock()
        self._pending: dict[str, Future[DependencyState]] = {}
        self._reported: Mapping[str, Worker] = {}
        self._answer: tuple[float, ProductReadiness] | None = None

    def expect(self, names: Sequence[str]) -> None:
        """Name the consumers that must run from now on."""
        self._expected = tuple(names)

    def check(self) -> ProductReadiness:
        """Return the state of every part; a part that fails is a state, not an exception."""
        known = self._answer
        # During a check the last answer is reused: a flood must not occupy every thread.
        if not self._lock.acquire(blocking=known is None) and known is not None:
            return known[1]
        try:
            if self._answer is None or time.monotonic() - self._answer[0] >= REUSE_S:
                readiness = self._ask()
                self._answer = (time.monotonic(), readiness)
            return self._answer[1]
        finally:
            self._lock.release()

    def close(self) -> None:
        """Let go of the threads; one that hangs ends with its server's own time limit."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self) -> ProductReadiness:
        for name, check in self._checks.items():
            if name not in self._pending or self._pending[name].done():  # late answers are old news
                self._pending[name] = self._threads.submit(_timed, name, check)
        if self._reading is None or (self._reading.done() and time.monotonic() >= self._next_reading):
            self._reading = self._threads.submit(_stages, self._lags)
            self._next_reading = time.monotonic() + READING_S
        under_way: list[Future[Any]] = [*self._pending.values(), self._reading]
        wait(under_way, timeout=CHECK_S)
        if self._reading.done():
            self._stages = self._reading.result() or self._stages  # a late or failed question moves no stage
        dependencies = [self._dependency(name) for name in self._checks]
        known = dependencies[0].state == "ok"
        reported = self._reported if known else None
        ledger = self._ledger if known else UNKNOWN_LEDGER
        actors = [_actor(reported, name) for name in self._expected]
        up = all(d.state == "ok" for d in dependencies) and all(a.state == "running" for a in actors)
        moves = all(stage.progress != "standing" for stage in self._stages)
        return ProductReadiness(
            ready=up and moves and ledger.state != "unbalanced",
            dependencies=dependencies,
            actors=actors,
            stages=self._stages,
            ledger=ledger,
        )

    def _dependency(self, name: str) -> DependencyState:
        if not self._pending[name].done():
            return DependencyState(name=name, state="timeout", latency_ms=None)
        return self._pending.pop(name).result()

    def _ask_postgres(self) -> None:
        with transaction(self._pool) as connection:
            self._reported = {worker.name: worker for worker in workers.list_all(connection)}
        if time.monotonic() >= self._next_audit:
            self._ledger = self._audit()
            self._next_audit = time.monotonic() + LEDGER_S


def _timed(name: str, check: DependencyCheck) -> DependencyState:
    started = time.monotonic()
    try:
        check()
    except (DependencyUnavailable, SettingsError) as error:
        log.warning("dependency unavailable", dependency=name, reason=str(error))
        return DependencyState(name=name, state="unavailable", latency_ms=None)
    return DependencyState(name=name, state="ok", latency_ms=round((time.monotonic() - started) * 1000, 1))


def _stages(lags: Callable[[], Sequence[PartitionLag]]) -> list[StageReading]:
    try:
        return stage_readings(lags())
    except (DependencyUnavailable, SettingsError):  # the checks of the servers name the one that is away
        return []


def _actor(reported: Mapping[str, Worker] | None, name: str) -> ExpectedActor:
    if reported is None:
        return ExpectedActor(name=name, state="unknown", lag=None)
    worker = reported.get(name)
    if worker is None:
        return ExpectedActor(name=name, state="missing", lag=None)
    state: ActorState = "stale" if worker.age_s > STALE_S else worker.state
    return ExpectedActor(name=name, state=state, lag=worker.lag, restarts=worker.restarts)
