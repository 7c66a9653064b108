"""Plans messages from changes of incidents and moves between outages, in one transaction.

It reads no clock: `now` is the database's, given by the caller.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

import structlog

from signals.clients.postgres import Connection
from signals.domain.notifications.facts import Known, NoticeSubject
from signals.domain.notifications.holding import hold
from signals.domain.notifications.joining import Joining, NoticePlan, moved
from signals.domain.notifications.routing import Route, by_destination, due
from signals.domain.notifications.telling import STORM_S
from signals.services.notifications.routes import stored_route
from signals.store import leases
from signals.store.notifications import fallbacks, maintenance, planned_notices, planning, routes, subjects
from signals.store.notifications.maintenance import MaintenanceWindow
from signals.store.notifications.notices import QUEUE

MAX_CHANGES: Final = 500  # guess: planned within a tenth of a second
MAX_WINDOWS: Final = 1_000  # of maintenance, of the projects of one round; a project has a hundred at most

log = structlog.get_logger(__name__)


def plan(connection: Connection, now: datetime) -> int:
    """Plan for changes without a plan; return of how many incidents they are.

    The connection is pipelined: five round trips, however many changes there are.

    A message that exists tells every further change, even when no route matches any more: a destination that
    got the opening gets the end. An incident that is not told yet needs a route that matches it as it is now.
    The fallback of a disabled destination takes its routes.
    """
    changes = planning.take_changes(connection, limit=MAX_CHANGES)
    if not changes:
        return 0
    found = subjects.read(connection, changes)
    projects = {subject.told.project_id for subject in found.values()}
    known_told = planning.told_already(connection, changes)
    known_stand_ins = fallbacks.stand_ins(connection, projects)
    stored, stand_ins = routes.list_routes(connection, projects), known_stand_ins()
    by_project: dict[str, list[Route]] = {}
    for row in stored:
        place = stand_ins.get(row.destination_id, row.destination_id)
        by_project.setdefault(row.project_id, []).append(replace(stored_route(row), destination_id=place))
    due_at = _due(found, by_project, now)
    destination_ids = {destination for _, destination in (*due_at, *known_told())}
    if not destination_ids:
        return len(changes)
    locked = planning.lock_destinations(connection, destination_ids, storm_s=STORM_S)
    known_told = planning.told_already(connection, changes)  # again: another planner may have held the lock
    known_homes = planning.homes(connection, {subject.outage.id for subject in found.values()})
    windows = maintenance.list_windows(connection, projects, after=now, rows=MAX_WINDOWS)
    told, homes = known_told(), known_homes()
    leaving = moved(found, told, homes)
    known = Known(
        changes=changes,
        found=found,
        due_at=due_at,
        told=told,
        homes=homes,
        held=planning.held_outages(connection, leaving) if leaving else {},
        destinations=locked(),
        holds=_holds(found, windows, now),
        now=now,
    )
    _write(connection, Joining(known, uuid4).decide())
    return len(changes)


def _write(connection: Connection, decided: NoticePlan) -> None:
    if decided.notices:
        planned_notices.insert(connection, decided.notices)
    for notice in decided.notices:
        if notice.is_storm:
            places = {"destination_id": str(notice.destination_id), "notice_id": str(notice.id)}
            log.info("notices joined into one", **places)
    if decided.incidents:
        planned_notices.join(connection, decided.incidents)
    if decided.left:
        planned_notices.unregister(connection, decided.left)
    if decided.outages:
        planned_notices.register(connection, decided.outages)
    if decided.wanted:
        leases.lock(connection, QUEUE, decided.wanted)
        planned_notices.want(connection, decided.wanted, decided.due_at, decided.holds)


def _holds(
    found: Mapping[UUID, NoticeSubject], windows: Sequence[MaintenanceWindow], now: datetime
) -> dict[UUID, tuple[datetime, UUID]]:
    """Return until when maintenance holds incidents, and which window."""
    held = {}
    for incident_id, subject in found.items():
        of_project = [window for window in windows if window.project_id == subject.told.project_id]
        found_hold = hold(of_project, subject.matched, now)
        if found_hold is not None:
            held[incident_id] = found_hold
    return held


def _due(
    found: Mapping[UUID, NoticeSubject], by_project: Mapping[str, Sequence[Route]], now: datetime
) -> dict[tuple[UUID, UUID], datetime]:
    return {
        (subject_id, destination_id): at
        for subject_id, subject in found.items()
        for destination_id, candidates in by_destination(by_project.get(subject.told.project_id, ())).items()
        if (at := due(candidates, subject.matched, now)) is not None
    }
