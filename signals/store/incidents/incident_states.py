"""The state of incidents beside the table `incidents`: kind, verdict, last firing, why it ended.

An incident of an earlier release has no row until something of it changes: kind `change`, grouping 1.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

import msgspec
import orjson

from shared_types.grouping import GROUPING_VERSION
from signals.clients.postgres import Connection
from signals.domain.detection.buckets import Series
from signals.domain.detection.verdict import RuleVerdict
from signals.domain.incidents.episode import IncidentVerdict, ResolveReason
from signals.domain.incidents.lifecycle import IncidentKind


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """The state of an incident that opens or changes; minutes are since the epoch.

    `numbers` are those of its verdict, None when they did not change. `resolve_reason` and `ended` (when it
    was over, in the time of its events) are None while it goes on.
    """

    incident_id: UUID
    kind: IncidentKind
    verdict: IncidentVerdict
    rule: str
    rule_version: int
    last_fired: int
    known_from: int | None
    confirmed: int | None
    numbers: RuleVerdict | None
    reopened: int
    resolve_reason: ResolveReason | None
    ended: int | None


# Sorted: concurrent writers then lock in one order. An incident of an earlier release has no row yet.
WRITE: LiteralString = """
INSERT INTO pipeline.incident_states AS s (incident_id, kind, verdict, grouping, last_fired_at, known_from,
                                           resolve_reason, rule, rule_version, confirmed_at, numbers,
                                           reopened, ended_at)
SELECT r.incident_id, r.kind, r.verdict, CASE WHEN r.is_new THEN %(grouping)s ELSE 1 END,
       to_timestamp(r.last_fired * 60), to_timestamp(r.known_from * 60), r.resolve_reason, r.rule,
       r.rule_version, to_timestamp(r.confirmed * 60), r.numbers, r.reopened, to_timestamp(r.ended * 60)
FROM json_to_recordset(%(rows)s::json) AS r(incident_id uuid, is_new boolean, kind text, verdict text,
     last_fired bigint, known_from bigint, resolve_reason text, rule text, rule_version int,
     confirmed bigint, numbers jsonb, reopened int, ended bigint)
ORDER BY r.incident_id
ON CONFLICT (incident_id) DO UPDATE SET
    verdict = excluded.verdict, last_fired_at = greatest(s.last_fired_at, excluded.last_fired_at),
    confirmed_at = coalesce(s.confirmed_at, excluded.confirmed_at),
    numbers = coalesce(excluded.numbers, s.numbers), reopened = excluded.reopened,
    resolve_reason = excluded.resolve_reason, ended_at = excluded.ended_at
"""


def write_all(connection: Connection, states: Mapping[UUID, StateChange], opened: Collection[UUID]) -> None:
    """Store the states of incidents; `opened` are new, under the current version of the grouping."""
    rows = [
        {**msgspec.to_builtins(state), "is_new": incident_id in opened}
        for incident_id, state in states.items()
    ]
    connection.execute(WRITE, {"rows": orjson.dumps(rows).decode(), "grouping": GROUPING_VERSION})


RESOLVE: LiteralString = """
UPDATE incidents SET status = 'resolved', resolved_at = now()
WHERE id = ANY(%(ids)s) AND status <> 'resolved'
"""


def resolve_all(connection: Connection, ids: Collection[UUID]) -> None:
    """Resolve incidents that the caller has locked; `write_all` stores the reasons."""
    connection.execute(RESOLVE, {"ids": list(ids)})


# Whoever reopens an incident says that it is not usual: its 24 hours begin again.
NOTE_STATUS: LiteralString = """
INSERT INTO pipeline.incident_states AS s (incident_id, kind, grouping, last_fired_at, resolve_reason)
SELECT incident_id, 'change', 1, CASE WHEN NOT %(is_resolved)s THEN now() END,
       CASE WHEN %(is_resolved)s THEN 'by_hand' END
FROM unnest(%(incident_ids)s::uuid[]) AS incident_id ORDER BY incident_id
ON CONFLICT (incident_id) DO UPDATE SET
    last_fired_at = greatest(s.last_fired_at, excluded.last_fired_at),
    resolve_reason = excluded.resolve_reason
"""


def note_status(connection: Connection, incident_ids: Collection[UUID], *, is_resolved: bool) -> None:
    """Remember that a person resolved incidents, or opened them again."""
    connection.execute(NOTE_STATUS, {"incident_ids": list(incident_ids), "is_resolved": is_resolved})


# By the index of a series' incidents; OFFSET 0 keeps it one probe an incident.
OF_SERIES: LiteralString = """
SELECT i.id, floor(extract(epoch FROM i.opened_at) / 60)::bigint,
       floor(extract(epoch FROM s.ended_at) / 60)::bigint, s.verdict
FROM incidents i
CROSS JOIN LATERAL (
    SELECT ended_at, verdict FROM pipeline.incident_states WHERE incident_id = i.id OFFSET 0
) AS s
WHERE i.project_id = %(project_id)s AND i.environment = %(environment)s AND i.fingerprint = %(fingerprint)s
  AND i.opened_at >= to_timestamp(%(since)s * 60) AND s.verdict IS NOT NULL
ORDER BY i.opened_at DESC LIMIT %(rows)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedIncident:
    """An incident with its verdict; minutes are since the epoch, `ended_at` None while it goes on."""

    id: UUID
    opened_at: int
    ended_at: int | None
    verdict: IncidentVerdict


def of_series(connection: Connection, series: Series, *, since: int, rows: int) -> list[JudgedIncident]:
    """Return the newest incidents of a series that opened from the minute `since` on."""
    parameters = {
        "project_id": series.project_id,
        "environment": series.environment,
        "fingerprint": series.fingerprint,
        "since": since,
        "rows": rows,
    }
    found = connection.execute(OF_SERIES, parameters)
    return [
        JudgedIncident(id=incident_id, opened_at=opened, ended_at=ended, verdict=verdict)
        for incident_id, opened, ended, verdict in found
    ]


REVISE: LiteralString = """
UPDATE pipeline.incident_states s
SET verdict = r.verdict, confirmed_at = to_timestamp(r.confirmed * 60)
FROM json_to_recordset(%(rows)s::json) AS r(incident_id uuid, verdict text, confirmed bigint)
WHERE s.incident_id = r.incident_id AND s.incident_id = ANY(%(ids)s)
"""


def revise(connection: Connection, verdicts: Mapping[UUID, tuple[IncidentVerdict, int | None]]) -> None:
    """Store other verdicts of incidents, each with the minute that confirmed it."""
    rows = [
        {"incident_id": incident_id, "verdict": verdict, "confirmed": confirmed}
        for incident_id, (verdict, confirmed) in sorted(verdicts.items())
    ]
    connection.execute(REVISE, {"rows": orjson.dumps(rows).decode(), "ids": sorted(verdicts)})
