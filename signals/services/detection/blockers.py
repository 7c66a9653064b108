"""Everything that can keep an incident from opening, each as a code and a sentence."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from shared_types import EventType, Tenancy
from signals.clients.postgres import Connection
from signals.domain.detection.buckets import Series, instant_of
from signals.domain.detection.overflow import MOST_NEW_SERIES, overflow_of
from signals.domain.detection.rule_types import KNOWN_AFTER, Rule
from signals.services.detection.in_force import VersionInForce
from signals.store.detection.rules import RuleVersion
from signals.store.detection.series_facts import OverlappingIncident
from signals.store.ledger import ledger

LATE: Final = timedelta(minutes=2)  # from occurring to arriving: a rule may have judged without it (guess)

BlockerCode = Literal[
    "uncounted_type",
    "no_such_series",
    "counted_with_others",
    "out_of_order",
    "no_event",
    "learning",
    "counted_late",
    "duplicate",
    "incident_open",
    "rule_off",
    "no_such_rule_then",
    "version_then",
    "held",
    "not_evaluated",
    "own_series",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """One thing that kept an incident from opening, or the answer from being complete."""

    code: BlockerCode
    detail: str
    incident_id: UUID | None = None


def of_arrival(
    connection: Connection, tenancy: Tenancy, at: datetime, received: datetime | None
) -> Iterator[Blocker]:
    """Yield what the arrival of an event that occurred at `at` explains; None when none was asked about."""
    if received is None:
        return
    if received - at >= LATE:
        minutes = int((received - at).total_seconds() // 60)
        detail = (
            f"the event arrived {minutes} minutes after it occurred; rules had judged its minute without it"
        )
        yield Blocker(code="counted_late", detail=detail)
    minute = received.replace(second=0, microsecond=0)
    entered = ledger.read(
        connection, project_id=tenancy.project_id, since=minute, until=minute + timedelta(minutes=1)
    )
    repeated = sum(
        one.events for one in entered if (one.stage, one.outcome) == ("incident-engine", "duplicate")
    )
    if repeated:
        detail = f"{repeated} records received in that minute repeated an event id and were not counted again"
        yield Blocker(code="duplicate", detail=detail)


def of_series(series: Series, first: datetime | None, events: int, *, is_known: bool) -> Iterator[Blocker]:
    """Yield what the series' history explains: its first minute, and the events in the range."""
    if first is None:
        detail = f"no event was ever counted as {series.fingerprint}; check error_code, route and environment"
        yield Blocker(code="no_such_series", detail=detail)
        return
    if not events:
        yield Blocker(code="no_event", detail="no event of the series was counted in this hour")
    if not is_known:
        detail = f"the project was younger than {KNOWN_AFTER} minutes: its incidents are marked learning"
        yield Blocker(code="learning", detail=detail)


def of_uncounted(event_type: EventType, rules: int) -> Iterator[Blocker]:
    """Yield that Rules A and B do not count such events, and how many rules of the project's own do."""
    watching = f"{rules} of them watch such a series" if rules else "none of them watches such a series"
    detail = f"{event_type} events count in rules of your own only; {watching}"
    yield Blocker(code="uncounted_type", detail=detail)


def of_learning(rule: Rule, begun: int, minute: int) -> Iterator[Blocker]:
    """Yield that the rule, which has counted from `begun` on, could not tell news at a minute yet."""
    if minute < begun + rule.learning_minutes:
        detail = (
            f"the rule had counted for less than {rule.learning_minutes} minutes, from"
            f" {instant_of(begun):%Y-%m-%d %H:%M} UTC on: its incidents are marked learning"
        )
        yield Blocker(code="learning", detail=detail)


def of_order(*, is_disordered: bool) -> Iterator[Blocker]:
    """Yield that nothing of the series is confirmed now, because its events came out of order."""
    if is_disordered:
        detail = (
            "its events came out of order: until it is learned anew from its minutes, which takes some"
            " minutes after the last late event, only Rules A and B judge it and nothing is confirmed"
        )
        yield Blocker(code="out_of_order", detail=detail)


def of_bound(series: Series, first: datetime | None, at: datetime, begun: int) -> Iterator[Blocker]:
    """Yield that the series was one too many in its hour; `begun` is how many fingerprints began in it."""
    if begun < MOST_NEW_SERIES or (first is not None and first <= at):
        return
    detail = (
        f"{begun} new fingerprints of the project were received in that hour, which is the bound; errors of"
        f" further ones were counted together, as {overflow_of(series).fingerprint}"
    )
    yield Blocker(code="counted_with_others", detail=detail)


def of_open_incidents(incidents: Sequence[OverlappingIncident]) -> Iterator[Blocker]:
    """Yield the incidents that were open: a series has one at a time."""
    for one in incidents:
        ended = f"until {one.resolved_at:%Y-%m-%d %H:%M} UTC" if one.resolved_at else "and is not resolved"
        detail = f"an incident of the series was open from {one.opened_at:%Y-%m-%d %H:%M} UTC {ended}"
        yield Blocker(code="incident_open", detail=detail, incident_id=one.id)


def of_versions(newest: RuleVersion, pieces: Sequence[VersionInForce]) -> Iterator[Blocker]:
    """Yield what the versions in force explain, newest first."""
    if not pieces:
        yield Blocker(code="no_such_rule_then", detail="the rule was created later")
    for one in pieces:
        version, number = one.version, one.rule.version
        if not one.rule.enabled:
            detail = (
                f"the rule was off: {version.change} at {version.created_at:%Y-%m-%d %H:%M} UTC"
                f" by {version.created_by}"
            )
            yield Blocker(code="rule_off", detail=detail)
        if number != newest.rule.version or len(pieces) > 1:
            since = f"from {instant_of(one.minutes.start):%H:%M} UTC on" if len(pieces) > 1 else "then"
            detail = f"version {number} was in force {since}; the newest is {newest.rule.version}"
            yield Blocker(code="version_then", detail=detail)


def of_engine(rule: Rule, judged: Collection[str]) -> Iterator[Blocker]:
    """Yield that the engine does not judge by the rule; `judged` names those that it takes."""
    if rule.enabled and rule.name not in judged:
        yield Blocker(code="not_evaluated", detail="the engine does not judge by this rule")


def of_own_series(rule: Rule, counted: Series | None) -> Iterator[Blocker]:
    """Yield that the rule counts series of its own; the numbers given are those of `counted`, if any are."""
    if counted is not None:
        detail = f"the rule counts series of its own; the numbers are those of {counted.fingerprint}"
        yield Blocker(code="own_series", detail=detail)
        return
    per = ", ".join(rule.per) or "no attribute"
    detail = (
        f"the rule counts series of its own, by {per}, and has none of these values at that time; "
        f"beyond {rule.max_series} of them they are one: other"
    )
    yield Blocker(code="own_series", detail=detail)


def of_hold(rule: Rule, fired: Sequence[int]) -> Iterator[Blocker]:
    """Yield that the rule fired too seldom to open, by the minutes at which it fired."""
    hold = rule.hold
    if hold.fires == 1:
        return
    most = max(sum(at - hold.of < one <= at for one in fired) for at in fired)
    if most < hold.fires:
        detail = f"it fired at {most} of {hold.of} minutes, and opens from {hold.fires} on"
        yield Blocker(code="held", detail=detail)
