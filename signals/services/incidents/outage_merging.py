"""Merges settled outages and splits a series off, as people say; nothing moves back by itself.

Only settled outages: until minute ten the incidents of a window are divided anew, and a person's choice
would not last. Locks are taken in the order of grouping: incidents, the project's lock, outages.
"""

from uuid import UUID

from signals.clients.postgres import Connection
from signals.services.incidents.work_refused import WorkRefused
from signals.store.incidents import incident_changes, outage_members, outage_states, outage_windows, outages
from signals.store.incidents.outage_members import LockedMember
from signals.store.incidents.outage_views import OutageRow
from signals.store.incidents.outage_windows import DueWindow
from signals.store.incidents.outages import NewOutage


def merge(connection: Connection, source: OutageRow, target: OutageRow, *, version: int | None) -> UUID:
    """Move every incident of `source` to `target`, whose id both answer to then; return that id.

    Raises:
        WorkRefused: when they are one outage, one is not settled, or `source` has another version.
    """
    if source.id == target.id:
        raise WorkRefused("same_outage", "Both ids are of one outage; name another one.")
    members = _lock(connection, [source, target])
    moving = [member for member in members if member.outage_id == source.id]
    _check_version(connection, moving, version)
    outage_windows.move(connection, {member.id: target.id for member in moving})
    outage_windows.merge_settled(connection, source.id, target.id)
    outage_states.follow(connection, [target.id])
    detail = {"merged_from": str(source.id), "outage_id": str(target.id)}
    incident_changes.note(connection, source.first_incident_id, "merged", detail)
    return target.id


def split(
    connection: Connection, source: OutageRow, incident_id: UUID, new_id: UUID, *, version: int | None
) -> UUID:
    """Move the series of an incident to a new outage; return its id. Both timelines tell of it.

    The series' earlier incidents in the outage go with it: the next one joins where its newest is.

    Raises:
        WorkRefused: when the incident is not in the outage, its series is all there is, the outage is not
            settled, or has another version.
    """
    members = _lock(connection, [source])
    _check_version(connection, members, version)
    chosen = next((member for member in members if member.id == incident_id), None)
    if chosen is None:
        raise WorkRefused("not_in_outage", "incident: it is not in this outage; read the outage again.")
    moving = [member for member in members if member.series == chosen.series]
    if len(moving) == len(members):
        raise WorkRefused("only_series", "The outage has one series; there is nothing to split.")
    opened_at = min(member.opened_at for member in moving)
    new = NewOutage(
        id=new_id,
        project_id=source.project_id,
        window_id=new_id,
        opened_at=opened_at,
        regression_of=None,
        is_decided=True,
    )
    outages.insert_all(connection, [new])
    outage_windows.move(connection, {member.id: new_id for member in moving})
    settled = DueWindow(id=new_id, project_id=source.project_id, is_last=True)
    outage_windows.decide(connection, settled, [], {})
    outage_states.follow(connection, [source.id, new_id])
    detail = {"split_from": str(source.id), "outage_id": str(new_id)}
    incident_changes.note(connection, incident_id, "split", detail)
    staying = [member for member in members if member.series != chosen.series]
    first = min(staying, key=lambda member: (member.opened_at, member.fingerprint, member.id))
    detail = {"split_off": str(incident_id), "outage_id": str(new_id)}
    incident_changes.note(connection, first.id, "split", detail)
    return new_id


def _lock(connection: Connection, rows: list[OutageRow]) -> list[LockedMember]:
    """Lock outages with their incidents and the grouping of their project; return the incidents."""
    ids = [row.id for row in rows]
    before = outage_members.lock(connection, ids)
    outages.lock_projects(connection, {row.project_id for row in rows})
    members = outage_members.lock(connection, ids)
    if len(members) != len(before) or not outage_states.lock_settled(connection, ids):
        raise WorkRefused(
            "not_settled", "Its incidents may still move until ten minutes after its opening; try again then."
        )
    return members


def _check_version(connection: Connection, members: list[LockedMember], version: int | None) -> None:
    found = incident_changes.version_of(connection, [member.id for member in members])
    if version not in (None, found):
        raise WorkRefused("version_changed", "The outage changed meanwhile; read it again.")
