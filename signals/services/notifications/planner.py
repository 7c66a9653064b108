"""Plans messages from changes of incidents: which destination must tell what, in one transaction.

It reads no clock: `now` is the database's, given by the caller.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

import structlog

from signals.clients.postgres import Connection
from signals.domain.notifications.routing import Route, by_destination, due
from signals.domain.notifications.telling import STORM_S, place
from signals.services.notifications.routes import stored_route
from signals.store.notifications import planning, routes, subjects
from signals.store.notifications.planning import NewNotice, PlannedDestination
from signals.store.notifications.subjects import NoticeSubject

MAX_CHANGES: Final = 500  # guess: planned within a tenth of a second

log = structlog.get_logger(__name__)

DueAt = dict[tuple[UUID, UUID], datetime]
"""When to tell, by subject and destination."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """The rows that one round adds."""

    wanted: dict[UUID, int]
    notices: list[NewNotice]
    members: dict[tuple[UUID, UUID], UUID]


def plan(connection: Connection, now: datetime) -> int:
    """Plan for changes without a plan; return of how many incidents they are.

    A message that exists tells every further change, even when no route matches any more: a destination that
    got the opening gets the end. A new message needs a route that matches the incident as it is now.
    """
    changes = planning.take_changes(connection, limit=MAX_CHANGES)
    if not changes:
        return 0
    found = subjects.read(connection, changes)
    rows = routes.list_routes(connection, {subject.told.project_id for subject in found.values()})
    by_project: dict[str, list[Route]] = {}
    for row in rows:
        by_project.setdefault(row.project_id, []).append(stored_route(row))
    due_at = _due(found, by_project, now)
    told = planning.told_already(connection, changes)
    destination_ids = {destination for _, destination in (*due_at, *told)}
    if not destination_ids:
        return len(changes)
    destinations = planning.lock_destinations(connection, destination_ids, storm_s=STORM_S)
    told = planning.told_already(connection, changes)  # again: another planner may have held the lock
    decided = _decide(changes, found, due_at, told, destinations)
    if decided.members:
        planning.insert(connection, decided.notices, decided.members)
    if decided.wanted:
        planning.want(connection, decided.wanted)
    return len(changes)


def _due(
    found: Mapping[UUID, NoticeSubject], by_project: Mapping[str, Sequence[Route]], now: datetime
) -> DueAt:
    return {
        (subject_id, destination_id): at
        for subject_id, subject in found.items()
        for destination_id, candidates in by_destination(by_project.get(subject.told.project_id, ())).items()
        if (at := due(candidates, subject.matched, now)) is not None
    }


def _decide(
    changes: Mapping[UUID, int],
    found: Mapping[UUID, NoticeSubject],
    due_at: DueAt,
    told: Mapping[tuple[UUID, UUID], UUID],
    destinations: Mapping[UUID, PlannedDestination],
) -> _Plan:
    made = _Plan(wanted={}, notices=[], members={})
    for (subject_id, destination_id), notice_id in told.items():
        destination = destinations.get(destination_id)
        if destination is not None and not destination.is_disabled:
            made.wanted[notice_id] = max(changes[subject_id], made.wanted.get(notice_id, 0))
    state = dict(destinations)
    for (subject_id, destination_id), at in sorted(due_at.items(), key=lambda one: changes[one[0][0]]):
        found_state = state.get(destination_id)
        if (subject_id, destination_id) in told or found_state is None or found_state.is_disabled:
            continue
        if found[subject_id].told.status == "resolved" and found_state.kind == "pagerduty":
            continue  # over before anybody was called
        state[destination_id] = _open(made, found[subject_id], changes[subject_id], found_state, at)
    return made


def _open(
    made: _Plan, subject: NoticeSubject, change_id: int, destination: PlannedDestination, at: datetime
) -> PlannedDestination:
    """Give the subject a message of its own or a place in the storm; return the destination's new state."""
    subject_id = subject.told.id
    where = place(
        destination.kind,
        subject.matched.severity,
        recent=destination.recent,
        has_storm=destination.storm_id is not None,
    )
    if where == "storm" and destination.storm_id is not None:
        made.members[subject_id, destination.id] = destination.storm_id
        made.wanted[destination.storm_id] = max(change_id, made.wanted.get(destination.storm_id, 0))
        return destination
    notice_id = uuid4()
    is_storm = where == "storm"
    made.notices.append(
        NewNotice(
            id=notice_id, destination_id=destination.id, is_storm=is_storm, wanted=change_id, run_after=at
        )
    )
    made.members[subject_id, destination.id] = notice_id
    if is_storm:
        log.info("notices joined into one", destination_id=str(destination.id), notice_id=str(notice_id))
        return replace(destination, storm_id=notice_id)
    return replace(destination, recent=destination.recent + 1)
