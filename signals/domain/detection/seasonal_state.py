"""State of a series between evaluations of the seasonal rule, and its changes by the hour and the day."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate, takewhile
from math import sqrt
from operator import add
from statistics import median
from typing import Final

import msgspec
from msgspec.structs import replace

from signals.domain.detection.calendar import ProjectClock
from signals.domain.detection.counts import MinuteCounts
from signals.domain.detection.repeats import PEAK_MINUTES, Repeats, as_expected
from signals.domain.detection.rule_types import Direction, Seasonal
from signals.domain.detection.season import DAY, HOUR, HourRow, Shape

PRIOR: Final = 6.0  # events: how strongly the usual level is believed before recent events speak
LEVEL_HOURS: Final = 3  # whole hours of the recent level (180 minutes)
LEVEL_MIN: Final = 0.25  # design
LEVEL_MAX: Final = 4.0  # design
BURST_ERRORS: Final = 3.0  # standard errors beyond the highest level, up to which an hour raises it (guess)
FREE_LEVEL: Final = 20.0  # on special days the level stays between a twentieth and this (guess)
FREE_NOISE: Final = 0.1  # relative variance that a special day adds: its hours have their own shape (guess)
HOURS_READ: Final = 12  # closed hours that one evaluation may read
LEVELS_KEPT: Final = 5  # days whose median is the usual level: a holiday or a launch cannot move it
PEAKS_KEPT: Final = 14  # days of the noise guard
PEAK_RANK: Final = 3  # the guard ignores the two noisiest days
NOISE_DAYS: Final = 10  # days of the windows' own variance
NOISE_FIRST: Final = 0.05  # relative variance before a day was seen (guess: 22 % of wobble)
NOISE_MAX: Final = 1.0  # a window as noisy as that is judged by its floor and guard alone (guess)
NOISE_OF_SEASON: Final = 0.04  # relative variance of a shape learned from a single day (guess)
DAY_BEGINS: Final = (
    2  # o'clock: before, a day off, or one after, is still on its way to its own level (guess)
)
WEEKLY_DAYS: Final = 14  # of history, from which the shape knows each day of the week by two of them
TODAY_SHARE: Final = 0.5  # of an hour's variance, which holds that of its own expectation as well
TODAY_LEARNED: Final = 0.5  # of what days taught: some drops of 30 % in ordinary noise are told (guess)
TODAY_NOISE_MAX: Final = 6.5  # times the variance of independent hours (guess: noise that lasts half a day)
TODAY_DAYS: Final = 7  # of history, from which the noise of the windows against today is learned
TODAY_HOURS: Final = 2  # before such a window, at least: the level of today rests on them
COLD_DAYS: Final = 2  # before, the hour of the day is unknown
NEVER: Final = 1 << 40  # a minute that does not come


class SeasonalState(msgspec.Struct, frozen=True, kw_only=True):
    """State of one series and rule, below 1 KiB when stored.

    `since` is the first minute of the history. `noise` holds, a day, the extra relative variance of each
    window length; `noise_sums` are today's numerators and denominators. `today_noise` holds, a day, how many
    times larger than that of independent hours the variance of windows against today was; `today_sums` are
    numerator and denominator. `peak` is today's before `newest_minute`, `newest_peak` that minute's own. The
    minutes from `dirty_from` to before `dirty_until` lay in the newest outage and teach nothing.

    `moved` is the level on trial since the minute `moved_since`, None without one. Until the minute
    `shown_until`, `shown_peak` events in five minutes are usual: the newest incident that became usual
    showed them.
    """

    since: int
    levels: tuple[float, ...] = ()
    day_value: int = 0
    day_expected: float = 0.0
    peaks: tuple[float, ...] = ()
    peak: float = 0.0
    newest_minute: int = 0
    newest_peak: float = 0.0
    noise: tuple[tuple[float, ...], ...] = ()
    noise_sums: tuple[float, ...] = ()
    today_noise: tuple[float, ...] = ()
    today_sums: tuple[float, float] = (0.0, 0.0)
    dirty_from: int = 0
    dirty_until: int = 0
    moved: float | None = None
    moved_since: int = 0
    shown_peak: int = 0
    shown_until: int = 0

    @property
    def usual_level(self) -> float:
        """The median level of the last days; 1 before there are any."""
        return median(self.levels) if self.levels else 1.0

    def bounded(self, level: float, direction: Direction) -> float:
        """Return a level with the one on trial: what is usual by either is no news."""
        if self.moved is None:
            return level
        return max(level, self.moved) if direction == "up" else min(level, self.moved)

    def noise_peak(self, minute: int) -> float:
        """Return the third highest daily peak before `minute`, which the guard is a multiple of.

        It is 0 in the first days. `minute` itself does not count, so that judging it again while its
        events arrive gives the same answer.
        """
        highest = sorted((*self.peaks, self._peak_before(minute)), reverse=True)
        return highest[PEAK_RANK - 1] if len(highest) >= PEAK_RANK else 0.0

    def _peak_before(self, minute: int) -> float:
        return max(self.peak, self.newest_peak) if minute > self.newest_minute else self.peak

    def with_peak(self, minute: int, z: float) -> "SeasonalState":
        """Remember how surprising `minute` was. Minutes come in order; one may come again."""
        newest = max(self.newest_peak, abs(z)) if minute == self.newest_minute else abs(z)
        return replace(self, peak=self._peak_before(minute), newest_minute=minute, newest_peak=newest)


class HourContext(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Inputs of one hour's evaluations beside the minutes and the state; the rest is computed when asked for.

    `hours` are the closed hours, newest first, at most twelve. `learned` holds, a day, the variance of each
    learned length, `learned_today` that of the windows against today in units of independent hours',
    `added_noise` what the shape adds to the former. `is_cold`: the hour of the day is not known yet.

    `is_special`: the hour lies on a day off or a launch, and teaches nothing. `is_free`: it or one of the
    hours of the recent level does: the level moves freely, and no noise is learned. `usual_hours` is how
    many of the newest closed hours windows of hours may read: none before a special day's end. `today_hours`
    is how many of them lie on the hour's own day, after its first ones (`DAY_BEGINS`); 0 in the first week.
    `knows_week`: the shape knows each day of the week.

    `repeats` are the patterns of the hours two before to one after, empty without any.
    """

    rule: Seasonal
    shape: Shape
    hours: tuple[HourRow, ...]
    learned: tuple[tuple[float, ...], ...]
    learned_today: tuple[float, ...]
    added_noise: float
    is_cold: bool
    is_special: bool = False
    is_free: bool = False
    usual_hours: int = HOURS_READ
    today_hours: int = 0
    knows_week: bool = False
    repeats: Repeats = ()

    @cached_property
    def recent(self) -> tuple[tuple[int, float], tuple[int, float]]:
        """Clean events, and expected ones, of the three hours before this hour, and before the previous."""
        return _clean(self.hours[:LEVEL_HOURS]), _clean(self.hours[1 : LEVEL_HOURS + 1])

    @cached_property
    def hour_sums(self) -> tuple[tuple[int, float], ...]:
        """Events and expected events of the newest none, one, two closed hours, and so on."""
        return tuple(accumulate(((row.value, row.expected) for row in self.hours), _plus, initial=(0, 0.0)))

    @cached_property
    def noise(self) -> Mapping[int, float]:
        """The relative variance by window length."""
        days = self.learned
        return {
            length: self.added_noise + (median(day[i] for day in days) if days else NOISE_FIRST)
            for i, length in enumerate(learned_lengths(self.rule))
        }

    def today_noise(self, number: int, before: int) -> float:
        """Return the relative variance of so many hours against so many before them on the same day.

        That of independent hours, times what the last days had instead: noise remembers the hours before.
        """
        learned = median(self.learned_today) if self.learned_today else 1.0
        return _independent(self, number, before) * max(1.0, TODAY_LEARNED * learned)

    def undisturbed_hours(self, state: SeasonalState) -> int:
        """Return how many of the newest closed hours lie after the last outage and any special day."""
        return max(0, min(self.usual_hours, (self.shape.start - state.dirty_until) // HOUR))


def hour_context(
    rule: Seasonal,
    hour: int,
    rates: Sequence[float],
    hours: Sequence[HourRow],
    state: SeasonalState,
    clock: ProjectClock,
    repeats: Repeats = (),
) -> HourContext:
    """Assemble the context of `hour` from six season rows, at most twelve closed hours and the state.

    `rates` are events a minute of the hours three before to two after, `repeats` their repeated patterns;
    `hours` are newest first.
    """
    days = max(1.0, (hour * HOUR - state.since) / (DAY * HOUR))
    is_free, usual = False, len(hours)
    if clock.edges:  # almost never, and this runs at every evaluation
        is_free = any(map(clock.is_special, range(hour - LEVEL_HOURS, hour + 1)))
        usual = sum(1 for _ in takewhile(lambda row: not clock.is_special(row.hour), hours))
    of_day = (hour + clock.offset(hour)) % DAY - DAY_BEGINS
    of_season = NOISE_OF_SEASON / days + FREE_NOISE * is_free
    return HourContext(
        shape=Shape.of(hour, rates),
        hours=tuple(hours),
        learned=state.noise,
        learned_today=state.today_noise,
        rule=rule,
        added_noise=of_season,
        is_cold=days < COLD_DAYS,
        is_special=clock.is_special(hour),
        is_free=is_free,
        usual_hours=0 if is_free else usual,
        today_hours=min(len(hours), max(0, of_day)) if days >= TODAY_DAYS else 0,
        knows_week=days >= WEEKLY_DAYS,
        repeats=repeats[1:5] if any(repeats) else (),
    )


def _plus(first: tuple[int, float], second: tuple[int, float]) -> tuple[int, float]:
    return first[0] + second[0], first[1] + second[1]


def _clean(rows: Sequence[HourRow]) -> tuple[int, float]:
    return sum(row.clean_value for row in rows), sum(row.clean_expected for row in rows)


def learned_lengths(rule: Seasonal) -> tuple[int, ...]:
    """Return the lengths whose noise is learned: the windows up to an hour, and the hour, ascending."""
    return tuple(sorted({HOUR, *(window.length for window in rule.windows if window.length <= HOUR)}))


def today_lengths(rule: Seasonal) -> tuple[int, ...]:
    """Return the lengths of the windows against today, ascending."""
    return tuple(sorted({window.length for window in rule.windows if window.against == "today"}))


def recent_level(value: int, expected: float, usual: float, *, is_free: bool = False) -> float:
    """Return the level of recent events, drawn to the usual one where they are few."""
    low, high = (1 / FREE_LEVEL, FREE_LEVEL) if is_free else (LEVEL_MIN, LEVEL_MAX)
    return min(high, max(low, (value + PRIOR * usual) / (expected + PRIOR)))


def close_hour(
    rule: Seasonal, state: SeasonalState, context: HourContext, counts: MinuteCounts
) -> tuple[SeasonalState, HourRow]:
    """Close the context's hour: return the state with the day so far, and the hour's row."""
    start = context.shape.start
    end = start + HOUR
    value = counts.between(start, end)
    known = max(start, min(end, state.since))
    clean_minutes, clean_value = end - known, counts.between(known, end)
    dirty_low, dirty_high = max(known, state.dirty_from), min(end, state.dirty_until)
    if dirty_low < dirty_high:
        clean_minutes -= dirty_high - dirty_low
        clean_value -= counts.between(dirty_low, dirty_high)
    repeated = context.repeats[2] if context.repeats else None
    row = HourRow(
        hour=start // HOUR,
        value=value,
        expected=context.shape.between(start, end),
        clean_minutes=clean_minutes,
        clean_value=clean_value,
        peak=max(counts.windows(PEAK_MINUTES, start, end - 1)) if value else 0,
        is_long=clean_minutes == 0 and state.dirty_from <= start - DAY * HOUR,
    )
    if state.moved is None and (context.repeats or rule.direction == "down"):
        careful = context.shape.careful(start, end)
        row = replace(row, expected=as_expected(row, state.usual_level, careful, repeated))
    has_shape = bool(context.hours)  # nothing is expected of a series' first hour: it says nothing of a level
    if has_shape and not context.is_special:
        state = replace(
            state,
            day_value=state.day_value + _of_level(rule, clean_value, row.clean_expected),
            day_expected=state.day_expected + row.clean_expected,
        )
    if not context.is_free:
        if clean_minutes == HOUR and repeated is None:  # a sharp edge is no noise
            state = replace(
                state,
                noise_sums=_added(state.noise_sums, _noise(rule, context, counts, state.usual_level)),
                today_sums=_with_today_noise(rule, context, state, row),
            )
        elif not state.noise_sums:
            state = replace(state, noise_sums=(0.0,) * (2 * len(learned_lengths(rule))))
    return (_close_day(state) if (row.hour + 1) % DAY == 0 else state), row


def _of_level(rule: Seasonal, value: int, expected: float) -> int:
    """Return the events of an hour that its day's level counts: those of an import make no fall later."""
    if rule.direction == "up":
        return value
    highest = LEVEL_MAX * expected
    return min(value, round(highest + BURST_ERRORS * sqrt(highest)))


def _noise(rule: Seasonal, context: HourContext, counts: MinuteCounts, usual: float) -> Iterator[float]:
    """Yield the hour's squared errors beyond Poisson's, and its squared expectations, by window length."""
    start = context.shape.start
    level = recent_level(*context.recent[0], usual)
    for length in learned_lengths(rule):
        errors = squares = 0.0
        for at in range(start, start + HOUR - length + 1, length):
            count, mean = counts.between(at, at + length), context.shape.between(at, at + length) * level
            if context.repeats:  # near a repeated pattern the shape may have a step
                mean = min(mean, max(count, context.shape.careful(at, at + length) * level))
            errors += (count - mean) ** 2 - mean
            squares += mean * mean
        yield errors
        yield squares


def _with_today_noise(
    rule: Seasonal, context: HourContext, state: SeasonalState, row: HourRow
) -> tuple[float, float]:
    """Add the errors of the windows against today that end with the closed hour `row`.

    They are in units of the variance that independent hours would have.
    """
    errors, squares = state.today_sums
    rows = (row, *context.hours)
    quiet = min(context.today_hours, context.undisturbed_hours(state)) + 1
    for length in today_lengths(rule):
        number = length // HOUR
        if quiet - number < TODAY_HOURS:
            break
        window, before = rows[:number], rows[number:quiet]
        events = sum(one.value for one in before)
        level = recent_level(events, sum(one.expected for one in before), state.usual_level)
        mean = level * sum(one.expected for one in window)
        by_chance = mean + mean * mean / (events + PRIOR)
        errors += (sum(one.value for one in window) - mean) ** 2 - by_chance
        squares += mean * mean * _independent(context, number, len(before))
    return errors, squares


def _independent(context: HourContext, number: int, before: int) -> float:
    return TODAY_SHARE * context.noise[HOUR] * (1 / number + 1 / before)


def _added(sums: Sequence[float], found: Iterable[float]) -> tuple[float, ...]:
    return tuple(map(add, sums, found)) if sums else tuple(found)


def _ratios(sums: Sequence[float]) -> tuple[float, ...]:
    return tuple(
        min(NOISE_MAX, max(0.0, error / square)) if square > 0 else 0.0
        for error, square in zip(sums[::2], sums[1::2], strict=True)
    )


def _close_day(state: SeasonalState) -> SeasonalState:
    levels = state.levels
    if state.day_expected > 0:
        levels = (*levels, recent_level(state.day_value, state.day_expected, 1.0))[-LEVELS_KEPT:]
    noise, (errors, squares) = _ratios(state.noise_sums), state.today_sums
    today = (round(min(TODAY_NOISE_MAX, max(0.0, errors / squares)), 4),) if squares else ()
    return replace(
        state,
        levels=levels,
        day_value=0,
        day_expected=0.0,
        peaks=(*state.peaks, max(state.peak, state.newest_peak))[-PEAKS_KEPT:],
        peak=0.0,
        newest_peak=0.0,
        noise=(*state.noise, noise)[-NOISE_DAYS:] if noise else state.noise,  # none of a special day
        noise_sums=(),
        today_noise=(*state.today_noise, *today)[-NOISE_DAYS:],
        today_sums=(0.0, 0.0),
    )
