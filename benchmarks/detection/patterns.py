"""Draws series that repeat a pattern, with outages in it: the pattern is usual, the outages are not.

Everything is drawn from the seed alone, with the standard library. The pattern carries no label: an incident
that it opens after the first fortnight is false.
"""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from benchmarks.detection.corpus import DAY, Label, LabelledSeries
from benchmarks.detection.drawing import drawn

HOUR: Final = 60  # minutes
START: Final = 29_541_600 // DAY * DAY  # a Monday, in minutes since the epoch
DAYS: Final = 35
OUTAGE: Final = 60  # minutes
OUTAGE_RATE: Final = 60.0  # errors a minute
MOST_TOLD: Final = 3  # times that people may be notified about a pattern
OUTAGE_DAYS: Final = (16, 20, 25, 31)  # weekdays; each at an hour drawn from the seed

Rate = Callable[[int], float]
Metric = Literal["error_count", "signup_count"]


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A pattern's mean by minute since a Monday."""

    name: str
    metric: Metric
    rate: Rate


def _nightly(minute: int) -> float:
    return 10.0 if 2 * HOUR <= minute % DAY < 2 * HOUR + 30 else 0.2


def _office(minute: int) -> float:
    is_open = 9 * HOUR <= minute % DAY < 18 * HOUR and minute // DAY % 7 < 5
    return 10.0 if is_open else 0.2


def _hourly(minute: int) -> float:
    return 40.0 if minute % HOUR < 2 else 0.1


def _weekly(minute: int) -> float:
    return 10.0 if 2 * HOUR <= minute % (7 * DAY) < 2 * HOUR + 30 else 0.2


def _by_day(minute: int) -> float:
    return 1 + 0.6 * math.sin(2 * math.pi * (minute % DAY / DAY - 0.3))


def _quiet_weekend(minute: int) -> float:
    """Sharp at midnight: a fifth on Saturday and Sunday."""
    return 6.0 * _by_day(minute) * (0.2 if minute // DAY % 7 >= 5 else 1.0)


def _soft_weekend(minute: int) -> float:
    """Falls over ten hours around Friday's midnight, and rises over five on Sunday evening."""
    day = minute / DAY % 7
    share = min(1.0, max(0.0, (day - 4.8) / 0.4)) if day < 6.8 else (7 - day) / 0.2
    return 4.0 * _by_day(minute) * (1 - 0.85 * share)


PATTERNS: Final = (
    _Pattern("nightly job", "error_count", _nightly),
    _Pattern("weekly job", "error_count", _weekly),
    _Pattern("office hours", "error_count", _office),
    _Pattern("hourly job", "error_count", _hourly),
    _Pattern("quiet weekend", "signup_count", _quiet_weekend),
    _Pattern("soft weekend", "signup_count", _soft_weekend),
)


def draw(seed: int) -> tuple[list[LabelledSeries], Mapping[str, Mapping[int, int]]]:
    """Return the labelled series, and their counts by minute since the epoch."""
    labelled, counts = [], {}
    for pattern in PATTERNS:
        name = f"{pattern.name}-{seed}"
        starts = _starts(random.Random(name))
        found = drawn(name, DAYS, _struck(pattern, starts))
        labelled.append(
            LabelledSeries(
                series=name,
                part="patterns",
                metric=pattern.metric,
                start_minute=START,
                minutes=len(found),
                outages=tuple(
                    Label(
                        kind=pattern.name,
                        start=start,
                        end=start + OUTAGE,
                        direction="up" if pattern.metric == "error_count" else "down",
                    )
                    for start in starts
                ),
            )
        )
        counts[name] = {START + at: count for at, count in enumerate(found) if count}
    return labelled, counts


def _starts(rng: random.Random) -> list[int]:
    return [day * DAY + rng.randrange(8 * HOUR, 22 * HOUR) for day in OUTAGE_DAYS]


def _struck(pattern: _Pattern, starts: list[int]) -> Rate:
    """Return the pattern's rate with its outages: many errors more, or no signup at all."""
    struck = {minute for start in starts for minute in range(start, start + OUTAGE)}

    def rate(minute: int) -> float:
        if minute not in struck:
            return pattern.rate(minute)
        return pattern.rate(minute) + OUTAGE_RATE if pattern.metric == "error_count" else 0.0

    return rate
