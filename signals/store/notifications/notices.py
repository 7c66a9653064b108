"""Messages at destinations: the queue, what became of each attempt, and how people list them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, LiteralString
from uuid import UUID, uuid4

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from signals.clients.postgres import Connection
from signals.domain.notifications.delivery import (
    DISABLED_AFTER,
    DISABLED_AFTER_REFUSALS,
    DeliveryResult,
)
from signals.store import leases
from signals.store.leases import Queue

AT_ONCE: Final = 2  # messages under way at one destination: one that hangs must not hold every thread


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeLease(leases.Lease):
    """A lease of one message: it must tell `wanted`, and told `told` last."""

    destination_id: UUID
    subject_id: UUID | None
    is_storm: bool
    wanted: int
    told: int
    told_state: dict[str, Any] | None
    reference: str | None
    sends: int
    held_by: UUID | None


QUEUE: Final = Queue(
    table="pipeline.notices", lease_type=NoticeLease, shared_by="destination_id", at_once=AT_ONCE
)

SUBJECTS: LiteralString = "SELECT subject_id FROM pipeline.notice_subjects WHERE notice_id = %(notice_id)s"


def subjects_of(connection: Connection, notice_id: UUID) -> list[UUID]:
    """Return the incidents that a message tells of."""
    return [row[0] for row in connection.execute(SUBJECTS, {"notice_id": notice_id})]


FINISH: LiteralString = """
UPDATE pipeline.notices
SET told = %(version)s, told_state = %(told_state)s, reference = %(reference)s,
    sends = sends + %(sent)s, attempt_count = 0, last_error = NULL, leased_until = NULL,
    not_before = now() + %(pace)s, run_after = greatest(now() + %(pace)s, held_until), updated_at = now(),
    status = CASE WHEN wanted > %(version)s THEN 'queued' ELSE 'succeeded' END
WHERE id = %(notice_id)s AND status = 'running' AND leased_until = %(token)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldNotice:
    """The state of a message after a send; `sent` is False when there was nothing to say."""

    version: int
    told_state: dict[str, Any] | None
    reference: str | None
    sent: bool
    pace: timedelta


def finish(connection: Connection, held: NoticeLease, told: ToldNotice) -> int:
    """Store what was told, and queue the message again if it must tell more; 0 when the lease is lost."""
    values = {
        "notice_id": held.job_id,
        "token": held.leased_until,
        "version": told.version,
        "told_state": None if told.told_state is None else Jsonb(told.told_state),
        "reference": told.reference,
        "sent": int(told.sent),
        "pace": told.pace,
    }
    return connection.execute(FINISH, values).rowcount


LOG: LiteralString = """
INSERT INTO pipeline.notice_attempts (notice_id, version, happening, took_ms, outcome, status, error)
VALUES (%(notice_id)s, %(version)s, %(happening)s, %(took_ms)s, %(outcome)s, %(status)s, %(error)s)
"""


def log_attempt(
    connection: Connection, held: NoticeLease, happening: str, result: DeliveryResult, *, took_ms: int
) -> None:
    """Add a line to the delivery log."""
    values = {
        "notice_id": held.job_id,
        "version": held.wanted,
        "happening": happening,
        "took_ms": took_ms,
        "outcome": result.state,
        "status": result.status,
        "error": result.error,
    }
    connection.execute(LOG, values)


# Rows of one destination are written by few senders; unchanged while all goes well but for the instant.
SUCCEEDED: LiteralString = """
UPDATE pipeline.destinations
SET state = CASE WHEN state = 'failing' THEN 'active' ELSE state END, failing_since = NULL,
    refused_in_row = 0, last_told_at = now(), last_error = NULL
WHERE id = %(destination_id)s
  AND (state = 'failing' OR refused_in_row > 0 OR last_error IS NOT NULL OR failing_since IS NOT NULL
       OR last_told_at IS NULL OR last_told_at < now() - interval '1 second')
"""
FAILED: LiteralString = """
WITH was AS (
    SELECT id, state AS before FROM pipeline.destinations WHERE id = %(destination_id)s FOR NO KEY UPDATE
)
UPDATE pipeline.destinations d
SET refused_in_row = d.refused_in_row + %(refused)s,
    failing_since = coalesce(d.failing_since, now()), last_error = %(error)s,
    state = CASE
        WHEN d.state = 'disabled' OR %(gone)s OR d.refused_in_row + %(refused)s >= %(most_refusals)s
             OR coalesce(d.failing_since, now()) < now() - %(longest)s THEN 'disabled'
        ELSE 'failing' END
FROM was
WHERE d.id = was.id
RETURNING d.state = 'disabled' AND was.before <> 'disabled'
"""


def note_success(connection: Connection, destination_id: UUID) -> None:
    """Write that the destination works, at most once a second."""
    connection.execute(SUCCEEDED, {"destination_id": destination_id})


def note_failure(connection: Connection, destination_id: UUID, result: DeliveryResult) -> bool:
    """Write that the destination fails; True when this disables it."""
    values = {
        "destination_id": destination_id,
        "refused": int(result.state == "refused"),
        "error": result.error,
        "gone": result.is_gone,
        "most_refusals": DISABLED_AFTER_REFUSALS,
        "longest": DISABLED_AFTER,
    }
    row = connection.execute(FAILED, values).fetchone()
    return row is not None and bool(row[0])


# The same subjects at the fallback, unless it tells of them already: in its message about the outage, if it
# has one, else in a new one. A planner may be faster: its row then stays.
TELL_FALLBACK: LiteralString = """
WITH passed AS (
    SELECT s.subject_id FROM pipeline.notice_subjects s
    WHERE s.notice_id = %(notice_id)s AND NOT EXISTS (
        SELECT FROM pipeline.notice_subjects t
        WHERE t.destination_id = %(fallback_id)s AND t.subject_id = s.subject_id)
), outages AS (
    SELECT outage_id FROM pipeline.notice_outages WHERE notice_id = %(notice_id)s
), home AS (
    SELECT notice_id FROM pipeline.notice_outages
    WHERE destination_id = %(fallback_id)s AND outage_id IN (SELECT outage_id FROM outages)
    ORDER BY outage_id LIMIT 1
), made AS (
    INSERT INTO pipeline.notices (id, destination_id, subject_id, is_storm, wanted, run_after, max_attempts)
    SELECT %(new_id)s, %(fallback_id)s, n.subject_id, n.is_storm, %(wanted)s, now(), %(max_attempts)s
    FROM pipeline.notices n
    WHERE n.id = %(notice_id)s AND EXISTS (SELECT FROM passed) AND NOT EXISTS (SELECT FROM home)
    RETURNING id AS notice_id
), used AS (
    SELECT notice_id FROM home UNION ALL SELECT notice_id FROM made
), registered AS (
    INSERT INTO pipeline.notice_outages (destination_id, outage_id, notice_id)
    SELECT %(fallback_id)s, outage_id, notice_id FROM outages CROSS JOIN used
    ON CONFLICT (destination_id, outage_id) DO NOTHING
), asked AS (
    UPDATE pipeline.notices n SET wanted = greatest(n.wanted, %(wanted)s), run_after = now(),
           status = CASE WHEN n.status = 'running' THEN 'running' ELSE 'queued' END, updated_at = now()
    FROM home WHERE n.id = home.notice_id AND EXISTS (SELECT FROM passed)
)
INSERT INTO pipeline.notice_subjects (destination_id, subject_id, notice_id)
SELECT %(fallback_id)s, subject_id, notice_id FROM passed CROSS JOIN used
ON CONFLICT (destination_id, subject_id) DO NOTHING
"""


def pass_on(connection: Connection, held: NoticeLease, fallback_id: UUID) -> int:
    """Have the fallback tell what this destination cannot; return how many incidents that are."""
    values = {
        "notice_id": held.job_id,
        "fallback_id": fallback_id,
        "new_id": uuid4(),
        "wanted": held.wanted,
        "max_attempts": held.max_attempts,
    }
    return connection.execute(TELL_FALLBACK, values).rowcount


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeRow:
    """A message as people list it, with its newest attempt."""

    id: UUID
    destination_id: UUID
    destination: str
    is_storm: bool
    incident_ids: list[UUID]
    status: str
    sends: int
    attempt_count: int
    last_error: str | None
    created_at: datetime
    updated_at: datetime
    run_after: datetime


LIST: LiteralString = """
SELECT n.id, n.destination_id, d.name AS destination, n.is_storm,
       ARRAY(SELECT s.subject_id FROM pipeline.notice_subjects s WHERE s.notice_id = n.id
             ORDER BY s.subject_id LIMIT 20) AS incident_ids,
       n.status, n.sends, n.attempt_count, n.last_error, n.created_at, n.updated_at, n.run_after
FROM pipeline.destinations d
JOIN pipeline.notices n ON n.destination_id = d.id
WHERE d.project_id = %(project_id)s
  AND (%(status)s::text IS NULL OR n.status = %(status)s)
  AND (%(subject_id)s::uuid IS NULL OR EXISTS (
        SELECT FROM pipeline.notice_subjects s WHERE s.notice_id = n.id AND s.subject_id = %(subject_id)s))
ORDER BY n.created_at DESC, n.id DESC
LIMIT %(limit)s
"""


def list_notices(
    connection: Connection, project_id: str, *, status: str | None, subject_id: UUID | None, limit: int
) -> Sequence[NoticeRow]:
    """Return the newest messages of a project's destinations."""
    values = {"project_id": project_id, "status": status, "subject_id": subject_id, "limit": limit}
    with connection.cursor(row_factory=class_row(NoticeRow)) as cursor:
        return cursor.execute(LIST, values).fetchall()
