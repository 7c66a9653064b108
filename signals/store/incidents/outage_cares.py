"""People's settings of outages: who works on one, and until when it is snoozed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from shared_types.fingerprints import METRICS
from signals.clients.postgres import Connection

ASSIGN: LiteralString = """
INSERT INTO pipeline.outage_cares (outage_id, assignee) VALUES (%(outage_id)s, %(assignee)s)
ON CONFLICT (outage_id) DO UPDATE SET assignee = excluded.assignee, updated_at = now()
"""


def assign(connection: Connection, outage_id: UUID, assignee: str | None) -> None:
    """Set who works on an outage; None takes it back."""
    connection.execute(ASSIGN, {"outage_id": outage_id, "assignee": assignee})


# Events are those of the outage's series, counted by minute: the minute of the snooze began before it.
COUNTED: LiteralString = """
SELECT coalesce(sum(b.value), 0)::bigint
FROM pipeline.outage_members m
CROSS JOIN LATERAL (
    SELECT sum(value) AS value FROM metrics_buckets
    WHERE project_id = m.project_id AND environment = m.environment AND metric_name = ANY(%(metrics)s)
      AND fingerprint = m.fingerprint AND bucket_start >= date_trunc('minute', %(since)s::timestamptz)
) AS b
WHERE m.outage_id = %(outage_id)s
"""
SNOOZE: LiteralString = """
INSERT INTO pipeline.outage_cares AS c (outage_id, snoozed_until, snoozed_at, snoozed_severity, wake_after,
                                        counted_before)
SELECT o.id, %(until)s, now(), o.severity, %(wake_after)s, %(counted_before)s
FROM pipeline.outages o WHERE o.id = %(outage_id)s
ON CONFLICT (outage_id) DO UPDATE SET
    snoozed_until = excluded.snoozed_until, snoozed_at = excluded.snoozed_at,
    snoozed_severity = excluded.snoozed_severity, wake_after = excluded.wake_after,
    counted_before = excluded.counted_before, updated_at = now()
"""


def snooze(
    connection: Connection, outage_id: UUID, *, until: datetime, now: datetime, wake_after: int | None
) -> None:
    """Snooze an outage until an instant, or until its series had `wake_after` more events."""
    before = None if wake_after is None else _counted(connection, outage_id, since=now)
    values = {"outage_id": outage_id, "until": until, "wake_after": wake_after, "counted_before": before}
    connection.execute(SNOOZE, values)


def _counted(connection: Connection, outage_id: UUID, *, since: datetime) -> int:
    values = {"outage_id": outage_id, "since": since, "metrics": list(METRICS.values())}
    row = connection.execute(COUNTED, values).fetchone()
    assert row is not None
    return int(row[0])


WAKE: LiteralString = """
UPDATE pipeline.outage_cares
SET snoozed_until = NULL, snoozed_at = NULL, snoozed_severity = NULL, wake_after = NULL,
    counted_before = NULL, updated_at = now()
WHERE outage_id = %(outage_id)s AND snoozed_until IS NOT NULL
"""


def wake(connection: Connection, outage_id: UUID) -> bool:
    """End a snooze; False when there is none."""
    return connection.execute(WAKE, {"outage_id": outage_id}).rowcount == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SnoozedOutage:
    """A snoozed outage. `is_worse`: a confirmed incident of it is more severe than the outage was then."""

    outage_id: UUID
    snoozed_until: datetime
    snoozed_at: datetime
    wake_after: int | None
    counted_before: int | None
    is_over: bool
    is_worse: bool
    first_incident_id: UUID


SNOOZED: LiteralString = """
SELECT c.outage_id, c.snoozed_until, c.snoozed_at, c.wake_after, c.counted_before,
       o.status = 'resolved' AS is_over,
       coalesce(held.severity > array_position(ARRAY['warn', 'error', 'critical'], c.snoozed_severity), false)
           AS is_worse,
       held.first_incident_id
FROM pipeline.outage_cares c
JOIN pipeline.outages o ON o.id = c.outage_id
CROSS JOIN LATERAL (
    SELECT max(CASE WHEN i.status <> 'resolved' AND coalesce(s.verdict, 'confirmed') = 'confirmed'
                    THEN array_position(ARRAY['warn', 'error', 'critical'], i.severity) END) AS severity,
           (array_agg(m.incident_id ORDER BY m.opened_at, m.fingerprint, m.incident_id))[1]
               AS first_incident_id
    FROM pipeline.outage_members m
    JOIN incidents i ON i.id = m.incident_id
    LEFT JOIN pipeline.incident_states s ON s.incident_id = m.incident_id
    WHERE m.outage_id = c.outage_id
) AS held
WHERE c.snoozed_until IS NOT NULL AND held.first_incident_id IS NOT NULL
ORDER BY c.snoozed_until
LIMIT %(rows)s
"""


def snoozed(connection: Connection, *, rows: int) -> Sequence[SnoozedOutage]:
    """Return snoozed outages, first those that wake first."""
    with connection.cursor(row_factory=class_row(SnoozedOutage)) as cursor:
        return cursor.execute(SNOOZED, {"rows": rows}).fetchall()


def events_since(connection: Connection, snoozed_outage: SnoozedOutage) -> int:
    """Return how many events the outage's series had since it was snoozed."""
    counted = _counted(connection, snoozed_outage.outage_id, since=snoozed_outage.snoozed_at)
    return counted - (snoozed_outage.counted_before or 0)
