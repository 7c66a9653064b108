"""Queues of jobs in tables, and the lease of one job; `signals.store.leases` takes and finishes them.

A job walks queued -> running -> succeeded, failed, or queued again. A queue is a table with at least the
columns id, status, attempt_count, max_attempts, run_after, leased_until, last_error and updated_at.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any, Generic, LiteralString, TypeVar
from uuid import UUID

from psycopg import sql


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A running job and the right to finish it: `leased_until` is the fencing token.

    `attempt_count` counts failed attempts, a rescued job's lost one included; `is_rescued`: the last one was.
    """

    job_id: UUID
    attempt_count: int
    max_attempts: int
    leased_until: datetime
    last_error: str | None
    is_rescued: bool = False

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
    shared_by: LiteralString = "id"
    """A column: `lease_several` lets at most `at_once` jobs with one value of it run at a time."""
    at_once: int = 1

    def query(self, text: LiteralString) -> bytes:
        """Return the query with this queue's names in place of `{table}` and the like."""
        return _query(self, text)


IS_DUE: LiteralString = """run_after <= now()
    AND ((status = 'queued' AND (leased_until IS NULL OR leased_until < now()))
         OR (status = 'running' AND leased_until < now()))"""
TAKE: LiteralString = """
UPDATE {table} AS job
SET status = 'running',
    leased_until = now() + %(lease)s,
    attempt_count = least(job.attempt_count + due.lost::int, job.max_attempts),
    last_error = CASE WHEN due.lost THEN 'the worker was lost in mid-call' ELSE job.last_error END,
    updated_at = now()
FROM due
WHERE job.id = due.id
RETURNING job.id AS job_id, job.attempt_count, job.max_attempts, job.leased_until, job.last_error,
          due.lost AS is_rescued{own}
"""


@cache
def _query(queue: Queue[Any], text: LiteralString) -> bytes:
    ours = {field.name for field in fields(Lease)}
    own = [
        sql.SQL(", {}").format(sql.Identifier("job", field.name))
        for field in fields(queue.lease_type)
        if field.name not in ours
    ]
    table = sql.Identifier(*queue.table.split("."))
    query = sql.SQL(text).format(
        table=table,
        take=sql.SQL(TAKE).format(table=table, own=sql.Composed(own)),
        is_due=sql.SQL(IS_DUE),
        first=sql.SQL(queue.first),
        shared_by=sql.Identifier(queue.shared_by),
        at_once=sql.Literal(queue.at_once),
    )
    return query.as_bytes(None)
