"""Summary jobs: the queue, and how one is enqueued. `signals.store.leases` says how a job is worked on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, LiteralString
from uuid import UUID

import orjson

from signals.clients.postgres import Connection
from signals.store.queues import Lease, Queue

JOB_TYPE: Final = "incident_summary"  # requirement R20
MAX_ATTEMPTS: Final = 3  # requirement R29


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLease(Lease):
    """A lease of the job that summarizes an incident."""

    incident_id: UUID


# Severe incidents first; among equals the project with the fewest jobs under way, so that a flood of one
# project delays no other; then the longest due.
FAIR: LiteralString = """
(SELECT array_position(ARRAY['critical', 'error', 'warn'], i.severity)
 FROM incidents i WHERE i.id = due_job.incident_id),
(SELECT count(*) FROM ai_jobs busy JOIN incidents theirs ON theirs.id = busy.incident_id
 WHERE busy.status = 'running' AND theirs.project_id =
       (SELECT i.project_id FROM incidents i WHERE i.id = due_job.incident_id)),
run_after
"""
QUEUE: Final = Queue(table="ai_jobs", lease_type=JobLease, first=FAIR)

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


POSTPONE: LiteralString = """
UPDATE ai_jobs
SET status = 'queued', leased_until = NULL, run_after = now() + %(delay)s, updated_at = now()
WHERE id = %(job_id)s AND status = 'running' AND leased_until = %(token)s
"""


def postpone(connection: Connection, held: JobLease, *, delay: timedelta) -> bool:
    """Queue a job again, at no attempt's cost; False when the lease is no longer ours."""
    values = {"job_id": held.job_id, "token": held.leased_until, "delay": delay}
    return connection.execute(POSTPONE, values).rowcount == 1


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
