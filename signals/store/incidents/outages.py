"""Outages as grouping reads and writes them: those that an incident may join, new ones, new members.

Grouping holds the lock of the project: two incidents that open at once must see each other. Locks are
taken in one order everywhere: incidents, the project's lock, outages.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

import orjson
from psycopg.rows import class_row

from signals.clients.postgres import Connection
from signals.domain.incidents.placing import FormerIncident, KnownOutage, SeriesIncident

LOCK_CLASS: Final = 0x6F75  # "ou": no other advisory lock of two keys has it

# Sorted: two transactions that lock several projects never wait in a circle.
LOCK: LiteralString = """
SELECT pg_advisory_xact_lock(%(class)s, l.key)
FROM (SELECT DISTINCT hashtext(p) AS key FROM unnest(%(project_ids)s::text[]) AS p ORDER BY 1) AS l
"""


def lock_projects(connection: Connection, project_ids: Collection[str]) -> None:
    """Keep other transactions from grouping incidents of these projects until this one ends."""
    connection.execute(LOCK, {"class": LOCK_CLASS, "project_ids": list(project_ids)}).fetchall()


OPENED: LiteralString = """
SELECT i.id, i.project_id, i.environment, i.fingerprint, i.opened_at,
       coalesce((SELECT s.verdict FROM pipeline.incident_states s WHERE s.incident_id = i.id), 'confirmed')
       AS verdict
FROM incidents i
WHERE i.id = ANY(%(ids)s)
ORDER BY i.project_id, i.opened_at, i.fingerprint
"""


def opened(connection: Connection, incident_ids: Collection[UUID]) -> list[SeriesIncident]:
    """Return incidents for placing, by project in order of opening."""
    with connection.cursor(row_factory=class_row(SeriesIncident)) as cursor:
        return cursor.execute(OPENED, {"ids": list(incident_ids)}).fetchall()


# Locked as the members' foreign key will, before the project: an incident that the engine holds waits.
LEFT_OUT: LiteralString = """
SELECT i.id, i.project_id FROM incidents i
WHERE i.status <> 'resolved' AND i.last_seen_at > '-infinity'  -- all; it makes the planner take the index
  AND NOT EXISTS (SELECT FROM pipeline.outage_members m WHERE m.incident_id = i.id OFFSET 0)
LIMIT %(rows)s
FOR KEY SHARE SKIP LOCKED
"""


def left_out(connection: Connection, *, rows: int) -> list[tuple[UUID, str]]:
    """Return unresolved incidents that are in no outage, each with its project."""
    return [(row[0], row[1]) for row in connection.execute(LEFT_OUT, {"rows": rows})]


# Unsettled ones are few; of settled ones those that may still be joined. Oldest first.
JOINABLE: LiteralString = """
WITH recent AS MATERIALIZED (
    SELECT o.* FROM pipeline.outages o
    WHERE o.project_id = %(project_id)s AND o.newest_at >= to_timestamp(%(since_minute)s * 60)
)
SELECT o.id, o.window_id, o.cause_attribute, o.cause_value,
       floor(extract(epoch FROM o.opened_at) / 60)::bigint,
       floor(extract(epoch FROM o.newest_at) / 60)::bigint,
       o.decided_at IS NOT NULL, o.settled_at IS NOT NULL, o.resolved_at, o.resolve_reason
FROM recent o
WHERE o.merged_into IS NULL AND (o.settled_at IS NULL OR o.cause_attribute IS NOT NULL)
ORDER BY o.opened_at, o.created_at, o.id
"""


def joinable(connection: Connection, project_id: str, *, since_minute: int) -> list[KnownOutage]:
    """Return the project's outages that gather, or have a cause and a member since a minute; oldest first."""
    parameters = {"project_id": project_id, "since_minute": since_minute}
    return [
        KnownOutage(
            id=outage_id,
            window_id=window_id,
            cause=(attribute, value) if attribute is not None else None,
            opened_at=opened_at,
            newest_at=newest_at,
            is_decided=is_decided,
            is_settled=is_settled,
            resolved_at=resolved_at,
            resolve_reason=reason,
        )
        for (
            outage_id,
            window_id,
            attribute,
            value,
            opened_at,
            newest_at,
            is_decided,
            is_settled,
            resolved_at,
            reason,
        ) in connection.execute(JOINABLE, parameters)
    ]


# By the index of unresolved incidents, which are few.
OLDER: LiteralString = """
SELECT i.fingerprint FROM incidents i
CROSS JOIN LATERAL (
    SELECT s.grouping FROM pipeline.incident_states s WHERE s.incident_id = i.id OFFSET 0
) AS state
WHERE i.project_id = %(project_id)s AND i.status <> 'resolved' AND state.grouping < %(version)s
LIMIT %(rows)s
"""


def of_older_grouping(connection: Connection, project_id: str, *, version: int, rows: int) -> list[str]:
    """Return fingerprints of a project's unresolved incidents that an older version of the grouping made."""
    parameters = {"project_id": project_id, "version": version, "rows": rows}
    return [fingerprint for (fingerprint,) in connection.execute(OLDER, parameters)]


# One entry of the members' index a series. OFFSET 0 keeps each look at an incident a probe by key.
FORMER: LiteralString = """
SELECT wanted.fingerprint, o.id AS outage_id, o.window_id,
       floor(extract(epoch FROM newest.opened_at) / 60)::bigint AS opened_at,
       s.resolve_reason AS reason, o.verdict,
       floor(extract(epoch FROM held.last_seen_at) / 60)::bigint AS last_seen,
       CASE WHEN held.are_over THEN coalesce(o.resolved_at, now()) END AS resolved_at,
       CASE WHEN held.are_over THEN coalesce(o.resolve_reason, s.resolve_reason) END AS resolve_reason
FROM unnest(%(fingerprints)s::text[]) AS wanted(fingerprint)
CROSS JOIN LATERAL (
    SELECT m.incident_id, m.outage_id, m.opened_at FROM pipeline.outage_members m
    WHERE m.project_id = %(project_id)s AND m.fingerprint = wanted.fingerprint
      AND m.incident_id <> ALL(%(incident_ids)s)
    ORDER BY m.opened_at DESC LIMIT 1
) AS newest
CROSS JOIN LATERAL (SELECT * FROM pipeline.outages WHERE id = newest.outage_id OFFSET 0) AS o
LEFT JOIN LATERAL (
    SELECT resolve_reason FROM pipeline.incident_states WHERE incident_id = newest.incident_id OFFSET 0
) AS s ON true
CROSS JOIN LATERAL (
    SELECT max(i.last_seen_at) AS last_seen_at, bool_and(i.status = 'resolved') AS are_over
    FROM pipeline.outage_members m
    CROSS JOIN LATERAL (SELECT last_seen_at, status FROM incidents WHERE id = m.incident_id OFFSET 0) AS i
    WHERE m.outage_id = o.id AND m.incident_id <> ALL(%(incident_ids)s)
) AS held
"""


def former(
    connection: Connection, project_id: str, fingerprints: Collection[str], incident_ids: Collection[UUID]
) -> dict[str, FormerIncident]:
    """Return the newest grouped incident of each series that has one, `incident_ids` left out."""
    parameters = {
        "project_id": project_id,
        "fingerprints": list(fingerprints),
        "incident_ids": list(incident_ids),
    }
    found = {}
    for fingerprint, *columns in connection.execute(FORMER, parameters):
        outage_id, window_id, opened_at, reason, verdict, last_seen, resolved_at, resolve_reason = columns
        found[fingerprint] = FormerIncident(
            outage_id=outage_id,
            window_id=window_id,
            opened_at=opened_at,
            reason=reason,
            verdict=verdict,
            last_seen=last_seen,
            resolved_at=resolved_at,
            resolve_reason=resolve_reason,
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOutage:
    """An outage that begins with an incident, in a window of outages that are divided together."""

    id: UUID
    project_id: str
    window_id: UUID
    opened_at: datetime
    regression_of: UUID | None
    is_decided: bool = False


# The state of its members is written by `follow`, before anybody else can see it.
INSERT: LiteralString = """
INSERT INTO pipeline.outages (id, project_id, window_id, opened_at, newest_at, verdict, severity, status,
                              decided_at, regression_of)
SELECT r.id, r.project_id, r.window_id, r.opened_at, r.opened_at, 'learning', 'warn', 'open',
       CASE WHEN r.is_decided THEN now() END, r.regression_of
FROM json_to_recordset(%(rows)s::json) AS r(id uuid, project_id text, window_id uuid, opened_at timestamptz,
     is_decided boolean, regression_of uuid)
"""


def insert_all(connection: Connection, outages: Sequence[NewOutage]) -> None:
    """Insert new outages; their members and `follow` come after."""
    connection.execute(INSERT, {"rows": orjson.dumps(outages).decode()})


ADD: LiteralString = """
INSERT INTO pipeline.outage_members (incident_id, outage_id, project_id, environment, fingerprint, opened_at)
SELECT i.id, r.outage_id, i.project_id, i.environment, i.fingerprint, i.opened_at
FROM json_to_recordset(%(rows)s::json) AS r(incident_id uuid, outage_id uuid)
JOIN incidents i ON i.id = r.incident_id
WHERE i.id = ANY(%(ids)s)
"""


def add_members(connection: Connection, places: Mapping[UUID, UUID]) -> None:
    """Put incidents, each in no outage so far, into outages: incident → outage."""
    rows = [{"incident_id": incident, "outage_id": outage} for incident, outage in places.items()]
    connection.execute(ADD, {"rows": orjson.dumps(rows).decode(), "ids": list(places)})
