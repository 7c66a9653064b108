"""Finds incidents and outages by the beginning of an id, or the newest one: people do not type whole ids."""

from typing import Literal, LiteralString
from uuid import UUID

from signals.clients.postgres import Connection

# Two are enough to see that the text is ambiguous. Ids are compared as numbers, along the primary key.
INCIDENTS: LiteralString = """
SELECT id FROM incidents
WHERE project_id = %(project_id)s AND id BETWEEN %(lowest)s AND %(highest)s
ORDER BY id LIMIT 2
"""
OUTAGES: LiteralString = """
SELECT id FROM pipeline.outages
WHERE project_id = %(project_id)s AND id BETWEEN %(lowest)s AND %(highest)s
ORDER BY id LIMIT 2
"""
OF_INCIDENT: LiteralString = """
SELECT outage_id FROM pipeline.outage_members
WHERE project_id = %(project_id)s AND incident_id BETWEEN %(lowest)s AND %(highest)s
ORDER BY incident_id LIMIT 2
"""
NEWEST_INCIDENT: LiteralString = """
SELECT id FROM incidents WHERE project_id = %(project_id)s ORDER BY opened_at DESC, id DESC LIMIT 1
"""
NEWEST_OUTAGE: LiteralString = """
SELECT id FROM pipeline.outages WHERE project_id = %(project_id)s AND merged_into IS NULL
ORDER BY opened_at DESC, id DESC LIMIT 1
"""

Named = Literal["incident", "outage"]


def between(connection: Connection, project_id: str, named: Named, lowest: UUID, highest: UUID) -> list[UUID]:
    """Return at most two ids of a range; that of an incident stands for its outage's."""
    values = {"project_id": project_id, "lowest": lowest, "highest": highest}
    found = connection.execute(INCIDENTS if named == "incident" else OUTAGES, values).fetchall()
    if named == "outage" and len(found) < 2:
        found += connection.execute(OF_INCIDENT, values).fetchall()
    return sorted({row[0] for row in found})


def newest(connection: Connection, project_id: str, named: Named) -> UUID | None:
    """Return the id of the project's newest one, None without any."""
    query = NEWEST_INCIDENT if named == "incident" else NEWEST_OUTAGE
    row = connection.execute(query, {"project_id": project_id}).fetchone()
    return None if row is None else UUID(str(row[0]))
