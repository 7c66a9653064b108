"""Incidents as the engine writes them: locked, opened, kept fresh, resolved by age."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import orjson
from psycopg.errors import UniqueViolation

from signals.clients.postgres import Connection
from signals.domain.detection.buckets import Series
from signals.domain.detection.counted import COUNTED_METRICS
from signals.domain.detection.severity import IncidentSeverity
from signals.domain.detection.verdict import RuleVerdict
from signals.domain.incidents.lifecycle import EndedIncident, OpenIncident
from signals.errors import Fenced

IncidentKey = tuple[str, str, str]
"""project_id, environment, fingerprint."""


def key_of(series: Series) -> IncidentKey:
    """Return what identifies the open incident of a series."""
    return series.project_id, series.environment, series.fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIncident:
    """A row to insert: open, or resolved when one batch of old events saw its end (`is_over`)."""

    id: UUID
    series: Series
    severity: IncidentSeverity
    title: str
    opened_at: datetime
    last_seen_at: datetime
    is_over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """An open incident seen again."""

    id: UUID
    severity: IncidentSeverity
    last_seen_at: datetime


# A lateral query that locks stays whole: one probe of incidents_one_open a key, with any statistics.
LOCK_OPEN: LiteralString = """
SELECT locked.project_id, locked.environment, locked.fingerprint, locked.id, locked.severity,
       (SELECT extract(epoch FROM now() - max(j.created_at))::float8
        FROM ai_jobs j WHERE j.incident_id = locked.id),
       floor(extract(epoch FROM locked.opened_at) / 60)::bigint,
       floor(extract(epoch FROM greatest(locked.last_seen_at, state.last_fired_at)) / 60)::bigint,
       floor(extract(epoch FROM coalesce(state.last_fired_at, locked.opened_at)) / 60)::bigint,
       state.verdict, state.kind, opened.rule, opened.window_minutes, opened.count, opened.baseline,
       opened.threshold
FROM json_to_recordset(%(keys)s::json) AS k(project_id text, environment text, fingerprint text)
CROSS JOIN LATERAL (
    SELECT i.project_id, i.environment, i.fingerprint, i.id, i.severity, i.opened_at,
           i.last_seen_at
    FROM incidents i
    WHERE i.project_id = k.project_id AND i.environment = k.environment AND i.fingerprint = k.fingerprint
      AND i.status <> 'resolved'
    FOR UPDATE
) AS locked
LEFT JOIN LATERAL (
    SELECT s.last_fired_at, s.verdict, s.kind FROM pipeline.incident_states s
    WHERE s.incident_id = locked.id OFFSET 0
) AS state ON true
LEFT JOIN LATERAL (
    SELECT e.rule, e.window_minutes, e.count, e.baseline, e.threshold FROM pipeline.incident_evaluations e
    WHERE e.incident_id = locked.id AND e.moment = 'opened' OFFSET 0
) AS opened ON true
"""


def lock_open(connection: Connection, series: Collection[Series]) -> Mapping[IncidentKey, OpenIncident]:
    """Return and lock the unresolved incident of each series that has one, in the order of the series.

    One whose numbers or verdict were never stored counts as confirmed by the locked rule of its counter.
    """
    metrics = {key_of(one): one.metric_name for one in series}
    keys = [
        {"project_id": s.project_id, "environment": s.environment, "fingerprint": s.fingerprint}
        for s in sorted(series)
    ]
    rows = connection.execute(LOCK_OPEN, {"keys": orjson.dumps(keys).decode()})
    return {(row[0], row[1], row[2]): _open(metrics[row[0], row[1], row[2]], *row[3:]) for row in rows}


def _open(metric: str, *row: Any) -> OpenIncident:
    incident_id, severity, asked, opened_at, last_seen, last_fired, verdict, kind, *numbers = row
    rule, length, count, baseline, threshold = numbers
    counted = next((one for name, one in COUNTED_METRICS.items() if name == metric), None)
    return OpenIncident(
        id=incident_id,
        severity=IncidentSeverity.parse(severity),
        summary_asked_s_ago=asked,
        opened=RuleVerdict(
            rule=(rule or (counted.locked_rule if counted else metric)).replace(
                "_", "-"
            ),  # see migration 0011
            minute=opened_at,
            length=length or (counted.window_minutes if counted else 1),
            count=count or 0,
            normal=baseline or 0.0,
            threshold=threshold or 0.0,
            conditions=(),
        ),
        opened_at=opened_at,
        last_seen=last_seen,
        last_fired=last_fired,
        verdict=verdict or "confirmed",
        kind=kind or "change",
    )


ENDED: LiteralString = """
SELECT i.id, s.resolve_reason, i.resolved_at
FROM incidents i LEFT JOIN pipeline.incident_states s ON s.incident_id = i.id
WHERE i.id = ANY(%(ids)s) AND i.status = 'resolved'
"""


def ended(connection: Connection, ids: Collection[UUID]) -> Mapping[UUID, EndedIncident]:
    """Return how those of these incidents ended that are resolved."""
    rows = connection.execute(ENDED, {"ids": list(ids)})
    return {
        incident_id: EndedIncident(reason=reason, resolved_at=resolved_at)
        for incident_id, reason, resolved_at in rows
    }


OPEN: LiteralString = """
INSERT INTO incidents (id, org_id, project_id, environment, fingerprint, status, severity, title,
                       opened_at, last_seen_at, resolved_at)
SELECT r.id, r.org_id, r.project_id, r.environment, r.fingerprint,
       CASE WHEN r.is_over THEN 'resolved' ELSE 'open' END, r.severity, r.title,
       r.opened_at, r.last_seen_at, CASE WHEN r.is_over THEN now() END
FROM json_to_recordset(%(rows)s::json) AS r(id uuid, org_id text, project_id text, environment text,
     fingerprint text, severity text, title text, opened_at timestamptz, last_seen_at timestamptz,
     is_over boolean)
"""


def open_all(connection: Connection, incidents: Sequence[NewIncident]) -> None:
    """Insert new incidents.

    Raises:
        Fenced: when a series has an unresolved one by now, for example one just opened again by a person.
    """
    rows = [
        {
            "id": i.id,
            "org_id": i.series.org_id,
            "project_id": i.series.project_id,
            "environment": i.series.environment,
            "fingerprint": i.series.fingerprint,
            "severity": i.severity.label,
            "title": i.title,
            "opened_at": i.opened_at,
            "last_seen_at": i.last_seen_at,
            "is_over": i.is_over,
        }
        for i in incidents
    ]
    try:
        connection.execute(OPEN, {"rows": orjson.dumps(rows).decode()})
    except UniqueViolation as error:
        raise Fenced("another writer opened an incident of the same series meanwhile") from error


# The ids a second time: without them a planner without statistics reads the whole table for its join.
TOUCH: LiteralString = """
UPDATE incidents i
SET last_seen_at = greatest(i.last_seen_at, r.last_seen_at), severity = r.severity
FROM json_to_recordset(%(rows)s::json) AS r(id uuid, severity text, last_seen_at timestamptz)
WHERE i.id = r.id AND i.id = ANY(%(ids)s) AND i.status <> 'resolved'
"""


def touch_all(connection: Connection, touches: Sequence[Touch]) -> int:
    """Move `last_seen_at` forward (never back) and set the severity; return how many were hit."""
    rows = [{"id": t.id, "severity": t.severity.label, "last_seen_at": t.last_seen_at} for t in touches]
    parameters = {"rows": orjson.dumps(rows).decode(), "ids": [t.id for t in touches]}
    return connection.execute(TOUCH, parameters).rowcount


# What the sweep resolved by the clock, or what came back, is open again.
REOPEN: LiteralString = """
UPDATE incidents i
SET status = 'open', resolved_at = NULL, last_seen_at = greatest(i.last_seen_at, r.last_seen_at),
    severity = (%(severities)s::text[])[greatest(array_position(%(severities)s::text[], r.severity),
                                                 array_position(%(severities)s::text[], i.severity))]
FROM json_to_recordset(%(rows)s::json) AS r(id uuid, severity text, last_seen_at timestamptz)
WHERE i.id = r.id AND i.id = ANY(%(ids)s) AND i.status = 'resolved'
"""


def reopen_all(connection: Connection, touches: Sequence[Touch]) -> int:
    """Open resolved incidents again; return how many were hit.

    Raises:
        Fenced: when a series has an unresolved one by now.
    """
    rows = [{"id": t.id, "severity": t.severity.label, "last_seen_at": t.last_seen_at} for t in touches]
    parameters = {
        "rows": orjson.dumps(rows).decode(),
        "ids": [t.id for t in touches],
        "severities": [severity.label for severity in IncidentSeverity],
    }
    try:
        return connection.execute(REOPEN, parameters).rowcount
    except UniqueViolation as error:
        raise Fenced("another writer opened an incident of the same series meanwhile") from error


# What the engine holds just now is left to the next round: waiting for it could deadlock. An incident that a
# person opened again counts as fired then.
RESOLVE_STALE: LiteralString = """
WITH ended AS (
    UPDATE incidents SET status = 'resolved', resolved_at = now()
    WHERE status <> 'resolved' AND id = ANY(ARRAY(
        SELECT id FROM incidents
        WHERE status <> 'resolved' AND last_seen_at < now() - make_interval(secs => %(idle_s)s)
          AND NOT EXISTS (SELECT FROM pipeline.incident_states s WHERE s.incident_id = incidents.id
                          AND s.last_fired_at >= now() - make_interval(secs => %(idle_s)s) OFFSET 0)
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING id
)
INSERT INTO pipeline.incident_states (incident_id, kind, grouping, resolve_reason)
SELECT id, 'change', 1, 'quiet' FROM ended
ON CONFLICT (incident_id) DO UPDATE SET resolve_reason = excluded.resolve_reason
"""


def resolve_stale(connection: Connection, *, idle_s: float) -> int:
    """Resolve what was not seen for `idle_s` seconds; return how many."""
    return connection.execute(RESOLVE_STALE, {"idle_s": idle_s}).rowcount
