"""The seasonal rule: is this window unusual for this hour of the week, at the level of late?

Statistics: docs/concepts/detection.md. An evaluation reads 75 minutes, the context of the hour (six season
rows, twelve hours) and the state; it costs some ten microseconds.
"""

from dataclasses import dataclass
from typing import Final

from signals.domain.detection.counts import MINUTES_READ, MinuteCounts
from signals.domain.detection.repeats import BEYOND, PEAK_MINUTES, most_usual, surely_in, touched
from signals.domain.detection.rule_types import RuleWindow, Seasonal
from signals.domain.detection.season import HOUR
from signals.domain.detection.seasonal_state import (
    PRIOR,
    TODAY_HOURS,
    HourContext,
    SeasonalState,
    recent_level,
)
from signals.domain.detection.significance import gamma_poisson_z

USUAL_EVENTS: Final = 100.0  # events that the level of days rests on, at least (guess: 10 % of error)
LONG_NOISE: Final = 0.01  # relative variance of a window of hours that longer windows do not lose (guess)
LONG_SHARE: Final = 1.0  # of an hour's variance, divided by the hours of the window
TODAY_NOISE: Final = 0.001  # relative variance that longer means do not lose (guess)
TODAY_MOVED: Final = 0.6  # hours by which a day may be early or late (guess: clock changes, long evenings)
COLD_DROP: Final = 0.1  # while the hour of the day is unknown, only a near stop is a drop


@dataclass(frozen=True, slots=True)
class Finding:
    """One window's numbers: floor, ratio and spread are met when `is_peak`, significance too when `fires`.

    `minutes` is in how many of its minutes there were events, 0 where no spread is asked; `before` how many
    hours of the same day a window against today compares with; `repeated` the events that the same hours of
    other days explain, 0 where they repeat nothing.
    """

    window: RuleWindow
    count: int
    expected: float
    level: float
    z: float
    need_z: float
    is_peak: bool
    fires: bool
    minutes: int = 0
    before: int = 0
    repeated: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """The level and the bar frozen when an incident opened."""

    level: float
    need_z: float


def evaluate(
    rule: Seasonal,
    context: HourContext,
    counts: MinuteCounts,
    minute: int,
    state: SeasonalState,
    *,
    not_before: int = 0,
) -> Finding | None:
    """Judge the windows that end with `minute`; return the most surprising that met floor and ratio.

    Windows that begin before the minute `not_before` are left out.
    """
    best, usual = None, state.usual_level
    for window in rule.windows:
        if minute + 1 - window.length < not_before:
            continue
        if window.length > HOUR:
            if not _may_be_low(window, context, state, usual):
                continue
        elif not _can_be_peak(rule, window, context, counts, minute, usual):
            continue
        finding = measure(rule, window, context, counts, minute, state)
        if finding.is_peak and (best is None or (finding.fires, abs(finding.z)) > (best.fires, abs(best.z))):
            best = finding
    return best


def _may_be_low(window: RuleWindow, context: HourContext, state: SeasonalState, usual: float) -> bool:
    """Say cheaply whether a window of hours may meet its ratio, at any count of the open hour."""
    number = clean_hours(window, context, state)
    if window.against == "today" and hours_before(window, context, state) < TODAY_HOURS:
        return False
    value, shaped = context.hour_sums[number]
    return number > 0 and value <= window.ratio * usual * (shaped + HOUR * max(context.shape.rates))


def _can_be_peak(
    rule: Seasonal,
    window: RuleWindow,
    context: HourContext,
    counts: MinuteCounts,
    minute: int,
    usual: float,
) -> bool:
    """Say cheaply whether a window up to an hour may meet its floor and ratio, at any recent level."""
    end = minute + 1
    count = counts.between(end - window.length, end)
    if rule.direction == "up" and count < window.floor:
        return False
    if window.against == "recent":
        return True
    by_ratio = window.ratio * context.shape.between(end - window.length, end) * usual  # "both" is stricter
    return count >= by_ratio if rule.direction == "up" else count <= by_ratio


def measure(
    rule: Seasonal,
    window: RuleWindow,
    context: HourContext,
    counts: MinuteCounts,
    minute: int,
    state: SeasonalState,
) -> Finding:
    """Judge one window that ends with `minute`."""
    end = minute + 1
    if window.length > HOUR:
        number = clean_hours(window, context, state)
        start = context.shape.start
        value, shaped = context.hour_sums[number]
        count = counts.between(start, end) + value
        shaped += expected_events(rule, context, start, end)
        if window.against == "today":
            return _measure_today(rule, window, context, state, (count, shaped, end))
        is_known = number > 0
        level, events = state.bounded(state.usual_level, rule.direction), USUAL_EVENTS
        noise = LONG_NOISE + LONG_SHARE * context.noise[HOUR] / max(1, number)
    else:
        start = end - window.length
        count = counts.between(start, end)
        shaped = expected_events(rule, context, start, end)
        is_known = True
        level, events = _level(rule, window, context, counts, minute, state)
        noise = context.noise[window.length]
        bounded = state.bounded(level, rule.direction)
        if bounded != level:  # while a level is on trial, no hour is clean: it rests on those before
            level, events = bounded, max(events, USUAL_EVENTS)
    expected = shaped * level
    repeated = usual_rise(context, state, minute, window.length, expected) if rule.direction == "up" else 0.0
    minutes = _spread(counts, window, minute) if window.spread > 1 else 0
    if rule.direction == "up":
        is_peak = count >= max(window.floor, window.ratio * expected, BEYOND * repeated) and (
            window.spread == 1 or minutes >= window.spread
        )
    else:
        ratio = min(window.ratio, COLD_DROP) if context.is_cold else window.ratio
        is_peak = is_known and expected >= window.floor and count <= ratio * expected
    z = gamma_poisson_z(count, expected, 1 / (1 / (events + PRIOR) + noise))
    need = max(window.significance, rule.guard * state.noise_peak(minute))
    beyond = z >= need if rule.direction == "up" else -z >= need
    return Finding(
        window, count, expected, level, z, need, is_peak, is_peak and beyond, minutes, repeated=repeated
    )


def expected_events(rule: Seasonal, context: HourContext, start: int, end: int) -> float:
    """Return the events that the shape expects in minutes of an hour and those around it.

    Where the same hours of other days fell, no more is expected of a fall's rule: the edge may be sharp.
    """
    if rule.direction == "up":
        return context.shape.between(start, end)
    shaped = context.shape.careful(start, end)
    if not context.repeats:
        return shaped
    falls = touched(context.repeats, context.shape.start, start, end)
    by_hour = _by_hour(context, start, end) if any(one.peak for one in falls) else shaped
    return min([shaped, by_hour, *((end - start) * one.value / HOUR for one in falls)])


def _by_hour(context: HourContext, start: int, end: int) -> float:
    """Return what each hour of the minutes surely has: a fall may begin or end at any minute of its own."""
    total, begin = 0.0, context.shape.start
    for at in range((start - begin) // HOUR, (end - 1 - begin) // HOUR + 1):
        minutes = min(end, begin + (at + 1) * HOUR) - max(start, begin + at * HOUR)
        usual, fall = context.shape.steps[at + 2] * minutes, context.repeats[at + 2]
        total += min(usual, surely_in(fall, minutes)) if fall else usual
    return total


def usual_rise(
    context: HourContext, state: SeasonalState, minute: int, length: int, expected: float
) -> float:
    """Return the events of the window that ends with `minute` that were there before: 0 where none were.

    Before: in the same hours of other days, or in the newest incident that became usual.
    """
    end = minute + 1
    repeated = 0.0
    if context.repeats:
        found = touched(context.repeats, context.shape.start, end - length, end)
        repeated = most_usual(found, length, expected)
    if minute < state.shown_until:
        repeated = max(repeated, -(-length // PEAK_MINUTES) * state.shown_peak)
    return repeated


def _measure_today(
    rule: Seasonal,
    window: RuleWindow,
    context: HourContext,
    state: SeasonalState,
    counted: tuple[int, float, int],
) -> Finding:
    """Judge a window of hours by the hours before it on the same day: a day off is low from its morning on.

    `counted` are the window's events, events expected at level 1, and end. The variance is that of both
    means, or more where the noise remembers the hours before, and of a shape that is moved in time: where it
    is steep, an hour early or late is a change. The guard neither counts nor learns here.
    """
    count, shaped, end = counted
    number = window.length // HOUR
    before = hours_before(window, context, state)
    is_known = before >= TODAY_HOURS
    level, noise, events = state.usual_level, 0.0, 0
    if is_known:
        value, expected = (
            a - b for a, b in zip(context.hour_sums[number + before], context.hour_sums[number], strict=True)
        )
        events = int(value)
        level = min(level, recent_level(events, expected, state.usual_level))
        change = context.hours[number].expected - context.shape.between(end - HOUR, end)
        noise = TODAY_NOISE + context.today_noise(number, before)
        noise += (TODAY_MOVED * change / shaped) ** 2
    expected = shaped * level
    z = gamma_poisson_z(count, expected, 1 / (1 / (events + PRIOR) + noise))
    is_low = is_known and expected >= window.floor and count <= window.ratio * expected
    fires = is_low and -z >= window.significance and context.knows_week and not context.is_cold
    return Finding(
        window, count, expected, level, z, window.significance, fires, fires, before=max(0, before)
    )


def hours_before(window: RuleWindow, context: HourContext, state: SeasonalState) -> int:
    """Return how many closed hours of the same day, undisturbed, lie before a window of hours."""
    return min(context.today_hours, context.undisturbed_hours(state)) - window.length // HOUR


def _spread(counts: MinuteCounts, window: RuleWindow, minute: int) -> int:
    """Return in how many minutes of the window that ends with `minute` there were events."""
    end = minute + 1
    return sum(1 for at in range(end - window.length, end) if counts.between(at, at + 1))


def clean_hours(window: RuleWindow, context: HourContext, state: SeasonalState) -> int:
    """Return the closed hours that a window of hours reads: none of before the last outage's end.

    Otherwise an outage that is over would fire again, from the window's older hours. Without that many
    hours of history the answer is 0, and on a day off or a launch.
    """
    number = window.length // HOUR
    if number > len(context.hours):
        return 0
    return min(number, context.undisturbed_hours(state))


def _level(
    rule: Seasonal,
    window: RuleWindow,
    context: HourContext,
    counts: MinuteCounts,
    minute: int,
    state: SeasonalState,
) -> tuple[float, float]:
    """Return the level to compare with, and how many events it rests on.

    Recent: the whole hours before the window, and the minutes between them and the window where the 75
    minutes that are read hold all of them. While the level is free, it is never the usual one alone.
    """
    usual = state.usual_level
    if window.against == "usual" and not context.is_free:
        return usual, USUAL_EVENTS
    end = minute + 1
    start = end - window.length
    low = context.shape.start
    value, expected = context.recent[0]
    if start < low:
        low -= HOUR
        value, expected = context.recent[1]
    is_clean = state.dirty_from >= start or state.dirty_until <= low
    if low < start and low >= end - MINUTES_READ and is_clean:
        value += counts.between(low, start)
        expected += context.shape.between(low, start)
    level = recent_level(value, expected, usual, is_free=context.is_free)
    if window.against != "recent":
        level = max(level, usual) if rule.direction == "up" else min(level, usual)
    return level, value
