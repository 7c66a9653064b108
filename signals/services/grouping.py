"""Puts incidents that open into outages, in the transaction that opens them.

The first incident begins an outage at once, so that people can be notified at once. Incidents of the next ten
minutes may move to another outage (signals/services/incidents/settling.py), later ones never.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Final
from uuid import UUID, uuid4

from shared_types.grouping import GROUPING_VERSION
from signals.clients.postgres import Connection
from signals.domain.detection.buckets import minute_of
from signals.domain.incidents.outages import JOIN_MINUTES
from signals.domain.incidents.placing import (
    FormerIncident,
    KnownOutage,
    SeriesIncident,
    joined_by,
    place,
    regrouped,
)
from signals.store.incidents import outage_states, outages
from signals.store.incidents.outages import NewOutage

MOST_OLDER: Final = (
    1_000  # unresolved incidents of an older grouping; more are only there right after an upgrade
)


def group(connection: Connection, incident_ids: Collection[UUID]) -> None:
    """Let incidents that the caller's transaction has opened join an outage, or open one.

    The transaction's last act on incidents: it waits for other processes that group in the same projects.
    """
    if not incident_ids:
        return
    opened = outages.opened(connection, incident_ids)
    outages.lock_projects(connection, {incident.project_id for incident in opened})
    for project_id, incidents in groupby(opened, key=lambda incident: incident.project_id):
        _group_project(connection, project_id, list(incidents))


def _group_project(connection: Connection, project_id: str, incidents: Sequence[SeriesIncident]) -> None:
    since = minute_of(incidents[0].opened_at) - JOIN_MINUTES
    known = outages.joinable(connection, project_id, since_minute=since)
    ids = [incident.id for incident in incidents]
    former = _former(connection, project_id, {i.fingerprint for i in incidents}, ids)
    new, places = _place_all(incidents, former, known, datetime.now(UTC))
    if new:
        outages.insert_all(connection, new)
    outages.add_members(connection, places)
    outage_states.follow(connection, set(places.values()))


def _former(
    connection: Connection, project_id: str, fingerprints: Collection[str], ids: Collection[UUID]
) -> Mapping[str, FormerIncident]:
    """Return each series' newest incident in an outage, by fingerprint.

    While an incident is open that an older version of the grouping named otherwise, it is the series' former
    one: an upgrade amid an outage does not make two of it.
    """
    older = outages.of_older_grouping(connection, project_id, version=GROUPING_VERSION, rows=MOST_OLDER)
    renamed = {name: now for name in older if (now := regrouped(name)) != name and now in fingerprints}
    found = dict(outages.former(connection, project_id, {*fingerprints, *renamed}, ids))
    for name, now in renamed.items():
        one, other = found.pop(name, None), found.get(now)
        if one is not None and (other is None or one.opened_at > other.opened_at):
            found[now] = one
    return found


def _place_all(
    incidents: Sequence[SeriesIncident],
    former: Mapping[str, FormerIncident],
    known: Sequence[KnownOutage],
    now: datetime,
) -> tuple[list[NewOutage], dict[UUID, UUID]]:
    """Return the outages to open, and the outage of each incident; each may join an earlier one's."""
    by_id = {outage.id: outage for outage in known}
    left = dict(former)
    new: list[NewOutage] = []
    places: dict[UUID, UUID] = {}
    for incident in incidents:
        joinable = sorted(by_id.values(), key=lambda outage: outage.opened_at)
        found = place(incident, left.pop(incident.fingerprint, None), joinable, now)
        outage_id = found.outage_id
        if outage_id is None:
            outage_id = uuid4()
            window_id = found.window_id or outage_id
            is_decided = found.window_id is not None
            new.append(
                NewOutage(
                    id=outage_id,
                    project_id=incident.project_id,
                    window_id=window_id,
                    opened_at=incident.opened_at,
                    regression_of=found.regression_of,
                    is_decided=is_decided,
                )
            )
            minute = minute_of(incident.opened_at)
            by_id[outage_id] = KnownOutage(
                id=outage_id,
                window_id=window_id,
                cause=None,
                opened_at=minute,
                newest_at=minute,
                is_decided=is_decided,
            )
        elif outage_id in by_id:
            by_id[outage_id] = joined_by(by_id[outage_id], incident.member)
        places[incident.id] = outage_id
    return new, places
