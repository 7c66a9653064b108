"""Summary jobs: enqueue, lease, and finish under the fence of the lease.

A job walks queued -> running -> succeeded, failed, or queued again. Every time here is the
database's `now()`; every change of a running job repeats its lease in WHERE.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, LiteralString
from uuid import UUID

import orjson
from psycopg.rows import class_row

from signals.clients.postgres import Connection

JOB_TYPE: Final = "incident_summary"  # requirement R20
MAX_ATTEMPTS: Final = 3  # requirement R29

# Sorted by incident: concurrent writers then meet the unique index in one order.
ENQUEUE: LiteralString = """
INSERT INTO ai_jobs (id, incident_id, job_type, status, attempt_count, max_attempts, run_after,
                     leased_until, last_error, created_at, updated_at)
SELECT r.job_id, r.incident_id, %(job_type)s, 'queued', 0, %(max_attempts)s, now(), NULL, NULL, now(), now()
FROM json_to_recordset(%(rows)s::json) AS r(job_id uuid, incident_id uuid)
ORDER BY r.incident_id
ON CONFLICT (incident_id, job_type) WHERE status IN ('queued', 'running') DO NOTHING
RETURNING id
"""


def enqueue_all(connection: Connection, incident_ids: Mapping[UUID, UUID]) -> list[UUID]:
    """Queue summaries, of incidents by the new job's id, in the caller's transaction, in one statement.

    Returns the ids of new jobs: none for an incident with a job queued or running.
    """
    rows = [{"job_id": job_id, "incident_id": incident} for job_id, incident in incident_ids.items()]
    values = {"rows": orjson.dumps(rows).decode(), "job_type": JOB_TYPE, "max_attempts": MAX_ATTEMPTS}
    return [job_id for (job_id,) in connection.execute(ENQUEUE, values)]


def enqueue(connection: Connection, *, job_id: UUID, incident_id: UUID) -> bool:
    """Queue a summary of the incident in the caller's transaction; False when one is queued or running."""
    return bool(enqueue_all(connection, {job_id: incident_id}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A running job and the right to finish it: `leased_until` is the fencing token.

    `attempt_count` counts failed attempts, a rescued job's lost one included.
    """

    job_id: UUID
    incident_id: UUID
    attempt_count: int
    max_attempts: int
    leased_until: datetime
    last_error: str | None

    @property
    def is_exhausted(self) -> bool:
        """Whether the lost attempt of a rescued job was its last."""
        return self.attempt_count >= self.max_attempts


LEASE: LiteralString = """
WITH due AS (
    SELECT id, status = 'running' AS lost
    FROM ai_jobs
    WHERE (status = 'queued' AND run_after <= now() AND (leased_until IS NULL OR leased_until < now()))
       OR (status = 'running' AND leased_until < now())
    ORDER BY run_after, id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
UPDATE ai_jobs AS job
SET status = 'running',
    leased_until = now() + %(lease)s,
    attempt_count = least(job.attempt_count + due.lost::int, job.max_attempts),
    last_error = CASE WHEN due.lost THEN 'the worker was lost in mid-call' ELSE job.last_error END,
    updated_at = now()
FROM due
WHERE job.id = due.id
RETURNING job.id AS job_id, job.incident_id, job.attempt_count, job.max_attempts, job.leased_until,
          job.last_error
"""


def lease(connection: Connection, *, lease: timedelta) -> Lease | None:
    """Take the longest due job, None when there is none that nobody else is taking.

    A running job whose lease has expired is due too: its worker is taken for dead, which counts as an
    attempt. Source: docs/requirements.md, R28.
    """
    with connection.cursor(row_factory=class_row(Lease)) as cursor:
        return cursor.execute(LEASE, {"lease": lease}).fetchone()


RENEW: LiteralString = """
UPDATE ai_jobs
SET leased_until = now() + %(lease)s, updated_at = now()
WHERE id = %(job_id)s AND status = 'running' AND leased_until = %(token)s
RETURNING leased_until
"""


def renew(connection: Connection, held: Lease, *, lease: timedelta) -> Lease | None:
    """Extend the lease and return it with its new token; None when it is no longer ours."""
    row = connection.execute(
        RENEW, {"job_id": held.job_id, "token": held.leased_until, "lease": lease}
    ).fetchone()
    return None if row is None else replace(held, leased_until=row[0])


SUCCEED: LiteralString = """
UPDATE ai_jobs
SET status = 'succeeded', leased_until = NULL, updated_at = now()
WHERE id = %(job_id)s AND status = 'running' AND leased_until = %(token)s
"""


def succeed(connection: Connection, held: Lease) -> int:
    """Finish the job; 0 when the lease is no longer ours. `last_error` keeps what went wrong before."""
    return connection.execute(SUCCEED, {"job_id": held.job_id, "token": held.leased_until}).rowcount


RETRY_LATER: LiteralString = """
UPDATE ai_jobs
SET status = 'queued', leased_until = NULL, attempt_count = %(attempt_count)s,
    run_after = now() + %(delay)s, last_error = %(error)s, updated_at = now()
WHERE id = %(job_id)s AND status = 'running' AND leased_until = %(token)s
"""


def retry_later(
    connection: Connection, held: Lease, *, attempt_count: int, delay: timedelta, error: str
) -> int:
    """Queue the job again after `delay`; 0 when the lease is no longer ours."""
    values = {"attempt_count": attempt_count, "delay": delay, "error": error}
    return connection.execute(
        RETRY_LATER, {"job_id": held.job_id, "token": held.leased_until, **values}
    ).rowcount


FAIL: LiteralString = """
UPDATE ai_jobs
SET status = 'failed', leased_until = NULL, attempt_count = %(attempt_count)s, last_error = %(error)s,
    updated_at = now()
WHERE id = %(job_id)s AND status = 'running' AND leased_until = %(token)s
"""


def fail(connection: Connection, held: Lease, *, attempt_count: int, error: str) -> int:
    """Give the job up for good; 0 when the lease is no longer ours."""
    values = {"attempt_count": attempt_count, "error": error}
    return connection.execute(FAIL, {"job_id": held.job_id, "token": held.leased_until, **values}).rowcount


COUNT_DUE: LiteralString = """
SELECT count(*) FROM ai_jobs
WHERE (status = 'queued' AND run_after <= now()) OR (status = 'running' AND leased_until < now())
"""


def count_due(connection: Connection) -> int:
    """Return how many jobs wait for a worker now."""
    row = connection.execute(COUNT_DUE).fetchone()
    assert row is not None
    return int(row[0])


COUNT_BY_STATUS: LiteralString = "SELECT status, count(*) FROM ai_jobs GROUP BY status"


def count_by_status(connection: Connection) -> dict[str, int]:
    """Return how many jobs are in each state; absent means none."""
    return dict(connection.execute(COUNT_BY_STATUS).fetchall())
