"""Runs one consumer in a thread: sessions, back-off, progress, heartbeats. Crash-only.

Correctness never depends on an orderly end: PostgreSQL's offsets and leases fence what is left behind.
"""

import os
import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog
from psycopg_pool import ConnectionPool

from actors import metrics
from actors.heartbeats import start_heartbeats
from actors.stalls import StallReport
from signals.clients.postgres import Connection
from signals.errors import DependencyUnavailable, Fenced, SettingsError, TooManyDeadLetters
from signals.garbage import return_freed_memory
from signals.periodic import Interval
from signals.rotation import CHECK_S, Rotation
from signals.settings import (
    KafkaSettings,
    ModelSettings,
    NotificationSettings,
    OpenSearchSettings,
    PostgresSettings,
)
from signals.store.operations.workers import ConsumerState, Heartbeat

POLL_S: Final = 0.5  # the longest wait for records; bounds how late a stop or a tick is noticed
LAG_S: Final = 5.0
RETURN_MEMORY_S: Final = 60.0  # a burst leaves tens of MB behind
FIRST_PAUSE_S: Final = 0.5
MAX_PAUSE_S: Final = 15.0  # guess: an outage's end is noticed this late
CONNECTIONS: Final = (
    PostgresSettings,
    KafkaSettings,
    OpenSearchSettings,
    ModelSettings,
    NotificationSettings,
)
DOUBT_S: Final = 2 * MAX_PAUSE_S  # after too many dead letters: the next session needs a while to meet them

log = structlog.get_logger(__name__)


class Session(Protocol):
    """A consumer's work while its dependencies are available."""

    def step(self, timeout_s: float) -> int:
        """Handle what is there, waiting up to `timeout_s`; return how many records or jobs are done with."""
        ...

    def owned(self) -> list[int]:
        """Return the partitions owned now."""
        ...

    def lag(self) -> int | None:
        """Return how much waits, None when unknown."""
        ...

    def detail(self) -> str:
        """Return what a heartbeat says of the work under way, empty when there is nothing to say."""
        ...


OpenSession = Callable[[threading.Event], AbstractContextManager[Session]]


@dataclass(slots=True)
class LoopProgress:
    """The loop's last steps. Written by the loop thread, read by others."""

    state: ConsumerState = "starting"
    detail: str = ""
    partitions: tuple[int, ...] = ()
    lag: int | None = None
    last_poll_at: datetime | None = None
    last_batch_at: datetime | None = None
    handled: int = 0
    _polled: float | None = None

    @property
    def idle_s(self) -> float | None:
        """How long ago the loop last came round, by the monotonic clock; None before its first round."""
        return None if self._polled is None else time.monotonic() - self._polled

    def note_poll(self) -> datetime:
        """Note that the loop came round now; return the instant."""
        self.last_poll_at, self._polled = datetime.now(UTC), time.monotonic()
        return self.last_poll_at


class ConsumerLoop:
    """Keeps one consumer at work from construction until `stop`."""

    def __init__(
        self, name: str, kind: str, pool: ConnectionPool[Connection], open_session: OpenSession
    ) -> None:
        self._name = name
        self._kind = kind
        self._pool = pool
        self._open_session = open_session
        self._started_at = datetime.now(UTC)
        self._progress = LoopProgress()
        self._stopping = threading.Event()
        self._lag_interval = Interval(LAG_S)
        self._rotation_interval = Interval(CHECK_S)
        self._memory_interval = Interval(RETURN_MEMORY_S)
        self._doubted_until = 0.0
        self._thread = threading.Thread(target=self._run, name=f"{name}-loop", daemon=True)
        self._stalls = StallReport(name, self._thread)
        self._thread.start()
        start_heartbeats(pool, self._heartbeat, self._stopping)

    @property
    def progress(self) -> LoopProgress:
        """The loop's last steps."""
        return self._progress

    @property
    def has_ended(self) -> bool:
        """Whether the loop was stopped, and its session is closed."""
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Ask the loop to end after its current step."""
        self._stopping.set()

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            try:
                rotation = Rotation(CONNECTIONS)
                with self._open_session(self._stopping) as session:
                    began = time.monotonic()
                    while not (self._stopping.is_set() or self._is_over(rotation)):
                        handled = self._step(session)
                        if handled or time.monotonic() - began > MAX_PAUSE_S:  # an idle one handles nothing
                            pause_s = FIRST_PAUSE_S
            except (DependencyUnavailable, Fenced, SettingsError) as error:
                log.warning("backing off", worker=self._name, reason=str(error), pause_s=pause_s)
                self._back_off(str(error), pause_s)
                pause_s = min(2 * pause_s, MAX_PAUSE_S)
            except TooManyDeadLetters as error:
                reason = str(error)
                log.error("stopped by too many dead letters", worker=self._name, reason=reason)  # noqa: TRY400  # the whole text
                self._doubted_until = time.monotonic() + DOUBT_S
                self._back_off(reason, MAX_PAUSE_S)
            except BaseException:
                log.exception("consumer crashed", worker=self._name)
                os._exit(1)  # the thread is the actor: Ray starts it anew

    def _is_over(self, rotation: Rotation) -> bool:
        """Whether a secret has changed: the session ends in order, and the next one reads the new one."""
        if not self._rotation_interval.is_due():
            return False
        changed = rotation.changed()
        if changed:
            log.info("secrets changed", worker=self._name, settings=[kind.__name__ for kind in changed])
        if PostgresSettings in changed:
            self._pool.drain()
        return bool(changed)

    def _step(self, session: Session) -> int:
        handled = session.step(POLL_S)
        progress = self._progress
        now = progress.note_poll()
        if time.monotonic() >= self._doubted_until:
            progress.state, progress.detail = "running", session.detail()
        if handled:
            progress.handled += handled
            metrics.HANDLED.inc(handled, tags={"kind": self._kind})
            progress.last_batch_at = now
        if self._lag_interval.is_due():
            progress.partitions = tuple(session.owned())
            progress.lag = session.lag()
            if progress.lag is not None:
                metrics.LAG.set(progress.lag, tags={"kind": self._kind, "worker": self._name})
        if self._memory_interval.is_due():
            return_freed_memory()
        return handled

    def _back_off(self, reason: str, pause_s: float) -> None:
        progress = self._progress
        progress.state, progress.detail, progress.partitions, progress.lag = "backing-off", reason, (), None
        progress.note_poll()
        self._lag_interval.reset()
        metrics.BACKED_OFF.inc(1, tags={"kind": self._kind})
        self._stopping.wait(pause_s * random.uniform(0.5, 1.0))

    def _heartbeat(self) -> Heartbeat:
        progress = self._progress
        return Heartbeat(
            name=self._name,
            kind=self._kind,
            state=progress.state,
            detail=self._stalls.detail(progress.idle_s) or progress.detail,
            partitions=list(progress.partitions),
            lag=progress.lag,
            started_at=self._started_at,
            last_poll_at=progress.last_poll_at,
            last_batch_at=progress.last_batch_at,
            handled=progress.handled,
            pid=os.getpid(),
            node=socket.gethostname(),
        )
