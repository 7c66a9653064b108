"""Processes that group and settle in parallel are killed at any moment: nothing is half or twice done."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Final, LiteralString

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.settings import PostgresSettings
from signals.store.incidents import outage_states
from tests.integration.incidents.shop import Shop
from tests.support.waiting import pause

KILLS: Final = 8

BROKEN: Final[dict[str, LiteralString]] = {
    "incident in no outage": """
        SELECT count(*) FROM incidents i
        WHERE NOT EXISTS (SELECT FROM pipeline.outage_members m WHERE m.incident_id = i.id)
    """,
    "outage without an incident": """
        SELECT count(*) FROM pipeline.outages o WHERE o.merged_into IS NULL
          AND NOT EXISTS (SELECT FROM pipeline.outage_members m WHERE m.outage_id = o.id)
    """,
    "incident in a merged outage": """
        SELECT count(*) FROM pipeline.outage_members m JOIN pipeline.outages o ON o.id = m.outage_id
        WHERE o.merged_into IS NOT NULL
    """,
    "cause without its numbers": """
        SELECT count(*) FROM pipeline.outages
        WHERE (cause_attribute IS NULL) <> (fired_series IS NULL)
           OR (cause_attribute IS NULL) <> (active_series IS NULL)
    """,
    "window that is half settled": """
        SELECT count(*) FROM pipeline.outages o JOIN pipeline.outages w ON w.id = o.window_id
        WHERE (o.settled_at IS NULL) <> (w.settled_at IS NULL)
    """,
    "window that is never settled": "SELECT count(*) FROM pipeline.outages WHERE settled_at IS NULL",
}


@contextmanager
def grouper(database: PostgresSettings, name: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process that groups, until it is killed here at the latest."""
    environment = os.environ | {"DATABASE_URL": database.database_url.get_secret_value()}
    command = [sys.executable, "-m", "tests.integration.incidents.grouper", name, name]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.timeout(600)
def test_killed_processes_leave_nothing_half_done(
    database: PostgresSettings, pool: ConnectionPool[Connection]
) -> None:
    random = Random(13)
    with grouper(database, "steady") as steady:
        for number in range(KILLS):
            with grouper(database, f"victim{number}-") as victim:
                assert victim.stdout
                for _ in range(random.randint(1, 4)):
                    assert victim.stdout.readline()
                pause(random.uniform(0, 0.05))  # into the middle of a step
                os.kill(victim.pid, signal.SIGKILL)
                victim.wait()
        assert steady.poll() is None, "the other process goes on beside them"
    shop = Shop(pool)
    shop.pass_minutes(11)  # adopts: nothing may be left to adopt
    shop.pass_minutes(11)
    with transaction(pool) as connection:
        (incidents, own) = connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE o.id = m.incident_id)"
            " FROM pipeline.outage_members m JOIN pipeline.outages o ON o.id = m.outage_id"
        ).fetchone() or (0, 0)
        assert incidents >= KILLS
        assert own == 0, "an incident was adopted that its own transaction should have grouped"
        found = {name: connection.execute(query).fetchone() for name, query in BROKEN.items()}
        assert found == dict.fromkeys(BROKEN, (0,))
        assert outage_states.follow_lively(connection) == 0
