"""Messages at destinations: the queue, and what became of each attempt.

One statement records many attempts. Every change of a message repeats its lease in WHERE.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, LiteralString
from uuid import UUID

import orjson

from signals.clients.postgres import Connection
from signals.domain.notifications.delivery import GIVEN_UP_AFTER, IN_A_ROW, LOGGED_ATTEMPTS, DeliveryResult
from signals.store.queues import Lease, Queue

AT_ONCE: Final = 2  # messages under way at one destination: one that hangs must not hold every thread


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeLease(Lease):
    """A lease of one message: it must tell `wanted`, and told `told` last. `tried_state` had no answer."""

    destination_id: UUID
    subject_id: UUID | None
    is_storm: bool
    wanted: int
    told: int
    told_state: dict[str, Any] | None
    tried_state: dict[str, Any] | None
    reference: str | None
    sends: int
    held_by: UUID | None


QUEUE: Final = Queue(
    table="pipeline.notices", lease_type=NoticeLease, shared_by="destination_id", at_once=AT_ONCE
)

SUBJECTS: LiteralString = """
SELECT notice_id, subject_id FROM pipeline.notice_subjects WHERE notice_id = ANY(%(notice_ids)s)
"""


def subjects_of(connection: Connection, notice_ids: Collection[UUID]) -> Callable[[], dict[UUID, list[UUID]]]:
    """Read the incidents that messages tell of; the call awaits the rows."""
    rows = connection.execute(SUBJECTS, {"notice_ids": list(notice_ids)})

    def read() -> dict[UUID, list[UUID]]:
        found: dict[UUID, list[UUID]] = {}
        for notice_id, subject_id in rows:
            found.setdefault(notice_id, []).append(subject_id)
        return found

    return read


NOTE_TRIED: LiteralString = """
UPDATE pipeline.notices n SET tried_state = r.state
FROM json_to_recordset(%(rows)s::json) AS r(id uuid, token timestamptz, state jsonb)
WHERE n.id = r.id AND n.status = 'running' AND n.leased_until = r.token
"""


def note_tried(connection: Connection, tried: Sequence[tuple[NoticeLease, Mapping[str, Any]]]) -> None:
    """Note what leased messages may have told from now on, should their process die."""
    rows = [{"id": held.job_id, "token": held.leased_until, "state": state} for held, state in tried]
    connection.execute(NOTE_TRIED, {"rows": orjson.dumps(rows).decode()})


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeAttempt:
    """One attempt that was made: what the message said, how it ended, and how long it took."""

    happening: str
    result: DeliveryResult
    took_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldNotice:
    """A message that told its version; `attempt` is None when there was nothing to say."""

    held: NoticeLease
    told_state: Mapping[str, Any] | None
    reference: str | None
    pace: timedelta
    attempt: NoticeAttempt | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedNotice:
    """A message that was not told: tried again after `delay`, or given up when that is None.

    `tried_state` may have been told all the same, None when nothing may.
    """

    held: NoticeLease
    attempt: NoticeAttempt
    delay: timedelta | None
    tried_state: Mapping[str, Any] | None = None


FINISH: LiteralString = """
WITH r AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(rows)s::json) AS r(id uuid, token timestamptz, version bigint,
        told_state jsonb, reference text, sent boolean, pace_s float8, happening text, took_ms int,
        status int)
), finished AS (
    UPDATE pipeline.notices n
    SET told = r.version, told_state = r.told_state, reference = r.reference,
        tried_state = CASE WHEN r.sent THEN NULL ELSE n.tried_state END,
        sends = n.sends + r.sent::int, attempt_count = 0, failing_since = NULL, last_error = NULL,
        leased_until = NULL,
        not_before = now() + make_interval(secs => r.pace_s),
        run_after = greatest(now() + make_interval(secs => r.pace_s), n.held_until), updated_at = now(),
        status = CASE WHEN n.wanted > r.version THEN 'queued' ELSE 'succeeded' END
    FROM r
    WHERE n.id = r.id AND n.status = 'running' AND n.leased_until = r.token
    RETURNING n.id
), logged AS (
    INSERT INTO pipeline.notice_attempts (notice_id, version, happening, took_ms, outcome, status)
    SELECT r.id, r.version, r.happening, r.took_ms, 'told', r.status
    FROM r JOIN finished USING (id) WHERE r.sent
)
SELECT id FROM finished
"""


def finish(connection: Connection, told: Sequence[ToldNotice]) -> Callable[[], set[UUID]]:
    """Store what was told, and queue messages again that must tell more; the call returns which.

    A message whose lease is lost is not among them, and is left as it is.
    """
    rows = [
        {
            "id": one.held.job_id,
            "token": one.held.leased_until,
            "version": one.held.wanted,
            "told_state": one.told_state,
            "reference": one.reference,
            "sent": one.attempt is not None,
            "pace_s": one.pace.total_seconds(),
            "happening": one.attempt.happening if one.attempt else None,
            "took_ms": one.attempt.took_ms if one.attempt else None,
            "status": one.attempt.result.status if one.attempt else None,
        }
        for one in told
    ]
    return _ids(connection, FINISH, rows)


# The database decides what has failed for too long. What changed during the last attempt is tried anew. Many
# failures in a row share one line of the log.
FAIL: LiteralString = """
WITH r AS MATERIALIZED (
    SELECT r.*, was.is_in_row, r.delay_s IS NULL OR was.is_in_row AND EXISTS (
               SELECT FROM pipeline.notices o WHERE o.id = r.id AND o.failing_since < now() - %(longest)s
           ) AS is_given_up
    FROM json_to_recordset(%(rows)s::json) AS r(id uuid, token timestamptz, version bigint,
        attempt_count int, delay_s float8, tried_state jsonb, error text, happening text, took_ms int,
        outcome text, status int)
    CROSS JOIN LATERAL (
        SELECT EXISTS (SELECT FROM pipeline.notice_attempts a
                       WHERE a.notice_id = r.id AND a.at > now() - %(in_a_row)s) AS is_in_row
    ) AS was
), failed AS (
    UPDATE pipeline.notices n
    SET status = CASE WHEN r.is_given_up AND n.wanted <= r.version THEN 'failed' ELSE 'queued' END,
        failing_since = CASE WHEN r.is_given_up THEN NULL
                             WHEN r.is_in_row THEN coalesce(n.failing_since, now()) ELSE now() END,
        tried_state = r.tried_state,
        attempt_count = r.attempt_count, last_error = r.error, leased_until = NULL,
        run_after = greatest(now() + make_interval(secs => coalesce(r.delay_s, 0)), n.held_until),
        updated_at = now()
    FROM r
    WHERE n.id = r.id AND n.status = 'running' AND n.leased_until = r.token
    RETURNING n.id
), counted AS (
    UPDATE pipeline.notice_attempts a
    SET attempts = a.attempts + 1, version = r.version, happening = r.happening, at = now(),
        took_ms = r.took_ms, outcome = r.outcome, status = r.status, error = r.error
    FROM r JOIN failed USING (id)
    WHERE r.attempt_count > %(lines)s
      AND a.id = (SELECT max(id) FROM pipeline.notice_attempts WHERE notice_id = r.id)
    RETURNING a.notice_id
), logged AS (
    INSERT INTO pipeline.notice_attempts (notice_id, version, happening, took_ms, outcome, status, error)
    SELECT r.id, r.version, r.happening, r.took_ms, r.outcome, r.status, r.error
    FROM r JOIN failed USING (id)
    WHERE r.id NOT IN (SELECT notice_id FROM counted)
)
SELECT id FROM failed
"""


def fail(connection: Connection, failed: Sequence[FailedNotice]) -> Callable[[], set[UUID]]:
    """Queue messages again, or give them up; the call returns which, without those whose lease is lost.

    One that has failed for `GIVEN_UP_AFTER` is given up, with or without a delay. A pause of ours, such as a
    laptop asleep, is no failure: the time begins anew after `IN_A_ROW` without an attempt.
    """
    rows = [
        {
            "id": one.held.job_id,
            "token": one.held.leased_until,
            "version": one.held.wanted,
            "attempt_count": one.held.attempt_count + 1,
            "delay_s": None if one.delay is None else one.delay.total_seconds(),
            "tried_state": one.tried_state,
            "error": one.attempt.result.error,
            "happening": one.attempt.happening,
            "took_ms": one.attempt.took_ms,
            "outcome": one.attempt.result.state,
            "status": one.attempt.result.status,
        }
        for one in failed
    ]
    return _ids(connection, FAIL, rows, longest=GIVEN_UP_AFTER, in_a_row=IN_A_ROW, lines=LOGGED_ATTEMPTS)


def _ids(
    connection: Connection, query: LiteralString, rows: Sequence[Mapping[str, Any]], **bounds: object
) -> Callable[[], set[UUID]]:
    found = connection.execute(query, {"rows": orjson.dumps(rows).decode(), **bounds})
    return lambda: {row[0] for row in found}
