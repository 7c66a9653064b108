"""The rules that compare a window with fixed numbers or with the minutes before it.

Their verdicts rest on minute counts and, for absence and new series, on two instants of the series.
"""

from typing import Final

from signals.domain.detection.counts import MinuteCounts
from signals.domain.detection.rule_types import Absence, Drop, FloorRatio, NewSeries, Rate
from signals.domain.detection.significance import wilson_lower_bound
from signals.domain.detection.verdict import RuleCondition, RuleVerdict

CRITICAL_MULTIPLE: Final = 10  # times the threshold: beyond doubt (as for Rule A's severity)
RATE_ERRORS: Final = 3.0  # standard errors of Wilson's interval: one false in 740 evaluations
SUSTAIN_SHARE: Final = 0.5  # a drop lasts while counts stay at or below half of the frozen normal
ABSENCE_DAYS: Final = 14  # after which the series has ended


def surely_not(rule: FloorRatio | Drop, counts: MinuteCounts, minute: int) -> bool:
    """Say cheaply that the rule does not fire: its window has too few events, or too many for a drop."""
    start, end = minute + 1 - rule.window, minute + 1
    count = counts.between(start, end)
    if isinstance(rule, Drop):
        return count > rule.ceiling
    return count < rule.floor or count < _by_ratio(rule, _normal(rule, counts, start))


def floor_ratio(rule: FloorRatio, counts: MinuteCounts, minute: int, not_before: int = 0) -> RuleVerdict:
    """Judge the window that ends with `minute`. With Rule A's numbers it is Rule A.

    Its minutes before `not_before` are not counted; the baseline's are.
    """
    end = minute + 1
    start = end - rule.window
    count = counts.between(max(start, not_before), end)
    normal = _normal(rule, counts, start)
    by_ratio = _by_ratio(rule, normal)
    threshold = max(float(rule.floor), by_ratio)
    return RuleVerdict(
        rule=rule.name,
        minute=minute,
        length=rule.window,
        count=count,
        normal=normal,
        threshold=threshold,
        conditions=(
            RuleCondition(name="events", have=count, compared="at least", need=rule.floor),
            RuleCondition(name="events against the baseline", have=count, compared="at least", need=by_ratio),
        ),
        is_critical=count >= CRITICAL_MULTIPLE * threshold,
    )


def floor_ratio_sustains(rule: FloorRatio, counts: MinuteCounts, minute: int, frozen_normal: float) -> bool:
    """Say whether an open spike lasts: against the normal frozen at its opening."""
    need = max(float(rule.floor), _by_ratio(rule, frozen_normal))
    return counts.between(minute + 1 - rule.window, minute + 1) >= need


def drop(rule: Drop, counts: MinuteCounts, minute: int) -> RuleVerdict:
    """Judge the window that ends with `minute`. With Rule B's numbers it is Rule B."""
    end = minute + 1
    start = end - rule.window
    count = counts.between(start, end)
    normal = _normal(rule, counts, start)
    return RuleVerdict(
        rule=rule.name,
        minute=minute,
        length=rule.window,
        count=count,
        normal=normal,
        threshold=float(rule.ceiling),
        conditions=(
            RuleCondition(name="events", have=count, compared="at most", need=rule.ceiling),
            RuleCondition(name="baseline", have=normal, compared="at least", need=rule.baseline.minimum),
        ),
        is_critical=count == 0,
    )


def drop_sustains(rule: Drop, counts: MinuteCounts, minute: int, frozen_normal: float) -> bool:
    """Say whether an open drop lasts: at most the ceiling, or half of the normal frozen at its opening."""
    count = counts.between(minute + 1 - rule.window, minute + 1)
    return count <= max(float(rule.ceiling), SUSTAIN_SHARE * frozen_normal)


def rate(
    rule: Rate, part: MinuteCounts, whole: MinuteCounts, minute: int, not_before: int = 0
) -> RuleVerdict:
    """Judge the share of `part` in `whole` over the window that ends with `minute`, from `not_before` on."""
    start, end = max(minute + 1 - rule.window, not_before), minute + 1
    have, of = part.between(start, end), whole.between(start, end)
    bound = wilson_lower_bound(min(have, of), of, RATE_ERRORS)
    return RuleVerdict(
        rule=rule.name,
        minute=minute,
        length=rule.window,
        count=have,
        normal=of * rule.limit,
        threshold=of * rule.limit,
        conditions=(
            RuleCondition(name="events in all", have=of, compared="at least", need=rule.floor),
            RuleCondition(name="surely a share of", have=bound, compared="at least", need=rule.limit),
        ),
    )


def absence(rule: Absence, last_minute: int, minute: int) -> RuleVerdict:
    """Judge a silence: `last_minute` is the minute of the series' newest event."""
    silent = minute - last_minute
    return RuleVerdict(
        rule=rule.name,
        minute=minute,
        length=rule.after,
        count=0 if silent else 1,
        normal=1.0,
        threshold=0.0,
        conditions=(
            RuleCondition(name="minutes without an event", have=silent, compared="at least", need=rule.after),
            RuleCondition(
                name="minutes without an event", have=silent, compared="at most", need=ABSENCE_DAYS * 1440
            ),
        ),
    )


def new_series(
    rule: NewSeries, counts: MinuteCounts, returned_at: int, minute: int, not_before: int = 0
) -> RuleVerdict:
    """Judge a series that began, or came back, at `returned_at`, by its events from `not_before` on."""
    count = counts.between(max(minute + 1 - rule.window, not_before), minute + 1)
    return RuleVerdict(
        rule=rule.name,
        minute=minute,
        length=rule.window,
        count=count,
        normal=0.0,
        threshold=float(rule.floor),
        conditions=(
            RuleCondition(name="events", have=count, compared="at least", need=rule.floor),
            RuleCondition(
                name="minutes since its first event",
                have=minute - returned_at,
                compared="at most",
                need=rule.window,
            ),
        ),
    )


def _normal(rule: FloorRatio | Drop, counts: MinuteCounts, start: int) -> float:
    """Return the events that the baseline before `start` promises a window."""
    return counts.between(start - rule.baseline.length, start) * rule.window / rule.baseline.length


def _by_ratio(rule: FloorRatio, normal: float) -> float:
    """Return the events that are too many beside the normal of a window."""
    return rule.ratio * max(rule.baseline.minimum, normal)
