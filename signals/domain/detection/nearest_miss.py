"""How near a rule came to firing: its verdict at the minute with the smallest shortfall."""

from collections.abc import Iterable

from signals.domain.detection import fixed_rules
from signals.domain.detection.counts import MinuteCounts
from signals.domain.detection.rule_types import Drop, FloorRatio, Rule
from signals.domain.detection.verdict import RuleVerdict


def nearest(rule: Rule, counts: MinuteCounts, minutes: Iterable[int]) -> RuleVerdict | None:
    """Return the verdict nearest to firing; the first of equals, one that fires before any that does not.

    A spike is judged at minutes with an event only. None when no minute is judged, and for a kind whose
    verdict rests on more than minutes.
    """
    verdicts = (_verdict(rule, counts, minute) for minute in minutes)
    return min((one for one in verdicts if one), key=lambda one: one.shortfall, default=None)


def firing(rule: Rule, counts: MinuteCounts, minutes: Iterable[int]) -> list[int]:
    """Return the minutes at which the rule fires."""
    verdicts = (_verdict(rule, counts, minute) for minute in minutes)
    return [one.minute for one in verdicts if one and one.fires]


def _verdict(rule: Rule, counts: MinuteCounts, minute: int) -> RuleVerdict | None:
    match rule:
        case FloorRatio():
            has_event = counts.between(minute, minute + 1) > 0
            return fixed_rules.floor_ratio(rule, counts, minute) if has_event else None
        case Drop():
            return fixed_rules.drop(rule, counts, minute)
    return None
