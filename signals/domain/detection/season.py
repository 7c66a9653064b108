"""The shape of a series over the hours of a week, and whole hours as they were.

Rows are read and written by others; this module only computes them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import sqrt
from statistics import fmean, median
from typing import Final

import msgspec

from signals.domain.detection.rule_types import Direction

HOUR: Final = 60  # minutes
DAY: Final = 24  # hours
WEEK: Final = 7 * DAY  # hours

DAYS_READ: Final = 14  # same hour of that many days
WEEKS_READ: Final = 4  # same hour of the week, that many weeks
MIN_CLEAN: Final = 45  # minutes of an hour outside of any outage, below which the hour teaches nothing
RATE_FLOOR: Final = 0.002  # events a minute, three a day: no rate is known to be zero
BUSY_HOUR: Final = 20  # events: a median of fewer is too coarse, their clipped mean is used
DAYS_WEIGHT_WEEKS: Final[Mapping[Direction, float]] = {"up": 0.5, "down": 0.2}
"""The fortnight's weight, in weeks: it keeps bursts in the same hour of few weeks from being the normal."""
DAYS_WEIGHT_EVENTS: Final = 10.0  # or in events where that is more: few events say little about one hour
SURE_ERRORS: Final = 3.0  # standard errors by which a week's hour is quieter than the days' (guess)
BURST: Final = 1.5  # times the days' events, up to which one week's hour is believed (guess)
SMOOTH_BELOW: Final = 30.0  # events an hour below which neighbouring hours are mixed in
SHARP_EDGE: Final = 1.5  # times its neighbour's rate: the line between their middles may be a step (guess)
TIMES: Final = 2  # how often a pattern is told before it is usual (guess: what users expect)
FLAT_HOURS: Final = 48  # of history, before which the hour of the day is unknown


class HourRow(msgspec.Struct, frozen=True, gc=False):
    """One closed hour of a series; a struct, since an evaluation makes twelve.

    `hour` counts hours since the epoch. `expected` is the shape's events for it at level 1, as known
    then. `clean_minutes` of it lay outside of outages and held `clean_value` events. `peak` are the events of
    the busiest five minutes that end in it, 0 when unknown. `is_long`: it lay more than a day after the
    beginning of its outage, so that the same hour of another day was in the same outage.
    """

    hour: int
    value: int
    expected: float
    clean_minutes: int
    clean_value: int
    peak: int = 0
    is_long: bool = False

    @property
    def stored(self) -> tuple[int, int, int, int, bool]:
        """The values that are stored of it."""
        return self.value, self.clean_minutes, self.clean_value, self.peak, self.is_long

    @property
    def clean_expected(self) -> float:
        """The shape's events for the clean minutes."""
        return self.expected * self.clean_minutes / HOUR


Offset = Callable[[int], int]
"""The project's offset from UTC, in hours, at an hour since the epoch."""


def same_hours(hour: int, *, step: int, count: int, offset: Offset) -> Iterator[int]:
    """Yield the hours that had the same local time `step` hours ago, twice that, and so on."""
    here = offset(hour)
    for number in range(1, count + 1):
        past = hour - number * step
        yield past + here - offset(past)


def usual_rate(
    days: Iterable[HourRow | None], weeks: Iterable[HourRow | None], direction: Direction
) -> float | None:
    """Return the usual events a minute from the same hour of past days and of past weeks.

    None stands for an hour before the series' history. Returns None when nothing is known.
    """
    daily = [
        60 * row.clean_value / row.clean_minutes for row in days if row and row.clean_minutes >= MIN_CLEAN
    ]
    if not daily:
        return None
    by_day = max(_middle(daily), HOUR * RATE_FLOOR)
    known = [row for row in weeks if row]
    weekly = [60 * row.clean_value / row.clean_minutes for row in known if row.clean_minutes >= MIN_CLEAN]
    if len(known) - len(weekly) >= TIMES:  # outages at the same hour of the week: that is its normal
        return max(_middle([float(row.value) for row in known]) / HOUR, RATE_FLOOR)
    if not weekly:
        return by_day / HOUR
    if direction == "down":
        weekly = _without_burst(weekly, by_day)
    if direction == "down" and len(weekly) >= TIMES and _is_surely_lower(weekly, by_day):
        return max(_middle(weekly) / HOUR, RATE_FLOOR)
    weight = max(DAYS_WEIGHT_WEEKS[direction], DAYS_WEIGHT_EVENTS / by_day)
    mixed = (_middle(weekly) * len(weekly) + by_day * weight) / (len(weekly) + weight)
    return max(mixed / HOUR, RATE_FLOOR)


def _without_burst(weekly: Sequence[float], by_day: float) -> list[float]:
    """Cut what one week alone showed: an import, or a campaign, is not what a fall falls from."""
    highest = sorted(weekly, reverse=True)
    limit = max(BURST * by_day, highest[TIMES - 1] if len(highest) >= TIMES else 0.0)
    return [min(value, limit) for value in weekly]


def _is_surely_lower(weekly: Sequence[float], by_day: float) -> bool:
    """Say whether few events of the same hours of the week do say much: they are too few for chance."""
    expected = by_day * len(weekly)
    return expected - sum(weekly) >= SURE_ERRORS * sqrt(expected)


def flat_rate(rows: Iterable[HourRow]) -> float:
    """Return the mean events a minute of all clean hours: the shape while the hour of the day is unknown."""
    minutes = value = 0
    for row in rows:
        minutes += row.clean_minutes
        value += row.clean_value
    return max(value / minutes, RATE_FLOOR) if minutes else RATE_FLOOR


def _middle(values: Sequence[float]) -> float:
    """Return a typical value that single bursts cannot move: events an hour."""
    middle = median(values)
    if middle >= BUSY_HOUR:
        return middle
    limit = middle + 3 * (middle + 1) ** 0.5
    return fmean(min(value, limit) for value in values)


class Shape(msgspec.Struct, frozen=True):
    """Expected events around one hour at level 1: a line through the middles of four hours.

    `start` is the hour's first minute; `rates` are events a minute of the hours two before to one after,
    `steps` these without their neighbours' share. Covers 90 minutes to each side of `start`.
    """

    start: int
    rates: tuple[float, float, float, float]
    steps: tuple[float, ...]

    @classmethod
    def of(cls, hour: int, rates: Sequence[float]) -> "Shape":
        """Build it from six season rows, of the hours three before to two after `hour`."""
        smooth = [
            rates[i] if rates[i] * HOUR >= SMOOTH_BELOW else (rates[i - 1] + 2 * rates[i] + rates[i + 1]) / 4
            for i in range(1, 5)
        ]
        return cls(hour * HOUR, (smooth[0], smooth[1], smooth[2], smooth[3]), tuple(rates[1:5]))

    def until(self, minute: int) -> float:
        """Return the events expected from 90 minutes before `start` until `minute`."""
        at = minute - self.start + 90
        a, b, c, d = self.rates
        if at <= 60:
            return at * (a + (b - a) * at / 120)
        total = 30 * (a + b)
        if at <= 120:
            at -= 60
            return total + at * (b + (c - b) * at / 120)
        at -= 120
        return total + 30 * (b + c) + at * (c + (d - c) * at / 120)

    def between(self, start: int, end: int) -> float:
        """Return the events expected in the minutes `start <= minute < end`."""
        return self.until(end) - self.until(start)

    def careful(self, start: int, end: int) -> float:
        """Return no more than `between`: where an hour has far fewer than the next, the edge may be sharp."""
        low = self.between(start, end)
        first, last = (start - self.start) // HOUR, (end - 1 - self.start) // HOUR
        rates = self.steps[max(0, first + 1) : last + 4]
        smooth = self.rates[max(0, first + 1) : last + 4]  # holds a share of one hour more
        if max(*rates, *smooth) < SHARP_EDGE * min(rates):
            return low
        begin = self.start
        step = sum(
            self.steps[hour + 2] * (min(end, begin + (hour + 1) * HOUR) - max(start, begin + hour * HOUR))
            for hour in range(first, last + 1)
        )
        return min(low, step)
