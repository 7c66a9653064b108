"""Sets the status of an outage together with its incidents', all or nothing."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from psycopg import Rollback

from signals.clients.postgres import Connection
from signals.domain.incidents.episode import IncidentStatus
from signals.services.incidents.views import STATUSES
from signals.store.incidents import (
    incident_changes,
    incident_states,
    incident_views,
    outage_members,
    outage_states,
    outage_views,
)
from signals.store.incidents.incident_views import StatusMove
from signals.store.incidents.outage_members import LockedMember
from signals.store.incidents.outage_views import OutageRow

MoveOutcome = Literal["changed", "stale", "another_open"]


def lock_version(connection: Connection, outage_id: UUID) -> int:
    """Lock an outage's incidents, and return how many changes its timeline has: none is added meanwhile."""
    members = outage_members.lock(connection, [outage_id])
    return incident_changes.version_of(connection, [member.id for member in members])


def set_status(connection: Connection, row: OutageRow, wanted: IncidentStatus) -> MoveOutcome:
    """Change an outage and the incidents that go with it, all or nothing."""
    members = outage_members.lock(connection, [row.id])
    outcome: MoveOutcome = "stale"
    with connection.transaction() as attempt:
        if outage_views.set_status(connection, row, wanted):
            outcome = _set_members(connection, row, members, wanted)
        if outcome != "changed":
            raise Rollback(attempt)
        outage_states.follow(connection, [row.id])
    return outcome


def _set_members(
    connection: Connection, row: OutageRow, members: Sequence[LockedMember], wanted: IncidentStatus
) -> MoveOutcome:
    """Move the unresolved incidents along; reopening takes back those that ended with the outage."""
    for expected in STATUSES:
        moving = [
            member.id
            for member in members
            if member.status == expected != wanted and (expected != "resolved" or _ended_with(member, row))
        ]
        if not moving:
            continue
        move = StatusMove(expected=expected, status=wanted)
        outcome = incident_views.set_status(connection, row.project_id, moving, move)
        if outcome != "changed":
            return outcome
        if "resolved" in (expected, wanted):
            incident_states.note_status(connection, moving, is_resolved=wanted == "resolved")
    return "changed"


def _ended_with(member: LockedMember, row: OutageRow) -> bool:
    """Say whether the end of an incident was the end of its outage."""
    if row.resolved_at is None or member.resolved_at is None:
        return False
    return member.resolved_at >= row.resolved_at
