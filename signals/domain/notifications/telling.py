"""Decides the next thing to tell: compares what a message said last with the outage as it is now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final, Literal, Self

from signals.domain.detection.severity import IncidentSeverity
from signals.domain.notifications.messages import Happening

BURST: Final = 5  # messages of their own that a destination gets within a minute
CRITICAL_BURST: Final = 20  # likewise, when the incident is critical
STORM_S: Final = 60.0  # a storm is over when nothing joined it for so long
SINGLE_KINDS: Final = frozenset({"pagerduty", "webhook"})
"""Programs sort by key: they get a message an incident, however many there are."""
EDITING_KINDS: Final = frozenset({"slack", "pagerduty", "webhook"})
"""Their messages change in place, or are taken as states: nobody is disturbed by one more."""
EDIT_PACE: Final = timedelta(seconds=5)
REPLY_PACE: Final = timedelta(minutes=1)
MAX_REPLY_PACE: Final = timedelta(minutes=8)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldState:
    """The state that a message told last, of its outage, or the worst of a storm; `count` is of incidents.

    `summary` is the mark of the summary's text: a further version with other words is told again. `joined` is
    the outage that the message's incidents moved to, empty while they are in the one that it began with.
    """

    status: str
    severity: str
    title: str
    has_summary: bool = False
    count: int = 1
    assignee: str | None = None
    is_snoozed: bool = False
    has_findings: bool = False
    summary: str = ""
    joined: str = ""

    @classmethod
    def read(cls, fields: Mapping[str, Any] | None) -> Self | None:
        """Return what was stored, None when nothing was told."""
        if fields is None:
            return None
        known = {name: fields[name] for name in cls.__slots__ if name in fields}
        return cls(**known)  # a later release, that was rolled back, may have written more


def is_muted(before: ToldState | None, now: ToldState) -> bool:
    """Whether a snooze keeps an opening, or a return, from being told: what was told stays as it was."""
    return now.is_snoozed and now.status != "resolved" and (before is None or before.status == "resolved")


def happening(
    before: ToldState | None, now: ToldState, kind: str, *, tried: ToldState | None = None
) -> Happening | None:
    """Return what is to be told to a destination of this kind, None when there is nothing.

    What was over before it was told is one message that says so; a pager is left alone then. `tried` may have
    been told since `before`, without an answer: then the present state is told even if it equals `before`.
    """
    if is_muted(before, now):
        return None
    found = _difference(before, now, kind)
    if tried is None or found not in (None, "updated"):
        return found
    return _difference(tried, now, kind) or found


def _is_open(state: ToldState | None) -> bool:
    return state is not None and state.status != "resolved"


def uncertain(before: ToldState | None, tried: ToldState | None, sent: ToldState) -> ToldState:
    """Return what may have been told, after an attempt to tell `sent` that had no answer.

    Of several, the one that differs most from `before` stays until an attempt succeeds: open, or resolved.
    """
    return sent if tried is None or _is_open(sent) != _is_open(before) else tried


def assumed(before: ToldState | None, now: ToldState) -> ToldState:
    """Return what a process that died in mid-send may have told: an opening, or what can be edited."""
    return replace(now, status="open") if before is None else replace(before, title="")


def _difference(before: ToldState | None, now: ToldState, kind: str) -> Happening | None:
    if before is None:
        if now.status == "resolved":
            return None if kind == "pagerduty" else "resolved"
        return "opened"
    if now.status == "resolved" and before.status != "resolved":
        return "resolved"
    if now.status != "resolved" and before.status == "resolved":
        return "reopened"
    if IncidentSeverity.parse(now.severity) > IncidentSeverity.parse(before.severity):
        return "worse"
    if before.is_snoozed and not now.is_snoozed and now.status != "resolved":
        return "woken"
    if now == before:
        return None
    has_news = (now.has_summary and not before.has_summary) or (now.has_findings and not before.has_findings)
    return "updated" if kind in EDITING_KINDS or (kind == "email" and has_news) else None


def storm_happening(
    before: ToldState | None, now: ToldState, *, tried: ToldState | None = None
) -> Happening | None:
    """Return what a storm's message tells: it is edited as long as something changes, or is uncertain."""
    if before is None:
        return "opened"
    if now == before:
        return None if tried is None else "updated"
    return "resolved" if now.status == "resolved" and before.status != "resolved" else "updated"


def place(
    kind: str, severity: IncidentSeverity, *, recent: int, has_storm: bool
) -> Literal["single", "storm"]:
    """Say whether an incident gets a message of its own, after `recent` ones within a minute."""
    if kind in SINGLE_KINDS:
        return "single"
    if severity is IncidentSeverity.CRITICAL:
        return "single" if recent < CRITICAL_BURST else "storm"
    return "storm" if has_storm or recent >= BURST else "single"


def pace(kind: str, sends: int, *, is_storm: bool, incidents: int) -> timedelta:
    """Return how long a message waits after its send number `sends` before it may change again.

    One about a single incident never waits. In a storm, what cannot be edited is told more and more seldom.
    """
    if kind in EDITING_KINDS:
        return EDIT_PACE if is_storm or incidents > 1 else timedelta()
    if not is_storm:
        return timedelta()
    return min(REPLY_PACE * (1 << min(max(sends - 1, 0), 4)), MAX_REPLY_PACE)


def worst_first(states: Sequence[ToldState]) -> ToldState:
    """Return the state of a storm: the worst of what is not resolved, else resolved."""
    unresolved = [one for one in states if one.status != "resolved"]
    worst = max(unresolved or states, key=lambda one: IncidentSeverity.parse(one.severity))
    status = "open" if unresolved else "resolved"
    return ToldState(
        status=status, severity=worst.severity, title=f"{len(unresolved)} unresolved", count=len(states)
    )
