"""Writes a consumer's heartbeats, which `/readyz` and `signals status` read."""

import os
import threading
from collections.abc import Callable
from typing import Final

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.errors import DependencyUnavailable
from signals.store.operations import workers
from signals.store.operations.workers import Heartbeat

HEARTBEAT_S: Final = 3.0
STARTING_S: Final = 0.5  # until the first poll: a start is seen soon

log = structlog.get_logger(__name__)


def start_heartbeats(
    pool: ConnectionPool[Connection], current: Callable[[], Heartbeat], stopping: threading.Event
) -> None:
    """Write `current` until `stopping`, in a thread: a slow PostgreSQL must not slow the consumer."""
    name = f"{current().name}-heartbeat"
    threading.Thread(target=_beat, args=(pool, current, stopping), name=name, daemon=True).start()


def _beat(
    pool: ConnectionPool[Connection], current: Callable[[], Heartbeat], stopping: threading.Event
) -> None:
    while not stopping.wait(HEARTBEAT_S if current().last_poll_at else STARTING_S):
        try:
            heartbeat = current()
            with transaction(pool) as connection:
                workers.beat(connection, heartbeat)
        except DependencyUnavailable as error:
            log.warning("heartbeat not written", worker=heartbeat.name, reason=error.reason)
        except BaseException:
            log.exception("heartbeat crashed", thread=threading.current_thread().name)
            os._exit(1)  # without heartbeats a working consumer would look dead indefinitely
