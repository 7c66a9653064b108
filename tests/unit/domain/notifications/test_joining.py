"""Incidents that move between outages are told by exactly one message, and no message loses all of them."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from signals.domain.detection.severity import IncidentSeverity
from signals.domain.notifications.facts import HeldOutages, Known, NoticeSubject, PlannedDestination
from signals.domain.notifications.joining import Joining, kept_outages, moved
from signals.domain.notifications.messages import ToldIncident
from signals.domain.notifications.outage_messages import ToldOutage
from signals.domain.notifications.routing import Subject

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
SLACK = UUID(int=1)
INCIDENTS = tuple(UUID(int=100 + number) for number in range(12))
OUTAGES = tuple(UUID(int=200 + number) for number in range(4))


@dataclass
class Table:
    """The tables' rows of one destination, with the planner's writes applied."""

    outage_of: dict[UUID, UUID] = field(default_factory=dict)
    notice_of: dict[UUID, UUID] = field(default_factory=dict)
    homes: dict[UUID, UUID] = field(default_factory=dict)
    storms: set[UUID] = field(default_factory=set)
    made: int = 0

    def round(self, changed: list[UUID], recent: int) -> None:
        """Plan for incidents that opened or moved."""
        found = {one: self._subject(one) for one in changed}
        told = {(one, SLACK): self.notice_of[one] for one in changed if one in self.notice_of}
        homes = {(outage, SLACK): notice for outage, notice in self.homes.items()}
        known = Known(
            changes={one: number for number, one in enumerate(changed, 1)},
            found=found,
            due_at={(one, SLACK): NOW for one in changed},
            told=told,
            homes=homes,
            held={notice: self.held(notice) for notice in moved(found, told, homes)},
            destinations={SLACK: self._destination(recent)},
            now=NOW,
        )
        plan = Joining(known, self._new_id).decide()
        self.storms |= {notice.id for notice in plan.notices if notice.is_storm}
        self.notice_of |= {incident: notice for (incident, _), notice in plan.incidents.items()}
        for outage, _ in plan.left:
            self.homes.pop(outage, None)
        self.homes |= {outage: notice for (outage, _), notice in plan.outages.items()}
        assert plan.wanted.keys() >= {self.notice_of[one] for one in changed}

    def held(self, notice: UUID) -> HeldOutages:
        counts = Counter(self.outage_of[one] for one, at in self.notice_of.items() if at == notice)
        registered = frozenset(outage for outage, at in self.homes.items() if at == notice)
        return HeldOutages(is_storm=notice in self.storms, registered=registered, incidents=counts)

    def _new_id(self) -> UUID:
        self.made += 1
        return UUID(int=1_000 + self.made)

    def _subject(self, incident: UUID) -> NoticeSubject:
        fingerprint = f"E{incident.int}|/x|prod"
        told = ToldIncident(
            id=incident,
            project_id="shop",
            environment="prod",
            fingerprint=fingerprint,
            status="open",
            severity="error",
            title="E",
            opened_at=NOW,
        )
        matched = Subject(
            environment="prod",
            severity=IncidentSeverity.ERROR,
            verdict="confirmed",
            fingerprints=(fingerprint,),
        )
        outage = ToldOutage(id=self.outage_of[incident])
        return NoticeSubject(matched=matched, told=told, outage=outage, has_summary=False)

    def _destination(self, recent: int) -> PlannedDestination:
        storm = next(iter(self.storms), None)
        return PlannedDestination(
            id=SLACK, kind="slack", created_at=NOW, is_disabled=False, recent=recent, storm_id=storm
        )


Moves = st.lists(
    st.dictionaries(st.sampled_from(INCIDENTS), st.sampled_from(OUTAGES), min_size=1), min_size=1, max_size=6
)


@given(Moves, st.integers(0, 6))
def test_incident_has_one_message_and_no_message_is_left_empty(
    rounds: list[dict[UUID, UUID]], recent: int
) -> None:
    table = Table()
    ever: set[UUID] = set()
    for places in rounds:
        changed = [one for one, outage in places.items() if table.outage_of.get(one) != outage]
        table.outage_of |= places
        if changed:
            table.round(changed, recent)
        assert table.notice_of.keys() == table.outage_of.keys()
        ever |= set(table.notice_of.values())
        assert set(table.notice_of.values()) == ever  # a message whose incidents all left has no end to tell
        assert set(table.homes.values()) <= ever


@given(Moves)
def test_new_incident_joins_the_message_of_its_outage(rounds: list[dict[UUID, UUID]]) -> None:
    table = Table()
    notices: dict[UUID, set[UUID]] = defaultdict(set)
    for places in rounds:
        opened = {one: outage for one, outage in places.items() if one not in table.outage_of}
        table.outage_of |= opened
        if opened:
            table.round(list(opened), 0)
        for one, outage in table.outage_of.items():
            notices[outage].add(table.notice_of[one])
    assert all(len(found) == 1 for found in notices.values())


def test_message_follows_most_of_its_incidents_when_its_outage_has_none_left() -> None:
    gone, small, large = OUTAGES[:3]
    held = HeldOutages(is_storm=False, registered=frozenset({gone}), incidents={small: 1, large: 2})
    assert kept_outages(held) == {large}
