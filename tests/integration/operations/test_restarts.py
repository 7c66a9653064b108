"""A consumer that dies again and again is named, though each of its processes says that it runs."""

import os
import subprocess
import sys
from datetime import timedelta
from typing import Final

from psycopg_pool import ConnectionPool

from signals.cli.status import state_of
from signals.clients.postgres import Connection, transaction
from signals.domain.ledger import Audit
from signals.services.operations.readiness import ExpectedActor, ReadinessCheck
from signals.settings import PostgresSettings
from signals.store.operations import workers
from signals.store.operations.workers import RESTARTS_WITHIN

PROGRAM: Final = """
import os, threading
from contextlib import contextmanager
from actors.consumers import Consumer

class Dying(Consumer):
    def __init__(self):
        super().__init__("notifier-0", "notifier", connections=2)
        self.start(self._session)

    @contextmanager
    def _session(self, stopping):
        yield self

    def step(self, timeout_s):
        with self.pool.connection() as connection:
            mine = "SELECT count(*) FROM pipeline.workers WHERE pid = %s AND state = 'running'"
            if connection.execute(mine, [os.getpid()]).fetchone()[0]:
                raise RuntimeError("a fault of the program")
        threading.Event().wait(0.05)
        return 0

    def owned(self):
        return []

    def lag(self):
        return 0

    def detail(self):
        return ""

Dying()
threading.Event().wait()
"""
"""An actor that dies as soon as its heartbeat said that it runs."""


def die(database: PostgresSettings) -> None:
    """Run the actor until it dies by itself."""
    environment = os.environ | {
        "DATABASE_URL": database.database_url.get_secret_value(),
        "PG_SSLMODE": "disable",
    }
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.DEVNULL, timeout=240, check=False
    )
    assert ended.returncode == 1


def readiness(pool: ConnectionPool[Connection]) -> list[ExpectedActor]:
    check = ReadinessCheck(pool, {}, lambda: Audit(state="balanced", missing={}), tuple)
    check.expect(["notifier-0"])
    try:
        return check.check().actors
    finally:
        check.close()


def test_consumer_that_dies_again_and_again_is_named(
    pool: ConnectionPool[Connection], database: PostgresSettings
) -> None:
    die(database)
    with transaction(pool) as connection:
        [first] = workers.list_all(connection)
    assert (first.restarts, state_of(first)) == (0, "running")
    for _ in range(2):
        die(database)
    [actor] = readiness(pool)
    assert (actor.name, actor.restarts) == ("notifier-0", 2)
    with transaction(pool) as connection:
        [worker] = workers.list_all(connection)
    assert state_of(worker) == "running, restarted 2 times in the last 10 minutes"


def test_restarts_are_forgotten_after_ten_minutes(
    pool: ConnectionPool[Connection], database: PostgresSettings
) -> None:
    for _ in range(2):
        die(database)
    with transaction(pool) as connection:
        connection.execute(
            "UPDATE pipeline.workers SET starts = ARRAY(SELECT at - %s FROM unnest(starts) AS at)",
            [RESTARTS_WITHIN + timedelta(seconds=1)],
        )
        [worker] = workers.list_all(connection)
    assert worker.restarts == 0
