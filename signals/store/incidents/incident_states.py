"""The state of incidents beside the table `incidents`: kind, last firing, why it ended.

An incident of an earlier release has no row until something of it changes: kind `change`, grouping 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, LiteralString
from uuid import UUID

import orjson

from shared_types.grouping import GROUPING_VERSION
from signals.clients.postgres import Connection
from signals.domain.incidents.episode import ResolveReason
from signals.domain.incidents.lifecycle import IncidentKind


@dataclass(frozen=True, slots=True, kw_only=True)
class NewState:
    """The state of an incident that opens; minutes are since the epoch."""

    incident_id: UUID
    kind: IncidentKind
    verdict: Literal["learning"] | None
    last_fired: int | None
    known_from: int | None
    resolve_reason: ResolveReason | None


INSERT: LiteralString = """
INSERT INTO pipeline.incident_states (incident_id, kind, verdict, grouping, last_fired_at, known_from,
                                      resolve_reason)
SELECT r.incident_id, r.kind, r.verdict, %(grouping)s, to_timestamp(r.last_fired * 60),
       to_timestamp(r.known_from * 60), r.resolve_reason
FROM json_to_recordset(%(rows)s::json) AS r(incident_id uuid, kind text, verdict text, last_fired bigint,
     known_from bigint, resolve_reason text)
"""


def insert_all(connection: Connection, states: Sequence[NewState]) -> None:
    """Store the states of incidents that open, under the current version of the grouping."""
    rows = orjson.dumps(states).decode()
    connection.execute(INSERT, {"rows": rows, "grouping": GROUPING_VERSION})


# Sorted: concurrent writers then lock in one order. `greatest` ignores null.
NOTE_FIRINGS: LiteralString = """
INSERT INTO pipeline.incident_states (incident_id, kind, grouping, last_fired_at)
SELECT r.incident_id, 'change', 1, to_timestamp(r.minute * 60)
FROM json_to_recordset(%(rows)s::json) AS r(incident_id uuid, minute bigint)
ORDER BY r.incident_id
ON CONFLICT (incident_id) DO UPDATE SET last_fired_at = excluded.last_fired_at
WHERE incident_states.last_fired_at IS NULL OR incident_states.last_fired_at < excluded.last_fired_at
"""


def note_firings(connection: Connection, minutes: Mapping[UUID, int]) -> None:
    """Move the newest firing minute of incidents forward, never back."""
    rows = [{"incident_id": incident_id, "minute": minute} for incident_id, minute in minutes.items()]
    connection.execute(NOTE_FIRINGS, {"rows": orjson.dumps(rows).decode()})


RESOLVE: LiteralString = """
WITH ended AS (
    UPDATE incidents i SET status = 'resolved', resolved_at = now()
    FROM json_to_recordset(%(rows)s::json) AS r(id uuid, reason text)
    WHERE i.id = r.id AND i.id = ANY(%(ids)s) AND i.status <> 'resolved'
    RETURNING i.id, r.reason
)
INSERT INTO pipeline.incident_states (incident_id, kind, grouping, resolve_reason)
SELECT id, 'change', 1, reason FROM ended ORDER BY id
ON CONFLICT (incident_id) DO UPDATE SET resolve_reason = excluded.resolve_reason
"""


def resolve_all(connection: Connection, reasons: Mapping[UUID, ResolveReason]) -> None:
    """Resolve incidents that the caller has locked, each for its reason."""
    rows = [{"id": incident_id, "reason": reason} for incident_id, reason in reasons.items()]
    connection.execute(RESOLVE, {"rows": orjson.dumps(rows).decode(), "ids": list(reasons)})


# Whoever reopens an incident says that it is not usual: its 24 hours begin again.
NOTE_STATUS: LiteralString = """
INSERT INTO pipeline.incident_states AS s (incident_id, kind, grouping, last_fired_at, resolve_reason)
VALUES (%(incident_id)s, 'change', 1, CASE WHEN NOT %(is_resolved)s THEN now() END,
        CASE WHEN %(is_resolved)s THEN 'by_hand' END)
ON CONFLICT (incident_id) DO UPDATE SET
    last_fired_at = greatest(s.last_fired_at, excluded.last_fired_at),
    resolve_reason = excluded.resolve_reason
"""


def note_status(connection: Connection, incident_id: UUID, *, is_resolved: bool) -> None:
    """Remember that a person resolved the incident, or opened it again."""
    connection.execute(NOTE_STATUS, {"incident_id": incident_id, "is_resolved": is_resolved})
