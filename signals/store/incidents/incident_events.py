"""Representative events of incidents, and the numbers that made them fire."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

import orjson

from signals.clients.postgres import Connection
from signals.domain.detection.verdict import RuleVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Representative:
    """A row of incident_events; `attributes` holds the event's attributes and its message."""

    incident_id: UUID
    event_id: UUID
    occurred_at: datetime
    event_type: str
    severity: str
    attributes: Mapping[str, object]


# The lateral aggregate stays whole: one index range a minute, with any statistics.
COUNT: LiteralString = """
SELECT r.incident_id, r.minute, counted.events
FROM json_to_recordset(%(rows)s::json) AS r(incident_id uuid, minute bigint)
CROSS JOIN LATERAL (
    SELECT count(*) AS events
    FROM incident_events e
    WHERE e.incident_id = r.incident_id
      AND e.occurred_at >= to_timestamp(r.minute * 60) AND e.occurred_at < to_timestamp((r.minute + 1) * 60)
) AS counted
"""


def count_by_minute(
    connection: Connection, minutes: Collection[tuple[UUID, int]]
) -> Mapping[tuple[UUID, int], int]:
    """Return how many rows each (incident, minute since the epoch) has already."""
    rows = [{"incident_id": incident_id, "minute": minute} for incident_id, minute in minutes]
    found = connection.execute(COUNT, {"rows": orjson.dumps(rows).decode()})
    return {(incident_id, minute): count for incident_id, minute, count in found}


INSERT: LiteralString = """
INSERT INTO incident_events (incident_id, event_id, occurred_at, event_type, severity, attributes_json)
SELECT r.incident_id, r.event_id, r.occurred_at, r.event_type, r.severity, r.attributes
FROM json_to_recordset(%(rows)s::json) AS r(incident_id uuid, event_id uuid, occurred_at timestamptz,
     event_type text, severity text, attributes jsonb)
"""


def insert_all(connection: Connection, representatives: Sequence[Representative]) -> None:
    """Add representative rows."""
    connection.execute(INSERT, {"rows": orjson.dumps(representatives).decode()})


KEEP_EVALUATIONS: LiteralString = """
INSERT INTO pipeline.incident_evaluations (incident_id, moment, rule, minute_at, count, baseline, threshold,
                                           window_minutes)
SELECT r.incident_id, r.moment, r.rule, to_timestamp(r.minute * 60), r.count, r.baseline, r.threshold,
       r.window_minutes
FROM json_to_recordset(%(rows)s::json) AS r(incident_id uuid, moment text, rule text, minute bigint,
     count int, baseline float8, threshold float8, window_minutes int)
ON CONFLICT (incident_id, moment) DO UPDATE SET
    rule = excluded.rule, minute_at = excluded.minute_at, count = excluded.count,
    baseline = excluded.baseline, threshold = excluded.threshold, window_minutes = excluded.window_minutes
WHERE incident_evaluations.minute_at <= excluded.minute_at
"""


def keep_evaluations(connection: Connection, verdicts: Mapping[tuple[UUID, str], RuleVerdict]) -> None:
    """Store the numbers of an incident's moment, `opened` or `latest`, over older ones."""
    rows = [
        {
            "incident_id": incident_id,
            "moment": moment,
            "rule": verdict.rule,
            "minute": verdict.minute,
            "count": verdict.count,
            "baseline": verdict.normal,
            "threshold": verdict.threshold,
            "window_minutes": verdict.length,
        }
        for (incident_id, moment), verdict in verdicts.items()
    ]
    connection.execute(KEEP_EVALUATIONS, {"rows": orjson.dumps(rows).decode()})
