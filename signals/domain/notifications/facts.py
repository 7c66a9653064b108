"""The facts that planning and wording decide on: incidents as they are now, destinations, and messages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from signals.domain.notifications.messages import ToldIncident
from signals.domain.notifications.outage_messages import ToldOutage
from signals.domain.notifications.routing import Subject
from signals.domain.notifications.telling import ToldState

Notices = Mapping[tuple[UUID, UUID], UUID]
"""Messages by incident, or outage, and destination."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeSubject:
    """An incident as it is now: as routes match it, and as messages show it.

    An incident in no outage is an outage of one, with the incident's id.
    """

    matched: Subject
    told: ToldIncident
    outage: ToldOutage
    has_summary: bool
    has_findings: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDestination:
    """A destination that is locked for planning: `recent` counts its messages of the last minute.

    `storm_id` is the storm's message that incidents join now, None without one.
    """

    id: UUID
    kind: str
    created_at: datetime
    is_disabled: bool
    recent: int
    storm_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutages:
    """The outages of a message: further incidents of `registered` ones join; `incidents` counts by outage."""

    is_storm: bool
    registered: frozenset[UUID]
    incidents: Mapping[UUID, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The facts that the planner has read: incidents, the newest change of each, and what tells them already.

    `due_at` has an entry for each incident and destination that a route joins. `homes` are the messages of
    outages, `held` the outages of messages from which an incident may leave. `holds` are incidents in
    maintenance: until when their messages wait, and for which window.
    """

    changes: Mapping[UUID, int]
    found: Mapping[UUID, NoticeSubject]
    due_at: Mapping[tuple[UUID, UUID], datetime]
    told: Notices
    homes: Notices
    held: Mapping[UUID, HeldOutages]
    destinations: Mapping[UUID, PlannedDestination]
    now: datetime
    holds: Mapping[UUID, tuple[datetime, UUID]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldNotice:
    """A leased message: it must tell `wanted`; `told` is what it told last, None when nothing.

    `tried` may have been told since, without an answer; `is_rescued`: the process that sent it last died.
    `is_held`: a maintenance window holds or held it.
    """

    id: UUID
    subject_id: UUID | None
    is_storm: bool
    is_held: bool
    is_rescued: bool
    wanted: int
    told: ToldState | None
    tried: ToldState | None
    reference: str | None
    sends: int
