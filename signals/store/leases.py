"""Leases of a queue's jobs: take, renew and finish, under the fence of the lease.

Every time here is the database's `now()`; every change of a running job repeats its lease in WHERE.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from signals.clients.postgres import Connection
from signals.store.queues import L, Queue

LEASE: LiteralString = """
WITH due AS (
    SELECT id, status = 'running' AS lost
    FROM {table} AS due_job
    WHERE (status = 'queued' AND run_after <= now() AND (leased_until IS NULL OR leased_until < now()))
       OR (status = 'running' AND leased_until < now())
    ORDER BY {first}, id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
{take}
"""


def lease(connection: Connection, queue: Queue[L], *, lease: timedelta) -> L | None:
    """Take the first due job that no other transaction is taking, else None.

    A running job whose lease has expired is due too: its worker is taken for dead, which counts as an
    attempt. Source: docs/requirements.md, R28.
    """
    with connection.cursor(row_factory=class_row(queue.lease_type)) as cursor:
        return cursor.execute(queue.query(LEASE), {"lease": lease}).fetchone()


# The recursion looks up one value of the shared column after the other, so that a long queue of one of them
# costs the others nothing. It needs an index on that column, run_after and id of what is queued or running.
LEASE_SEVERAL: LiteralString = """
WITH RECURSIVE place AS (
    (SELECT {shared_by} AS value FROM {table} WHERE status IN ('queued', 'running')
     ORDER BY {shared_by} LIMIT 1)
    UNION ALL
    SELECT (SELECT {shared_by} FROM {table}
            WHERE status IN ('queued', 'running') AND {shared_by} > place.value
            ORDER BY {shared_by} LIMIT 1)
    FROM place WHERE place.value IS NOT NULL
), found AS (
    SELECT first_of.id
    FROM place CROSS JOIN LATERAL (
        SELECT id, run_after FROM {table}
        WHERE {shared_by} = place.value AND {is_due}
        ORDER BY run_after, id
        LIMIT greatest(0, {at_once} - (
            SELECT count(*) FROM {table}
            WHERE {shared_by} = place.value AND status = 'running' AND leased_until >= now()))
    ) AS first_of
    ORDER BY first_of.run_after, first_of.id
    LIMIT %(most)s
), locked AS (
    SELECT id, status, run_after, leased_until
    FROM {table}
    WHERE id = ANY(ARRAY(SELECT id FROM found))
    FOR UPDATE SKIP LOCKED
), due AS (
    SELECT id, status = 'running' AS lost
    FROM locked
    WHERE {is_due}
)
{take}
"""


def lease_several(connection: Connection, queue: Queue[L], *, lease: timedelta, most: int) -> list[L]:
    """Take up to `most` due jobs, as `lease` does, at most `at_once` of each value of the shared column.

    Two callers at the same instant choose the same jobs; each is taken by one of them.
    """
    with connection.cursor(row_factory=class_row(queue.lease_type)) as cursor:
        return cursor.execute(queue.query(LEASE_SEVERAL), {"lease": lease, "most": most}).fetchall()


LOCK: LiteralString = "SELECT id FROM {table} WHERE id = ANY(%(ids)s) ORDER BY id FOR NO KEY UPDATE"


def lock(connection: Connection, queue: Queue[L], ids: Iterable[UUID]) -> None:
    """Lock jobs in the order of their ids: two transactions that change several cannot deadlock."""
    connection.execute(queue.query(LOCK), {"ids": list(ids)})


RENEW: LiteralString = """
UPDATE {table}
SET leased_until = now() + %(lease)s, updated_at = now()
WHERE id = %(job_id)s AND status = 'running' AND leased_until = %(token)s
RETURNING leased_until
"""


def renew(connection: Connection, queue: Queue[L], held: L, *, lease: timedelta) -> L | None:
    """Extend the lease and return it with its new token; None when it is no longer ours."""
    values = {"job_id": held.job_id, "token": held.leased_until, "lease": lease}
    row = connection.execute(queue.query(RENEW), values).fetchone()
    return None if row is None else replace(held, leased_until=row[0])


SUCCEED: LiteralString = """
UPDATE {table}
SET status = 'succeeded', leased_until = NULL, updated_at = now()
WHERE id = %(job_id)s AND status = 'running' AND leased_until = %(token)s
"""


def succeed(connection: Connection, queue: Queue[L], held: L) -> int:
    """Finish the job; 0 when the lease is no longer ours. `last_error` keeps what went wrong before."""
    values = {"job_id": held.job_id, "token": held.leased_until}
    return connection.execute(queue.query(SUCCEED), values).rowcount


RETRY_LATER: LiteralString = """
UPDATE {table}
SET status = 'queued', leased_until = NULL, attempt_count = %(attempt_count)s,
    run_after = now() + %(delay)s, last_error = %(error)s, updated_at = now()
WHERE id = %(job_id)s AND status = 'running' AND leased_until = %(token)s
"""


def retry_later(
    connection: Connection, queue: Queue[L], held: L, *, attempt_count: int, delay: timedelta, error: str
) -> int:
    """Queue the job again after `delay`; 0 when the lease is no longer ours."""
    fence = {"job_id": held.job_id, "token": held.leased_until}
    values = {"attempt_count": attempt_count, "delay": delay, "error": error}
    return connection.execute(queue.query(RETRY_LATER), fence | values).rowcount


FAIL: LiteralString = """
UPDATE {table}
SET status = 'failed', leased_until = NULL, attempt_count = %(attempt_count)s, last_error = %(error)s,
    updated_at = now()
WHERE id = %(job_id)s AND status = 'running' AND leased_until = %(token)s
"""


def fail(connection: Connection, queue: Queue[L], held: L, *, attempt_count: int, error: str) -> int:
    """Give the job up for good; 0 when the lease is no longer ours."""
    fence = {"job_id": held.job_id, "token": held.leased_until}
    values = {"attempt_count": attempt_count, "error": error}
    return connection.execute(queue.query(FAIL), fence | values).rowcount


COUNT_DUE: LiteralString = """
SELECT count(*) FROM {table}
WHERE (status = 'queued' AND run_after <= now()) OR (status = 'running' AND leased_until < now())
"""


def count_due(connection: Connection, queue: Queue[L]) -> int:
    """Return how many jobs wait for a worker now."""
    row = connection.execute(queue.query(COUNT_DUE)).fetchone()
    assert row is not None
    return int(row[0])


COUNT_BY_STATUS: LiteralString = "SELECT status, count(*) FROM {table} GROUP BY status"


def count_by_status(connection: Connection, queue: Queue[L]) -> dict[str, int]:
    """Return how many jobs are in each state; absent means none."""
    return dict(connection.execute(queue.query(COUNT_BY_STATUS)).fetchall())
