"""The seasonal rule: is this window unusual for this hour of the week, at the level of late?

Statistics: docs/concepts/detection.md. An evaluation reads 75 minutes, the context of the hour (six season
rows, twelve hours) and the state; it costs some ten microseconds.
"""

from dataclasses import dataclass
from typing import Final, Literal

from signals.domain.detection.counts import MINUTES_READ, MinuteCounts
from signals.domain.detection.rule_types import RuleWindow, Seasonal
from signals.domain.detection.season import HOUR
from signals.domain.detection.seasonal_state import PRIOR, HourContext, SeasonalState, recent_level
from signals.domain.detection.significance import gamma_poisson_z
from signals.domain.detection.verdict import RuleCondition, RuleVerdict

USUAL_EVENTS: Final = 100.0  # events that the level of days rests on, at least (guess: 10 % of error)
LONG_NOISE: Final = 0.01  # relative variance of a window of hours that longer windows do not lose (guess)
LONG_SHARE: Final = 1.0  # of an hour's variance, divided by the hours of the window
COLD_DROP: Final = 0.1  # while the hour of the day is unknown, only a near stop is a drop
SUSTAIN_UP: Final = 1.7  # times the frozen expectation that keeps a rise open
SUSTAIN_DOWN: Final = 0.6  # share of the frozen expectation that keeps a drop open
SUSTAIN_MINUTES: Final = 15  # the window that says whether an outage lasts
SUSTAIN_FLOOR: Final = 5  # events in it, at least, for a rise
SUSTAIN_EXPECTED: Final = 8.0  # events expected, from which a window says whether a drop lasts
SPARSE_EXPECTED: Final = 3.5  # events expected, from which none is a sign: 3 % by chance
SPARSE_SHARE: Final = 0.2  # of few expected events: at most so many while a drop lasts


@dataclass(frozen=True, slots=True)
class Finding:
    """One window's numbers: floor and ratio are met when `is_peak`, significance too when `fires`."""

    window: RuleWindow
    count: int
    expected: float
    level: float
    z: float
    need_z: float
    is_peak: bool
    fires: bool


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
    best = None
    for window in rule.windows:
        if minute + 1 - window.length < not_before:
            continue
        if not _can_be_peak(rule, window, context, counts, minute, state):
            continue
        finding = measure(rule, window, context, counts, minute, state)
        if finding.is_peak and (best is None or (finding.fires, abs(finding.z)) > (best.fires, abs(best.z))):
            best = finding
    return best


def _can_be_peak(
    rule: Seasonal,
    window: RuleWindow,
    context: HourContext,
    counts: MinuteCounts,
    minute: int,
    state: SeasonalState,
) -> bool:
    """Say cheaply that a window misses its floor or ratio at any recent level."""
    end = minute + 1
    if window.length > HOUR:
        number = _clean_hours(window, context, state)
        value, shaped = context.hour_sums[number]
        return number > 0 and value <= window.ratio * state.usual_level * (
            shaped + HOUR * max(context.shape.rates)
        )
    count = counts.between(end - window.length, end)
    if rule.direction == "up" and count < window.floor:
        return False
    if window.against == "recent":
        return True
    usual = context.shape.between(end - window.length, end) * state.usual_level  # "both" is stricter still
    return count >= window.ratio * usual if rule.direction == "up" else count <= window.ratio * usual


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
        number = _clean_hours(window, context, state)
        start = context.shape.start
        value, shaped = context.hour_sums[number]
        count = counts.between(start, end) + value
        shaped += context.shape.between(start, end)
        is_known = number > 0
        level, events = state.usual_level, USUAL_EVENTS
        noise = LONG_NOISE + LONG_SHARE * context.noise[HOUR] / max(1, number)
    else:
        start = end - window.length
        count = counts.between(start, end)
        shaped = context.shape.between(start, end)
        is_known = True
        level, events = _level(rule, window, context, counts, minute, state)
        noise = context.noise[window.length]
    expected = shaped * level
    if rule.direction == "up":
        is_peak = count >= window.floor and count >= window.ratio * expected
    else:
        ratio = min(window.ratio, COLD_DROP) if context.is_cold else window.ratio
        is_peak = is_known and expected >= window.floor and count <= ratio * expected
    z = gamma_poisson_z(count, expected, 1 / (1 / (events + PRIOR) + noise))
    need = max(window.significance, rule.guard * state.noise_peak(minute))
    beyond = z >= need if rule.direction == "up" else -z >= need
    return Finding(window, count, expected, level, z, need, is_peak, is_peak and beyond)


def _clean_hours(window: RuleWindow, context: HourContext, state: SeasonalState) -> int:
    """Return the closed hours that a window of hours reads: none of before the last outage's end.

    Otherwise an outage that is over would fire again, from the window's older hours. Without that many
    hours of history the answer is 0, and on a day off or a launch.
    """
    number = window.length // HOUR
    if number > len(context.hours):
        return 0
    return max(0, min(number, context.usual_hours, (context.shape.start - state.dirty_until) // HOUR))


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


def sustains(rule: Seasonal, context: HourContext, counts: MinuteCounts, minute: int, frozen: Frozen) -> bool:
    """Say whether an open incident lasts, by the level frozen at its opening."""
    end = minute + 1
    if rule.direction == "up":
        count = counts.between(end - SUSTAIN_MINUTES, end)
        expected = context.shape.between(end - SUSTAIN_MINUTES, end) * frozen.level
        if count < max(SUSTAIN_FLOOR, SUSTAIN_UP * expected):
            return False
        noise = context.noise.get(SUSTAIN_MINUTES, context.noise[HOUR])
        return gamma_poisson_z(count, expected, 1 / (1 / USUAL_EVENTS + noise)) >= frozen.need_z / 2
    for length in (SUSTAIN_MINUTES, HOUR):
        expected = context.shape.between(end - length, end) * frozen.level
        if expected >= SUSTAIN_EXPECTED:
            return counts.between(end - length, end) <= SUSTAIN_DOWN * expected
    count = counts.between(context.shape.start, end)
    expected = context.shape.between(context.shape.start, end) * frozen.level
    for row in context.hours:
        if expected >= SPARSE_EXPECTED:
            break
        count += row.value
        expected += row.expected * frozen.level
    return count <= int(SPARSE_SHARE * expected)


def verdict_of(rule: Seasonal, finding: Finding, minute: int) -> RuleVerdict:
    """Write a finding condition by condition."""
    window, z = finding.window, finding.z
    counted: Literal["at least", "at most"] = "at least" if rule.direction == "up" else "at most"
    has_floor = finding.count if rule.direction == "up" else finding.expected
    floor_name = "events" if rule.direction == "up" else "events expected"
    by_ratio = window.ratio * finding.expected
    threshold = max(window.floor, by_ratio) if rule.direction == "up" else by_ratio
    return RuleVerdict(
        rule=rule.name,
        minute=minute,
        length=window.length,
        count=finding.count,
        normal=finding.expected,
        threshold=threshold,
        level=finding.level,
        conditions=(
            RuleCondition(name=floor_name, have=has_floor, compared="at least", need=window.floor),
            RuleCondition(
                name="events against the expectation",
                have=finding.count,
                compared=counted,
                need=by_ratio,
            ),
            RuleCondition(
                name="significance",
                have=z if rule.direction == "up" else -z,
                compared="at least",
                need=finding.need_z,
            ),
        ),
    )
