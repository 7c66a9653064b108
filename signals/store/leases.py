"""Leases of a queue's jobs: take, renew and finish, under the fence of the lease.

A job walks queued -> running -> succeeded, failed, or queued again. Every time here is the database's
`now()`; every change of a running job repeats its lease in WHERE. A queue is a table with at least the
columns id, status, attempt_count, max_attempts, run_after, leased_until, last_error and updated_at.
"""

from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Generic, LiteralString, TypeVar
from uuid import UUID

from psycopg import sql
from psycopg.rows import class_row

from signals.clients.postgres import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A running job and the right to finish it: `leased_until` is the fencing token.

    `attempt_count` counts failed attempts, a rescued job's lost one included.
    """

    job_id: UUID
    attempt_count: int
    max_attempts: int
    leased_until: datetime
    last_error: str | None

    @property
    def is_exhausted(self) -> bool:
        """Whether the lost attempt of a rescued job was its last."""
        return self.attempt_count >= self.max_attempts


L = TypeVar("L", bound=Lease)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue(Generic[L]):
    """A table of jobs (`schema.name`, or a name in the default schema), and the lease of one job.

    Each field that `lease_type` adds to `Lease` is a column of the table. `first` says in SQL which of the
    due jobs (`due_job`) come first; ties go by id.
    """

    table: LiteralString
    lease_type: type[L]
    first: LiteralString = "run_after"
    shared_by: LiteralString | None = None
    """A column: of the jobs with one value of it, at most `at_once` run at a time."""
    at_once: int = 1

    def query(self, text: LiteralString) -> sql.Composed:
        """Return the query with this queue's names in place of `{table}` and `{own}`."""
        ours = {field.name for field in fields(Lease)}
        own = [
            sql.SQL(", {}").format(sql.Identifier("job", field.name))
            for field in fields(self.lease_type)
            if field.name not in ours
        ]
        return sql.SQL(text).format(
            table=sql.Identifier(*self.table.split(".")),
            own=sql.Composed(own),
            first=sql.SQL(self.first),
            room=self._room(),
        )

    def _room(self) -> sql.Composable:
        """Return the condition that few enough jobs beside `due_job` are running.

        Two leases at the same instant may both see room, so the limit may briefly be exceeded.
        """
        if self.shared_by is None:
            return sql.SQL("")
        return sql.SQL(
            " AND (SELECT count(*) FROM {table} other WHERE other.{column} = due_job.{column}"
            " AND other.status = 'running' AND other.leased_until >= now()) < {at_once}"
        ).format(
            table=sql.Identifier(*self.table.split(".")),
            column=sql.Identifier(self.shared_by),
            at_once=sql.Literal(self.at_once),
        )


LEASE: LiteralString = """
WITH due AS (
    SELECT id, status = 'running' AS lost
    FROM {table} AS due_job
    WHERE ((status = 'queued' AND run_after <= now() AND (leased_until IS NULL OR leased_until < now()))
       OR (status = 'running' AND leased_until < now())){room}
    ORDER BY {first}, id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
UPDATE {table} AS job
SET status = 'running',
    leased_until = now() + %(lease)s,
    attempt_count = least(job.attempt_count + due.lost::int, job.max_attempts),
    last_error = CASE WHEN due.lost THEN 'the worker was lost in mid-call' ELSE job.last_error END,
    updated_at = now()
FROM due
WHERE job.id = due.id
RETURNING job.id AS job_id, job.attempt_count, job.max_attempts, job.leased_until, job.last_error{own}
"""


def lease(connection: Connection, queue: Queue[L], *, lease: timedelta) -> L | None:
    """Take the first due job that no other transaction is taking, else None.

    A running job whose lease has expired is due too: its worker is taken for dead, which counts as an
    attempt. Source: docs/requirements.md, R28.
    """
    with connection.cursor(row_factory=class_row(queue.lease_type)) as cursor:
        return cursor.execute(queue.query(LEASE), {"lease": lease}).fetchone()


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
