"""Rows for the summarizer's tests, and what became of them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import LiteralString
from uuid import UUID, uuid4

from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.store.summary import ai_jobs

Pool = ConnectionPool[Connection]

OLD_TITLE = "UPSTREAM_TIMEOUT on /checkout in prod"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """One job as stored; `wait` is how long after its last change it may run."""

    id: UUID
    incident_id: UUID
    status: str
    attempt_count: int
    wait: timedelta
    leased_until: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRow:
    """One summary as stored."""

    incident_id: UUID
    output_type: str
    model: str
    content_json: dict[str, object]


INCIDENT: LiteralString = """
INSERT INTO incidents (id, org_id, project_id, environment, fingerprint, status, severity, title, opened_at,
                       last_seen_at)
VALUES (%(id)s, 'org_a', 'proj_a', 'prod', %(fingerprint)s, 'open', 'error', %(title)s,
        now() - interval '12 minutes', now())
"""
EVALUATION: LiteralString = """
INSERT INTO pipeline.incident_evaluations (incident_id, moment, rule, minute_at, count, baseline, threshold,
                                           window_minutes)
VALUES (%(id)s, 'opened', 'error-spike', now() - interval '12 minutes', 31, 2, 30, 5),
       (%(id)s, 'latest', 'error-spike', now(), 1240, 2.5, 30, 5)
"""
EVENT: LiteralString = """
INSERT INTO incident_events (incident_id, event_id, occurred_at, event_type, severity, attributes_json)
VALUES (%(id)s, %(event_id)s, now() - %(age)s, 'error', 'error', %(attributes)s)
"""


def incident_with_job(pool: Pool, *, number: int = 1, events: int = 60) -> UUID:
    """Store an error spike with its events and numbers, queue its summary, return the incident's id."""
    incident_id = uuid4()
    with transaction(pool) as connection:
        fingerprint = f"UPSTREAM_TIMEOUT|/checkout/{number}|prod"
        connection.execute(INCIDENT, {"id": incident_id, "fingerprint": fingerprint, "title": OLD_TITLE})
        connection.execute(EVALUATION, {"id": incident_id})
        for n in range(events):
            attributes = {"route": f"/checkout/{number}", "status_code": 503 if n % 4 else 504}
            values = {"age": timedelta(seconds=n), "event_id": uuid4(), "attributes": Jsonb(attributes)}
            connection.execute(EVENT, {"id": incident_id, **values})
        assert ai_jobs.enqueue(connection, job_id=uuid4(), incident_id=incident_id)
    return incident_id


JOBS: LiteralString = """
SELECT id, incident_id, status, attempt_count, run_after - updated_at AS wait, leased_until, last_error
FROM ai_jobs ORDER BY created_at, id
"""


def jobs(pool: Pool) -> list[JobRow]:
    """Return all jobs, oldest first."""
    with transaction(pool) as connection, connection.cursor(row_factory=class_row(JobRow)) as cursor:
        return cursor.execute(JOBS).fetchall()


def job(pool: Pool) -> JobRow:
    """Return the only job."""
    (only,) = jobs(pool)
    return only


OUTPUTS: LiteralString = """
SELECT DISTINCT ON (incident_id) incident_id, output_type, model, content_json
FROM ai_outputs ORDER BY incident_id, created_at DESC
"""


def outputs(pool: Pool) -> list[OutputRow]:
    """Return the newest summary of each incident."""
    with transaction(pool) as connection, connection.cursor(row_factory=class_row(OutputRow)) as cursor:
        return cursor.execute(OUTPUTS).fetchall()


def title(pool: Pool, incident_id: UUID) -> str:
    """Return the incident's title."""
    query: LiteralString = "SELECT title FROM incidents WHERE id = %s"
    with transaction(pool) as connection, connection.cursor(row_factory=scalar_row) as cursor:
        return str(cursor.execute(query, (incident_id,)).fetchone())


def make_due(pool: Pool) -> None:
    """Let every waiting job's backoff end now."""
    with transaction(pool) as connection:
        connection.execute("UPDATE ai_jobs SET run_after = now() WHERE status = 'queued'")
