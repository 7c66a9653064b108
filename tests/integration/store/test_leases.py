"""Any table with the columns of a queue can be leased from; the fence is the same for all."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, LiteralString

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection
from signals.store import leases
from signals.store.queues import Lease, Queue

MINUTE: Final = timedelta(minutes=1)
EXPIRED: Final = timedelta(seconds=-1)

CREATE: LiteralString = """
CREATE TABLE pipeline.letters (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), receiver text NOT NULL, status text NOT NULL,
    attempt_count int NOT NULL DEFAULT 0, max_attempts int NOT NULL DEFAULT 3,
    run_after timestamptz NOT NULL DEFAULT now(), leased_until timestamptz, last_error text,
    updated_at timestamptz NOT NULL DEFAULT now()
)
"""
POST: LiteralString = "INSERT INTO pipeline.letters (receiver, status) VALUES ('on call', 'queued')"


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterLease(Lease):
    """A lease of a letter to deliver."""

    receiver: str


LETTERS: Final = Queue(table="pipeline.letters", lease_type=LetterLease, shared_by="receiver", at_once=2)


@pytest.fixture
def connection(pool: ConnectionPool[Connection]) -> Iterator[Connection]:
    """A second queue with one job due; every statement is a transaction of its own."""
    with pool.connection() as connection:
        connection.autocommit = True
        connection.execute(CREATE)
        connection.execute(POST)
        yield connection
        connection.execute("DROP TABLE pipeline.letters")
        connection.autocommit = False


def take(connection: Connection, *, lease: timedelta = MINUTE) -> LetterLease:
    """Lease the only letter."""
    held = leases.lease(connection, LETTERS, lease=lease)
    assert held is not None
    return held


def test_a_lease_carries_the_columns_of_its_own_table(connection: Connection) -> None:
    held = take(connection)
    assert (held.receiver, held.attempt_count, held.last_error) == ("on call", 0, None)
    assert leases.lease(connection, LETTERS, lease=MINUTE) is None
    assert leases.count_by_status(connection, LETTERS) == {"running": 1}


def test_only_the_newest_token_finishes_a_job(connection: Connection) -> None:
    first = take(connection)
    renewed = leases.renew(connection, LETTERS, first, lease=2 * MINUTE)
    assert renewed is not None
    assert leases.renew(connection, LETTERS, first, lease=MINUTE) is None
    assert leases.succeed(connection, LETTERS, first) == 0
    assert leases.fail(connection, LETTERS, first, attempt_count=1, error="no") == 0
    assert leases.retry_later(connection, LETTERS, first, attempt_count=1, delay=MINUTE, error="no") == 0
    assert leases.succeed(connection, LETTERS, renewed) == 1
    assert leases.count_by_status(connection, LETTERS) == {"succeeded": 1}


def test_a_rescue_counts_as_an_attempt_and_fences_the_late_worker(connection: Connection) -> None:
    late = take(connection, lease=EXPIRED)
    assert leases.count_due(connection, LETTERS) == 1
    rescued = take(connection)
    assert (rescued.attempt_count, rescued.last_error) == (1, "the worker was lost in mid-call")
    assert leases.succeed(connection, LETTERS, late) == 0
    assert leases.fail(connection, LETTERS, rescued, attempt_count=3, error="refused") == 1
    assert leases.count_by_status(connection, LETTERS) == {"failed": 1}


def test_a_job_waits_for_its_backoff(connection: Connection) -> None:
    held = take(connection)
    assert leases.retry_later(connection, LETTERS, held, attempt_count=1, delay=MINUTE, error="busy") == 1
    assert leases.count_due(connection, LETTERS) == 0
    assert leases.lease(connection, LETTERS, lease=MINUTE) is None
    connection.execute("UPDATE pipeline.letters SET run_after = now()")
    again = take(connection)
    assert (again.attempt_count, again.last_error) == (1, "busy")


def take_several(connection: Connection, *, most: int = 10, lease: timedelta = MINUTE) -> list[str]:
    """Lease letters, and return whom they are for."""
    return sorted(one.receiver for one in leases.lease_several(connection, LETTERS, lease=lease, most=most))


def test_several_jobs_are_leased_with_a_bound_for_each_receiver(connection: Connection) -> None:
    for receiver in 3 * ("support", "on call"):
        connection.execute(
            "INSERT INTO pipeline.letters (receiver, status) VALUES (%s, 'queued')", [receiver]
        )
    assert take_several(connection, most=3) == ["on call", "on call", "support"]
    assert take_several(connection) == ["support"]
    assert take_several(connection) == []
    connection.execute("UPDATE pipeline.letters SET leased_until = now() - interval '1 second'")
    assert take_several(connection) == ["on call", "on call", "support", "support"]
    rescued = connection.execute("SELECT count(*) FROM pipeline.letters WHERE attempt_count = 1").fetchone()
    assert rescued is not None
    assert 2 <= rescued[0] <= 4  # the others were not leased before


def test_two_workers_that_lease_at_once_get_different_jobs(
    connection: Connection, pool: ConnectionPool[Connection]
) -> None:
    with pool.connection() as other:
        mine = take_several(other)  # not committed
        assert take_several(connection) == []
        assert mine == ["on call"]


def test_several_jobs_wait_for_their_backoff(connection: Connection) -> None:
    connection.execute("UPDATE pipeline.letters SET run_after = now() + interval '1 minute'")
    assert take_several(connection) == []
