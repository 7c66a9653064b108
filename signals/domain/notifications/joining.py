"""Decides which message tells each incident at each destination: that of its outage, a new one, or a storm.

A message tells one outage. What moves to another outage while causes are decided leaves the message, unless
nothing else is left in it: then the message follows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from signals.domain.notifications.facts import (
    HeldOutages,
    Known,
    Notices,
    NoticeSubject,
    PlannedDestination,
)
from signals.domain.notifications.telling import place

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNotice:
    """A message to insert; `subject_id` None: programs sort by the message's own id."""

    id: UUID
    destination_id: UUID
    subject_id: UUID | None
    is_storm: bool
    wanted: int
    run_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticePlan:
    """The rows that one round writes. `rings` are messages that an incident outside of maintenance needs."""

    wanted: dict[UUID, int] = field(default_factory=dict)
    due_at: dict[UUID, datetime] = field(default_factory=dict)
    notices: list[NewNotice] = field(default_factory=list)
    incidents: dict[tuple[UUID, UUID], UUID] = field(default_factory=dict)
    outages: dict[tuple[UUID, UUID], UUID] = field(default_factory=dict)
    left: list[tuple[UUID, UUID]] = field(default_factory=list)
    holds: dict[UUID, tuple[datetime, UUID]] = field(default_factory=dict)
    rings: set[UUID] = field(default_factory=set)


def moved(found: Mapping[UUID, NoticeSubject], told: Notices, homes: Notices) -> set[UUID]:
    """Return the messages that tell an incident whose outage has another message, or none."""
    return {
        notice_id
        for (incident_id, destination_id), notice_id in told.items()
        if homes.get((found[incident_id].outage.id, destination_id)) != notice_id
    }


class Joining:
    """One round of decisions; `new_id` makes ids of messages."""

    def __init__(self, known: Known, new_id: Callable[[], UUID]) -> None:
        self._known = known
        self._new_id = new_id
        self._state = dict(known.destinations)
        self._homes = dict(known.homes)
        self._followed: set[UUID] = set()
        self._split: set[UUID] = set()
        self.plan = NoticePlan()

    def decide(self) -> NoticePlan:
        """Return the rows to write."""
        known = self._known
        for (incident_id, destination_id), notice_id in _by_change(known, known.told):
            if self._is_able(destination_id):
                self._again(incident_id, destination_id, notice_id)
        for (incident_id, destination_id), at in _by_change(known, known.due_at):
            if (incident_id, destination_id) not in known.told and self._is_able(destination_id):
                self._first(incident_id, destination_id, at)
        return self.plan

    def _is_able(self, destination_id: UUID) -> bool:
        state = self._state.get(destination_id)
        return state is not None and not state.is_disabled

    def _again(self, incident_id: UUID, destination_id: UUID, notice_id: UUID) -> None:
        """Have the message tell the change; an incident that moved to another outage may leave it."""
        known, outage_id = self._known, self._known.found[incident_id].outage.id
        self._want(notice_id, incident_id, destination_id)
        held = known.held.get(notice_id)
        if held is None or self._homes.get((outage_id, destination_id)) == notice_id:
            return
        kept = kept_outages(held)
        if notice_id not in self._followed:
            self._followed.add(notice_id)
            self._follow(held, kept, notice_id, destination_id)
        if outage_id not in kept:
            self._leave(incident_id, destination_id, notice_id)

    def _follow(
        self, held: HeldOutages, kept: frozenset[UUID], notice_id: UUID, destination_id: UUID
    ) -> None:
        """Let a message be that of the outages it keeps, and no longer of those that it has nothing of."""
        for outage_id in held.registered - held.incidents.keys():
            self._homes.pop((outage_id, destination_id), None)
            self.plan.left.append((outage_id, destination_id))
        for outage_id in sorted(kept):
            if (outage_id, destination_id) not in self._homes:
                self._register(outage_id, destination_id, notice_id)

    def _leave(self, incident_id: UUID, destination_id: UUID, notice_id: UUID) -> None:
        """Move an incident to its own outage's message, which rings when it is new."""
        if notice_id not in self._split:  # the message that is split counts among those of the last minute
            self._split.add(notice_id)
            state = self._state[destination_id]
            self._state[destination_id] = replace(state, recent=state.recent + 1)
        at = self._known.due_at.get((incident_id, destination_id), self._known.now)
        self._first(incident_id, destination_id, at)

    def _first(self, incident_id: UUID, destination_id: UUID, at: datetime) -> None:
        """Put an incident into the message of its outage, else into a new one, or into the storm."""
        known, subject = self._known, self._known.found[incident_id]
        home = self._homes.get((subject.outage.id, destination_id))
        if home is None:
            if self._is_over_for(subject, self._state[destination_id]):
                return
            home = self._open(subject, known.changes[incident_id], destination_id, at)
        self.plan.incidents[incident_id, destination_id] = home
        self._want(home, incident_id, destination_id)

    def _is_over_for(self, subject: NoticeSubject, state: PlannedDestination) -> bool:
        """Whether an incident ended before the destination was created, or before a pager called anybody."""
        told = subject.told
        if told.status != "resolved":
            return False
        return state.kind == "pagerduty" or (told.resolved_at or state.created_at) <= state.created_at

    def _open(self, subject: NoticeSubject, change_id: int, destination_id: UUID, at: datetime) -> UUID:
        """Return the outage's new message, or that of the storm, which may be new as well."""
        state = self._state[destination_id]
        where = place(
            state.kind, subject.matched.severity, recent=state.recent, has_storm=state.storm_id is not None
        )
        is_storm = where == "storm"
        if is_storm and state.storm_id is not None:
            notice_id = state.storm_id
        else:
            notice_id = self._new_id()
            notice = NewNotice(
                id=notice_id,
                destination_id=destination_id,
                subject_id=None if is_storm else subject.outage.id,
                is_storm=is_storm,
                wanted=change_id,
                run_after=at,
            )
            self.plan.notices.append(notice)
            self._state[destination_id] = (
                replace(state, storm_id=notice_id) if is_storm else replace(state, recent=state.recent + 1)
            )
        self._register(subject.outage.id, destination_id, notice_id)
        return notice_id

    def _register(self, outage_id: UUID, destination_id: UUID, notice_id: UUID) -> None:
        self._homes[outage_id, destination_id] = notice_id
        self.plan.outages[outage_id, destination_id] = notice_id

    def _want(self, notice_id: UUID, incident_id: UUID, destination_id: UUID) -> None:
        wanted = self._known.changes[incident_id]
        self.plan.wanted[notice_id] = max(wanted, self.plan.wanted.get(notice_id, 0))
        at = self._known.due_at.get((incident_id, destination_id))
        if at is not None:
            self.plan.due_at[notice_id] = min(at, self.plan.due_at.get(notice_id, at))
        held = self._known.holds.get(incident_id)
        if held is None:
            self.plan.holds.pop(notice_id, None)
            self.plan.rings.add(notice_id)
        elif notice_id not in self.plan.rings:
            self.plan.holds[notice_id] = max(held, self.plan.holds.get(notice_id, held))


def kept_outages(held: HeldOutages) -> frozenset[UUID]:
    """Return the outages whose incidents stay in a message: its own, else the one most of them went to.

    So a message is never left without an incident, whose end it must tell. A storm keeps everything.
    """
    counts = held.incidents
    if held.is_storm:
        return frozenset(counts)
    own = held.registered & counts.keys()
    return own or frozenset(sorted(counts, key=lambda outage_id: (-counts[outage_id], outage_id))[:1])


def _by_change(known: Known, pairs: Mapping[tuple[UUID, UUID], T]) -> list[tuple[tuple[UUID, UUID], T]]:
    """Return entries in the order of their incidents' changes."""
    return sorted(pairs.items(), key=lambda one: (known.changes[one[0][0]], one[0]))
