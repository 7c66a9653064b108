"""Minutes at which a rule may fire or learn, found for a part of an hour at once.

While no incident is open, a minute changes the state of a series only when the fixed rule fires, or when a
window of the seasonal rule meets its floor and ratio. Both are tested here with the rules' own comparisons,
made a little wider. Every other minute may be left out: judging it would change nothing.
"""

from collections.abc import Sequence
from functools import cached_property
from operator import sub
from typing import Final

from signals.domain.detection.counts import MinuteCounts
from signals.domain.detection.rule_types import Drop, FloorRatio, RuleWindow, Seasonal
from signals.domain.detection.season import HOUR
from signals.domain.detection.seasonal import clean_hours, hours_before
from signals.domain.detection.seasonal_state import (
    FREE_LEVEL,
    LEVEL_MAX,
    LEVEL_MIN,
    TODAY_HOURS,
    HourContext,
    SeasonalState,
)
from signals.domain.incidents.watch import Watch

WIDER: Final = 1e-9  # relative: rounding must not hide a minute
FEWEST: Final = 4  # minutes: so few are judged sooner than sifted


def candidates(
    watch: Watch,
    context: HourContext | None,
    counts: MinuteCounts,
    state: SeasonalState,
    first: int,
    last: int,
) -> Sequence[int]:
    """Return, in order, every minute from `first` to `last` at which something may happen.

    They lie in the hour of `context`; no incident is open.
    """
    minutes = range(first, last + 1)
    if len(minutes) < FEWEST or not isinstance(watch.fixed, FloorRatio | Drop | None):
        return minutes
    found: set[int] = set()
    if isinstance(watch.fixed, FloorRatio):
        found.update(_spikes(watch.fixed, counts, minutes))
    elif watch.fixed is not None:
        found.update(_drops(watch.fixed, counts, minutes))
    if watch.seasonal is not None and context is not None:
        expected = _Expected(context, minutes)
        for window in watch.seasonal.windows:
            found.update(_unusual(watch.seasonal, window, expected, counts, state))
    return sorted(found)


def _spikes(rule: FloorRatio, counts: MinuteCounts, minutes: range) -> Sequence[int]:
    least = max(rule.floor, rule.ratio * rule.baseline.minimum) * (1 - WIDER)
    events = counts.windows(rule.window, minutes[0], minutes[-1])
    if max(events) < least:
        return ()
    by_ratio = rule.ratio * rule.window / rule.baseline.length * (1 - WIDER)
    before = _before(counts, rule.window, rule.baseline.length, minutes)
    return [
        minute
        for minute, count, past in zip(minutes, events, before, strict=True)
        if count >= least and count >= by_ratio * past
    ]


def _drops(rule: Drop, counts: MinuteCounts, minutes: range) -> Sequence[int]:
    events = counts.windows(rule.window, minutes[0], minutes[-1])
    if min(events) > rule.ceiling:
        return ()
    least = rule.baseline.minimum * rule.baseline.length / rule.window * (1 - WIDER)
    before = _before(counts, rule.window, rule.baseline.length, minutes)
    return [
        minute
        for minute, count, past in zip(minutes, events, before, strict=True)
        if count <= rule.ceiling and past >= least
    ]


def _before(counts: MinuteCounts, window: int, length: int, minutes: range) -> Sequence[int]:
    """Return the events of the baselines: of `length` minutes before each window."""
    return counts.windows(length, minutes[0] - window, minutes[-1] - window)


class _Expected:
    """Events expected at level 1 by windows that end with given minutes of one hour."""

    def __init__(self, context: HourContext, minutes: range) -> None:
        self.context = context
        self.minutes = minutes
        self.least = min(context.shape.rates)  # a minute: the shape is a line between these
        self.most = max(context.shape.rates)

    @cached_property
    def _until(self) -> Sequence[float]:
        minutes, until = self.minutes, self.context.shape.until
        return [until(at) for at in range(minutes[0] + 1 - HOUR, minutes[-1] + 2)]

    def of(self, length: int) -> Sequence[float]:
        """Return what each window of so many minutes expects."""
        return [*map(sub, self._until[HOUR:], self._until[HOUR - length :])]

    def since_hour(self) -> Sequence[float]:
        """Return what the open hour expects until the end of each minute."""
        start = self.context.shape.until(self.context.shape.start)
        return [end - start for end in self._until[HOUR:]]


def _unusual(
    rule: Seasonal, window: RuleWindow, expected: _Expected, counts: MinuteCounts, state: SeasonalState
) -> Sequence[int]:
    """Return the minutes at which a window may meet its floor and its ratio, at any recent level."""
    minutes, usual = expected.minutes, state.usual_level
    if window.length > HOUR:
        return _long_drops(window, expected, counts, state)
    events = counts.windows(window.length, minutes[0], minutes[-1])
    if rule.direction == "up":
        largest = max(events)
        if largest < window.floor:
            return ()
        least = 1 / FREE_LEVEL if expected.context.is_free else LEVEL_MIN
        share = window.ratio * (usual if window.against != "recent" else least) * (1 - WIDER)
        if largest < share * window.length * expected.least * (1 - WIDER):
            return ()
        return [
            minute
            for minute, count, mean in zip(minutes, events, expected.of(window.length), strict=True)
            if count >= window.floor and count >= share * mean
        ]
    most = FREE_LEVEL if expected.context.is_free else LEVEL_MAX
    highest = usual if window.against != "recent" else most
    share, floor = window.ratio * highest * (1 + WIDER), window.floor / highest * (1 - WIDER)
    most_expected = window.length * expected.most * (1 + WIDER)
    if min(events) > share * most_expected or most_expected < floor:
        return ()
    return [
        minute
        for minute, count, mean in zip(minutes, events, expected.of(window.length), strict=True)
        if count <= share * mean and mean >= floor
    ]


def _long_drops(
    window: RuleWindow, expected: _Expected, counts: MinuteCounts, state: SeasonalState
) -> Sequence[int]:
    """Return the minutes at which a window of hours may be a drop, by its closed hours and the open one."""
    context, usual = expected.context, state.usual_level
    number = clean_hours(window, context, state)
    if number <= 0 or (window.against == "today" and hours_before(window, context, state) < TODAY_HOURS):
        return ()
    value, shaped = context.hour_sums[number]
    share, floor = window.ratio * usual * (1 + WIDER), window.floor / usual * (1 - WIDER)
    if value > share * (shaped + HOUR * expected.most * (1 + WIDER)):
        return ()
    means = expected.since_hour()
    start = context.shape.start
    return [
        minute
        for minute, mean in zip(expected.minutes, means, strict=True)
        if shaped + mean >= floor and value + counts.between(start, minute + 1) <= share * (shaped + mean)
    ]
