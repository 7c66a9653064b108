"""Finds rules that can never fire, or could never do anything else: each with the field and the remedy."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared_types import EventType
from shared_types.envelope import MAX_STATUS_CODE, TEXT_ATTRIBUTES
from shared_types.grouping import GROUPERS
from signals.domain.detection.default_rules import DEFAULT_RULES
from signals.domain.detection.own_rules import conditions_of
from signals.domain.detection.rule_types import (
    Drop,
    EventSelection,
    FloorRatio,
    NewSeries,
    Rate,
    Rule,
    Seasonal,
)
from signals.domain.detection.season import HOUR
from signals.domain.detection.seasonal_state import HOURS_READ, TODAY_HOURS

MOST_TODAY: Final = (HOURS_READ - TODAY_HOURS) * HOUR  # minutes
MOST_QUOTED: Final = 64  # characters of the rule's own text


@dataclass(frozen=True, slots=True)
class RuleFlaw:
    """Why a rule is of no use: the field at fault, and a sentence that says what to write instead."""

    field: str
    problem: str


def flaw_of(rule: Rule) -> RuleFlaw | None:
    """Return the first flaw of a rule, None when it has none."""
    return next(_flaws(rule), None)


def _flaws(rule: Rule) -> Iterator[RuleFlaw]:
    if twice := next((name for name in rule.per if rule.per.count(name) > 1), None):
        yield RuleFlaw("per", f"{twice} is named twice; name each attribute once")
    yield from _of_selection("on", rule.on)
    match rule:
        case Seasonal():
            yield from _of_season(rule)
        case Rate():
            yield from _of_rate(rule)
        case FloorRatio():
            yield from _of_rise(rule)
        case Drop() if rule.baseline.minimum <= rule.ceiling:
            problem = f"a steady count would fire; write more than the ceiling, {rule.ceiling}"
            yield RuleFlaw("baseline.minimum", problem)
        case NewSeries() if rule.hold.fires > rule.window:
            problem = f"a new series fires at {rule.window} minutes at most; write fewer, or a longer window"
            yield RuleFlaw("hold.fires", problem)


def _of_rise(rule: FloorRatio) -> Iterator[RuleFlaw]:
    """Find a rise that every event is: a window that ends with an event has at least one."""
    if rule.floor == 0 and rule.ratio <= 1 and rule.ratio * rule.baseline.minimum < 1:
        yield RuleFlaw(
            "floor", "with this ratio every event fires; write a floor of 1 or more, or a ratio above 1"
        )


def _of_selection(part: str, selection: EventSelection) -> Iterator[RuleFlaw]:
    for name, longest in TEXT_ATTRIBUTES.items():
        for value in getattr(selection, name):
            if not value.strip():
                yield RuleFlaw(f"{part}.{name}", "no event has a blank one; write a text, or leave it out")
            elif len(value) > longest:
                problem = f"no event has more than {longest} characters; write the value that events have"
                yield RuleFlaw(f"{part}.{name}", problem)
    for name, group in GROUPERS.items():
        for value in getattr(selection, name):
            if (grouped := group(value)) != value:
                shown = value[:MOST_QUOTED]
                problem = f"no event has {shown!r}, since ids are taken out; write {grouped[:MOST_QUOTED]!r}"
                yield RuleFlaw(f"{part}.{name}", problem)
    for value in selection.status_code:
        if (
            not (value.isascii() and value.isdigit() and str(int(value)) == value)
            or int(value) > MAX_STATUS_CODE
        ):
            problem = f"{value[:MOST_QUOTED]!r} is no status code; write whole numbers, like 500, or several"
            yield RuleFlaw(f"{part}.status_code", problem)


def _of_season(rule: Seasonal) -> Iterator[RuleFlaw]:
    if rule.direction == "down" and any(window.ratio >= 1 for window in rule.windows):
        yield RuleFlaw("windows.ratio", "direction down needs a ratio below 1: the share of the usual count")
    if rule.direction == "down" and any(window.spread > 1 for window in rule.windows):
        yield RuleFlaw(
            "windows.spread", "only direction up asks in how many minutes events came; leave it out"
        )
    if any(window.against == "today" and window.length > MOST_TODAY for window in rule.windows):
        problem = f"against today needs hours before the window; write a length of at most {MOST_TODAY}"
        yield RuleFlaw("windows.length", problem)
    confirming = {one.name for one in DEFAULT_RULES if isinstance(one, Seasonal)}
    if rule.opens == "verdict" and rule.name not in confirming:
        names = " and ".join(sorted(confirming))
        yield RuleFlaw("opens", f"only {names} confirm other rules; write incident, or leave it out")


def _of_rate(rule: Rate) -> Iterator[RuleFlaw]:
    yield from _of_selection("of", rule.of)
    if rule.limit >= 1:
        yield RuleFlaw("limit", "no share is surely 1; write a limit below 1, like 0.95")
    numerator, denominator = conditions_of(rule.on), conditions_of(rule.of)
    if rule.on.event_type is rule.of.event_type:
        yield from _of_share(rule.per, numerator, denominator)
    for name in rule.per:
        if name in numerator and name in denominator and not {*numerator[name]} & {*denominator[name]}:
            problem = f"on and of name different values of {name}, which makes their series; use the same"
            yield RuleFlaw(f"of.{name}", problem)
    lacks_code = rule.of.event_type is not EventType.ERROR and "error_code" not in denominator
    if rule.on.event_type is EventType.ERROR and lacks_code and "error_code" in rule.per:
        problem = f"{rule.of.event_type} events have no error_code to be counted by; leave error_code out"
        yield RuleFlaw("per", problem)


def _of_share(
    per: Sequence[str], numerator: Mapping[str, Sequence[str]], denominator: Mapping[str, Sequence[str]]
) -> Iterator[RuleFlaw]:
    """Find a share that is always 1: every event of a series' denominator is in its numerator, too."""
    narrower = [
        name
        for name, values in numerator.items()
        if name not in denominator or {*denominator[name]} - {*values}
    ]
    if not narrower:
        yield RuleFlaw(
            "of", "on selects all of it, so that the share is always 1; leave conditions of it out"
        )
    elif all(name in per for name in narrower):
        name = narrower[0]
        problem = f"a series has one {name}, so that its share is 0 or 1; leave {name} out"
        yield RuleFlaw("per", problem)
