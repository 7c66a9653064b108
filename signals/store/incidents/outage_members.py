"""Incidents of an outage: listed for readers, and locked for a change that a person makes."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from psycopg.rows import args_row

from shared_types import Environment, EventType, Fingerprint
from signals.clients.postgres import Connection
from signals.domain.incidents.episode import IncidentStatus, IncidentVerdict


@dataclass(frozen=True, slots=True)
class OutageMember:
    """An incident of an outage; the last three are the normal of its opening.

    Its fields come in the order of the query's columns.
    """

    id: UUID
    environment: str
    fingerprint: str
    title: str
    status: IncidentStatus
    severity: str
    verdict: IncidentVerdict | None
    opened_at: datetime
    joined_at: datetime
    last_seen_at: datetime
    resolved_at: datetime | None
    rule: str | None
    window_minutes: int | None
    normal: float | None


MEMBERS: LiteralString = """
SELECT i.id, i.environment, i.fingerprint, i.title, i.status, i.severity, s.verdict, i.opened_at, m.joined_at,
       i.last_seen_at, i.resolved_at, e.rule, e.window_minutes,
       CASE WHEN s.kind IS DISTINCT FROM 'new' THEN e.baseline END
FROM (
    SELECT incident_id, opened_at, fingerprint, joined_at FROM pipeline.outage_members
    WHERE outage_id = %(outage_id)s ORDER BY opened_at, fingerprint, incident_id LIMIT %(limit)s
) AS m
CROSS JOIN LATERAL (SELECT * FROM incidents WHERE id = m.incident_id OFFSET 0) AS i
LEFT JOIN LATERAL (
    SELECT kind, verdict FROM pipeline.incident_states WHERE incident_id = m.incident_id OFFSET 0
) AS s ON true
LEFT JOIN LATERAL (
    SELECT rule, window_minutes, baseline FROM pipeline.incident_evaluations
    WHERE incident_id = m.incident_id AND moment = 'opened' OFFSET 0
) AS e ON true
ORDER BY m.opened_at, m.fingerprint, m.incident_id
"""


def list_members(connection: Connection, outage_id: UUID, *, limit: int) -> list[OutageMember]:
    """Return the first incidents of an outage, in order of opening."""
    with connection.cursor(row_factory=args_row(OutageMember)) as cursor:
        return cursor.execute(MEMBERS, {"outage_id": outage_id, "limit": limit}).fetchall()


@dataclass(frozen=True, slots=True)
class LockedMember:
    """An incident of an outage that a person changes. Its fields come in the order of the query's columns."""

    id: UUID
    outage_id: UUID
    environment: str
    fingerprint: str
    status: IncidentStatus
    opened_at: datetime
    resolved_at: datetime | None

    @property
    def series(self) -> tuple[str, str]:
        """The environment and the fingerprint."""
        return self.environment, self.fingerprint


# In the order in which the engine locks: signups after errors, bytes and not words.
SIGNUPS: Final = [
    Fingerprint(event_type=EventType.SIGNUP, environment=environment).text for environment in Environment
]
LOCK: LiteralString = """
SELECT i.id, (SELECT outage_id FROM pipeline.outage_members WHERE incident_id = i.id), i.environment,
       i.fingerprint, i.status, i.opened_at, i.resolved_at
FROM incidents i
WHERE i.id = ANY(ARRAY(SELECT incident_id FROM pipeline.outage_members WHERE outage_id = ANY(%(outage_ids)s)))
ORDER BY i.environment COLLATE "C", i.fingerprint = ANY(%(signups)s), i.fingerprint COLLATE "C"
FOR UPDATE OF i
"""


def lock(connection: Connection, outage_ids: Collection[UUID]) -> list[LockedMember]:
    """Lock the incidents of outages, and return them."""
    parameters = {"outage_ids": list(outage_ids), "signups": SIGNUPS}
    with connection.cursor(row_factory=args_row(LockedMember)) as cursor:
        return cursor.execute(LOCK, parameters).fetchall()
