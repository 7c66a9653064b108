"""The work of people and programs on an incident or an outage, in words."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from serve_apps.console.words import Clock
from signals.domain.summary.answer import tidy

BY_HAND: Final = {
    "user:": "A former member",
    "key:": "An API key",
    "cli:": "The command line",
    "api": "The API",
}
"""Actors of changes that are no process of ours, with a name for those who have none."""
VERBS: Final = {"investigating": "took it on", "resolved": "resolved it", "open": "opened it again"}
STATUS: Final = frozenset({"status"})
ASSIGNEE: Final = frozenset({"assigned"})
SNOOZE: Final = frozenset({"snoozed", "woken"})
ANY_CHANGE: Final = frozenset({*STATUS, *ASSIGNEE, *SNOOZE, "commented", "merged", "split"})
"""What a person changes; each is the `about` of a line."""
MAX_SAID: Final = 200  # characters of a change in a notice; a note may be long


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLine:
    """One line of an incident's history; `kind` gives its colour, `path` leads to another outage.

    `about` is the field that a person changed.
    """

    at: datetime
    kind: str
    text: str
    path: str = ""
    about: str = ""


class TimelineChange(Protocol):
    """An entry of a timeline."""

    @property
    def kind(self) -> str:
        """The kind of the change."""

    @property
    def actor(self) -> str:
        """The person, key or program that made it."""

    @property
    def at(self) -> datetime:
        """The instant of it."""

    @property
    def detail(self) -> dict[str, Any]:
        """The fields that changed, with their new values."""


def what_changed(
    by_people: Sequence[HistoryLine], clock: Clock, subject: str, about: Collection[str] = STATUS
) -> str:
    """Tell a person who pressed a button of an old page why nothing was done, and who was faster."""
    done = newest_change(by_people, clock, about) or "It changed meanwhile"
    return (
        f"{done}. Your press changed nothing: this is the {subject} as it is now. Press again if you mean it."
    )


def newest_change(by_people: Sequence[HistoryLine], clock: Clock, about: Collection[str]) -> str:
    """Say who made the newest change of a kind, and when; empty when there is none."""
    moves = [one for one in by_people if one.about in about]
    newest = max(moves, key=lambda one: one.at, default=None)
    return f"{tidy(newest.text, MAX_SAID)} {clock.ago(newest.at)}" if newest else ""


def changes_by_people(
    changes: Sequence[TimelineChange], names: Mapping[str, str], clock: Clock
) -> list[HistoryLine]:
    """Return what people and programs did, in words; a change of all incidents of an outage stands once."""
    return list(dict.fromkeys(_by_people(changes, names, clock)))


def _by_people(
    changes: Sequence[TimelineChange], names: Mapping[str, str], clock: Clock
) -> Iterator[HistoryLine]:
    for change in changes:
        if _is_by_hand(change) and (done := _done(change, clock)):
            text, path = f"{actor_of(change.actor, names)}{done}", _elsewhere(change)
            yield HistoryLine(at=change.at, kind="person", text=text, path=path, about=_about(change))


def is_newest_by_hand(changes: Sequence[TimelineChange], about: Collection[str]) -> bool:
    """Whether a person or program made the newest change of a kind, and no process of ours."""
    moves = [one for one in changes if _about(one) in about]
    newest = max(moves, key=lambda one: one.at, default=None)
    return newest is not None and _is_by_hand(newest)


def _is_by_hand(change: TimelineChange) -> bool:
    return change.actor.startswith(tuple(BY_HAND))


def _about(change: TimelineChange) -> str:
    return "status" if "status" in change.detail else change.kind


def _elsewhere(change: TimelineChange) -> str:
    """Return the path of the other outage after a split, below the project's."""
    name = "split_from" if "split_from" in change.detail else "outage_id"
    return f"/outages/{change.detail.get(name)}" if change.kind == "split" else ""


def actor_of(actor: str, names: Mapping[str, str]) -> str:
    """Name who made a change; `names` are those of people and keys."""
    return names.get(actor) or next((text for kind, text in BY_HAND.items() if actor.startswith(kind)), actor)


def _done(change: TimelineChange, clock: Clock) -> str:
    """Return what a change did; texts of people are data. Empty for what is no work of people."""
    detail = change.detail
    match change.kind:
        case "commented":
            return f": {detail.get('text')}"
        case "assigned":
            assignee = detail.get("assignee")
            return f" assigned it to {assignee}" if assignee else " took it from its assignee"
        case "snoozed":
            return f" snoozed it until {clock.moment(datetime.fromisoformat(str(detail['snoozed_until'])))}"
        case "feedback":
            return f" called the summary {'useful' if detail.get('useful') else 'not useful'}"
        case "woken":
            return " ended its snooze"
        case "merged":
            return " merged two outages into one"
        case "split":
            return " split a series off into an outage of its own"
    return f" {VERBS.get(str(detail['status']), 'changed its status')}" if "status" in detail else ""
