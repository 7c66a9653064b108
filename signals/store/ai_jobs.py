"""Summary jobs: enqueue, lease, and finish under the fence of the lease.

A job walks queued -> running -> succeeded, failed, or queued again. Every time here is the
database's `now()`; every change of a running job repeats its lease in WHERE.
"""

from typing import Final, LiteralString
from uuid import UUID

from signals.clients.postgres import Connection

JOB_TYPE: Final = "incident_summary"  # specification: AI jobs and outputs
MAX_ATTEMPTS: Final = 3  # specification: marks failed after 3

ENQUEUE: LiteralString = """
INSERT INTO ai_jobs (id, incident_id, job_type, status, attempt_count, max_attempts, run_after,
                     leased_until, last_error, created_at, updated_at)
VALUES (%(job_id)s, %(incident_id)s, %(job_type)s, 'queued', 0, %(max_attempts)s, now(),
        NULL, NULL, now(), now())
ON CONFLICT (incident_id, job_type) WHERE status IN ('queued', 'running') DO NOTHING
"""


def enqueue(connection: Connection, *, job_id: UUID, incident_id: UUID) -> bool:
    """Queue a summary of the incident in the caller's transaction; False when one is queued or running."""
    values = {
        "job_id": job_id,
        "incident_id": incident_id,
        "job_type": JOB_TYPE,
        "max_attempts": MAX_ATTEMPTS,
    }
    return connection.execute(ENQUEUE, values).rowcount == 1
