"""Decides which outage an incident joins when it opens: a former one, one that gathers, or none.

Gathered incidents are divided later (`outages.settle`). Source: docs/concepts/outages.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from shared_types import RuleFingerprint, read_fingerprint
from shared_types.grouping import group_code, group_route
from signals.domain.detection.buckets import minute_of
from signals.domain.incidents.episode import IDLE_MINUTES, REOPEN_WITHIN, IncidentVerdict, ResolveReason
from signals.domain.incidents.outages import JOIN_MINUTES, REVISE_MINUTES, RULE, Member, Value, may_join

RETURN_AFTER_RESOLVING_S: Final = 300  # decided: the rule's window still holds the events
EXPLAINING: Final = ("error_code", "route", "environment", "release")
"""Attributes that may be the cause of an outage: a method or a status code is an effect."""
NO_RETURN: Final[tuple[ResolveReason, ...]] = (
    "became_usual",
    "superseded",
    "gone",
    "rule_off",
    "rule_changed",
)
"""Ends after which the next firing is another outage: a new level, verdict, or life of the series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesIncident:
    """An incident as placing sees it. `verdict` is `confirmed` where an earlier release said nothing."""

    id: UUID
    project_id: str
    environment: str
    fingerprint: str
    opened_at: datetime
    verdict: IncidentVerdict

    @property
    def member(self) -> Member:
        """The incident as `outages.settle` takes it."""
        return Member(
            number=0,
            series=self.fingerprint,
            attributes=attributes_of(self.fingerprint),
            opened_at=minute_of(self.opened_at),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownOutage:
    """An outage that an incident may join; minutes are since the epoch."""

    id: UUID
    window_id: UUID
    cause: Value | None
    opened_at: int
    newest_at: int
    is_decided: bool = False
    is_settled: bool = False
    resolved_at: datetime | None = None
    resolve_reason: ResolveReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerIncident:
    """The newest incident of a series that is in an outage, and how the two stand.

    `last_seen` is the newest minute of all the outage's incidents. The last two fields are the outage's:
    None while it is not resolved.
    """

    outage_id: UUID
    window_id: UUID
    opened_at: int
    reason: ResolveReason | None
    verdict: IncidentVerdict
    last_seen: int
    resolved_at: datetime | None
    resolve_reason: ResolveReason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an incident goes: to `outage_id`, or, when that is None, to a new outage.

    The new one belongs to the window, or begins one when `window_id` is None.
    """

    outage_id: UUID | None
    window_id: UUID | None = None
    regression_of: UUID | None = None


def attributes_of(fingerprint: str) -> Mapping[str, str]:
    """Return the attributes that may explain why a series fired."""
    named = read_fingerprint(fingerprint)
    if isinstance(named, RuleFingerprint):
        return attributes_of_own(named.rule, named.values)
    found = {"error_code": named.error_code, "route": named.route, "environment": named.environment}
    return {name: str(value) for name, value in found.items() if value is not None}


def attributes_of_own(rule: str, values: Iterable[tuple[str, str | None]]) -> Mapping[str, str]:
    """Return the attributes that may explain why a series of a rule that people wrote fired."""
    named = {name: value for name, value in values if name in EXPLAINING and value is not None}
    return {**named, RULE: rule}


def regrouped(fingerprint: str) -> str:
    """Return the fingerprint that its events have under the present version of the grouping."""
    named = read_fingerprint(fingerprint)
    if isinstance(named, RuleFingerprint):
        return fingerprint  # its rule names the values of its series
    return replace(
        named,
        error_code=group_code(named.error_code) if named.error_code else None,
        route=group_route(named.route) if named.route else None,
    ).text


def place(
    incident: SeriesIncident,
    former: FormerIncident | None,
    outages: Sequence[KnownOutage],
    now: datetime,
) -> Place:
    """Decide where an incident goes that opens at `now`; `outages` are the project's that may be joined."""
    if former is not None and returns(incident, former, now):
        return Place(outage_id=former.outage_id)
    member = incident.member
    gathering = [one for one in outages if _gathers(one, member, outages)]
    joined = next((one for one in reversed(gathering) if not one.is_decided), None)
    if joined is None:
        settled = [one for one in outages if one.is_settled and not _stays_closed(one, now)]
        joined = _newest_of_cause(member, gathering or settled)
    if joined is not None:
        return Place(outage_id=joined.id)
    window_id = gathering[-1].window_id if gathering else None
    is_regression = former is not None and former.verdict == "confirmed" and former.window_id != window_id
    regression_of = former.outage_id if former is not None and is_regression else None
    return Place(outage_id=None, window_id=window_id, regression_of=regression_of)


def returns(incident: SeriesIncident, former: FormerIncident, now: datetime) -> bool:
    """Say whether an incident is the former outage of its series again.

    It is while that outage lasts, soon after a person resolved it, and within an hour after it ended by
    itself. A confirmed outage must not hide in a former unconfirmed one.
    """
    opened = minute_of(incident.opened_at)
    if former.reason in NO_RETURN or opened < former.opened_at - JOIN_MINUTES:
        return False
    if former.verdict != "confirmed" and former.verdict != incident.verdict:
        return False
    if former.resolved_at is None:
        return True
    if former.resolve_reason == "by_hand":
        return (now - former.resolved_at).total_seconds() <= RETURN_AFTER_RESOLVING_S
    return opened - former.last_seen <= IDLE_MINUTES + REOPEN_WITHIN


def joined_by(outage: KnownOutage, member: Member) -> KnownOutage:
    """Return an outage with one incident more."""
    return replace(
        outage,
        opened_at=min(outage.opened_at, member.opened_at),
        newest_at=max(outage.newest_at, member.opened_at),
    )


def _gathers(outage: KnownOutage, member: Member, outages: Sequence[KnownOutage]) -> bool:
    """Say whether the outage's window is not settled, and the member opened within it."""
    if outage.is_settled:
        return False
    window = [one.opened_at for one in outages if one.window_id == outage.window_id]
    return abs(member.opened_at - min(window)) <= REVISE_MINUTES


def _newest_of_cause(member: Member, outages: Sequence[KnownOutage]) -> KnownOutage | None:
    """Return the newest outage whose cause the member has, soon enough; not one that began much later."""
    for outage in reversed(outages):
        if member.opened_at < outage.opened_at - REVISE_MINUTES:
            continue
        if may_join(member, outage.cause, begun=outage.opened_at, newest_at=outage.newest_at):
            return outage
    return None


def _stays_closed(outage: KnownOutage, now: datetime) -> bool:
    """Say whether a person resolved it too long ago for an incident to open it again."""
    if outage.resolved_at is None or outage.resolve_reason != "by_hand":
        return False
    return (now - outage.resolved_at).total_seconds() > RETURN_AFTER_RESOLVING_S
