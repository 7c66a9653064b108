"""Hours that repeat a pattern: after two times it is usual at that hour of the day or of the week.

The shape leaves outages out, and it is a line between the middles of hours: it knows no sharp edge. So each
hour also says how far the same hours of late days and weeks went, outage or not. What two of them reached is
usual from then on. Closed hours hold the evidence, with the events of their busiest five minutes.
"""

from collections.abc import Callable, Sequence
from math import sqrt
from typing import Final

import msgspec

from signals.domain.detection.rule_types import Direction
from signals.domain.detection.season import HOUR, RATE_FLOOR, TIMES, HourRow

PEAK_MINUTES: Final = 5  # the window whose busiest place in an hour is kept
NIGHTS_READ: Final = 4  # same hours of late days, of which two must have reached a rise
LOWS_READ: Final = 3  # same hours of late days, which all must have had a fall: a weekend is two days
EARLY: Final = 15  # minutes by which a repeated pattern may begin early or end late (guess)
SHARP: Final = 2.0  # times the shape, from which five minutes are a pattern of their own (guess)
SHARP_EVENTS: Final = 4  # events more than that, at least: chance in quiet hours
LOW: Final = 0.7  # share of the shape, below which an hour is a fall (guess)
LOW_ERRORS: Final = 2.0  # standard errors of the shape's count below it, likewise
UNEVEN: Final = 1.3  # times an hour's mean, from which its busiest five minutes tell of a sharp edge (guess)
UNEVEN_ERRORS: Final = 3.0  # standard errors of the mean above it, likewise: more than chance in many windows
ALIKE: Final = 2.0  # two hours say the same within that factor
BEYOND: Final = 2.0  # times a repeated pattern, from which it is news again (three times must be)


class RepeatedHour(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Two same hours reached that: events of the hour, and of its busiest five minutes.

    Of a fall, `peak` is 0 unless a part of the hour was far busier than the rest.
    """

    value: int
    peak: int


Repeats = tuple[RepeatedHour | None, ...]
"""By hour, None for an ordinary one."""


def repeated_hour(
    days: Sequence[HourRow | None],
    weeks: Sequence[HourRow | None],
    rates: tuple[float, float],
    direction: Direction,
) -> RepeatedHour | None:
    """Return what the same hours repeat beyond the shape, None if nothing.

    `days` and `weeks` are the same hours before, newest first; None stands for an unknown one. `rates` are
    the shape's events a minute, of the hour before and of this one.
    """
    before, rate = rates
    if direction == "down":
        return _repeated_fall(days, weeks, rate * HOUR)
    reached = [_second(_news(days[:NIGHTS_READ], days, _reaches)), _second([row for row in weeks if row])]
    found = [pair for pair in reached if pair is not None]
    if not found:
        return None
    peak, value = max(pair[0] for pair in found), max(pair[1] for pair in found)
    # Where the shape has learned part of a pattern, its line still begins low.
    lowest = min(rate, (before + rate) / 2)
    is_sharp = peak >= SHARP * PEAK_MINUTES * lowest + SHARP_EVENTS
    return RepeatedHour(value=value, peak=peak) if is_sharp else None


def _second(rows: Sequence[HourRow]) -> tuple[int, int] | None:
    """Return the peak and the events that two of the hours reached."""
    if len(rows) < TIMES:
        return None
    peaks = sorted((row.peak for row in rows), reverse=True)
    values = sorted((row.value for row in rows), reverse=True)
    return peaks[TIMES - 1], values[TIMES - 1]


def _repeated_fall(
    days: Sequence[HourRow | None], weeks: Sequence[HourRow | None], usual: float
) -> RepeatedHour | None:
    lows = []
    late = _news(days[:LOWS_READ], days, _is_as_low)
    if len(late) == LOWS_READ:
        lows.append(late)
    known = sorted((row for row in weeks if row), key=lambda row: row.value)
    if len(known) >= TIMES:
        lows.append(known[:TIMES])
    if not lows:
        return None
    rows = min(lows, key=lambda rows: max(row.value for row in rows))
    low = max(*(row.value for row in rows), HOUR * RATE_FLOOR)
    is_fall = low <= LOW * usual and usual - low >= LOW_ERRORS * usual**0.5
    is_uneven = all(map(_is_uneven, rows))
    if not is_fall and not is_uneven:
        return None
    peak = max(row.peak for row in rows) if is_uneven else 0
    return RepeatedHour(value=round(low + 0.5) if low < 1 else round(low), peak=peak)


def _is_uneven(row: HourRow) -> bool:
    mean = row.value * PEAK_MINUTES / HOUR
    return row.peak >= UNEVEN * mean and row.peak >= mean + UNEVEN_ERRORS * sqrt(mean) > 0


def surely_in(fall: RepeatedHour, minutes: int) -> float:
    """Return the events that so many minutes of a repeated fall's hour have, whichever minutes they are."""
    if not fall.peak or minutes >= HOUR:
        return fall.value * minutes / HOUR
    sure = fall.value - LOW_ERRORS * sqrt(fall.value)
    return max(RATE_FLOOR * minutes, sure - (HOUR - minutes) * fall.peak / PEAK_MINUTES)


def _news(
    late: Sequence[HourRow | None],
    days: Sequence[HourRow | None],
    is_alike: Callable[[HourRow | None, HourRow], bool],
) -> list[HourRow]:
    """Return the late days that speak of today.

    One in an outage of more than a day does not: one outage is no pattern. One that was so a week before as
    well speaks of its own day of the week, unless today was so, too.
    """
    week = days[6] if len(days) > 6 else None
    out = []
    for i, row in enumerate(late):
        if row is None or row.is_long:
            continue
        before = days[i + 7] if len(days) > i + 7 else None
        if is_alike(before, row) and week is not None and not is_alike(week, row):
            continue
        out.append(row)
    return out


def _reaches(other: HourRow | None, row: HourRow) -> bool:
    return other is not None and other.peak * ALIKE >= row.peak


def _is_as_low(other: HourRow | None, row: HourRow) -> bool:
    return other is not None and other.value <= ALIKE * row.value


def touched(repeats: Repeats, hour_start: int, start: int, end: int) -> list[RepeatedHour]:
    """Return the repeated hours that the minutes `start <= minute < end` touch, or nearly do.

    `repeats` are of the hours two before to one after the one that begins with `hour_start`.
    """
    first = (start - EARLY - hour_start) // HOUR + 2
    last = (end - 1 + EARLY - hour_start) // HOUR + 2
    return [one for one in repeats[max(0, first) : last + 1] if one is not None]


def most_usual(found: Sequence[RepeatedHour], length: int, expected: float) -> float:
    """Return the events of a window that a repeated rise explains; 0 without one."""
    peak = max((one.peak for one in found), default=0)
    if not peak:
        return 0.0
    return min(-(-length // PEAK_MINUTES) * peak, sum(one.value for one in found) + expected)


def as_expected(hour: HourRow, usual: float, careful: float, repeated: RepeatedHour | None) -> float:
    """Return the events that a closed hour was to have at level 1; `hour` holds those of the shape.

    With a sharp edge or a repeated pattern, anything up to it was to be expected.
    """
    known = (hour.expected, careful) if repeated is None else (hour.expected, careful, repeated.value)
    return min(max(known), max(min(known), hour.value / usual))
