"""A series' hours and seasons while its minutes pass: computed here, stored by others."""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Final

import msgspec
from msgspec.structs import replace

from signals.domain.detection.calendar import ProjectClock
from signals.domain.detection.counts import MinuteCounts
from signals.domain.detection.new_level import after_hour
from signals.domain.detection.repeats import RepeatedHour, Repeats, repeated_hour
from signals.domain.detection.rule_types import Direction, Seasonal
from signals.domain.detection.season import (
    DAY,
    DAYS_READ,
    FLAT_HOURS,
    HOUR,
    RATE_FLOOR,
    WEEK,
    WEEKS_READ,
    HourRow,
    same_hours,
    usual_rate,
)
from signals.domain.detection.seasonal_state import (
    HOURS_READ,
    HourContext,
    SeasonalState,
    close_hour,
    hour_context,
)

RATES_BEFORE: Final = 3  # rates before the hour
RATES_AFTER: Final = 3  # rates from the hour on
RATES: Final = RATES_BEFORE + RATES_AFTER
UNKNOWN: Final[tuple[float | None, ...]] = (None,) * RATES
ORDINARY: Final[Repeats] = (None,) * RATES

Hours = MutableMapping[int, HourRow]
"""Closed hours of one series by hour since the epoch. One that is absent had no event and no outage."""


class KeptHours(msgspec.Struct, frozen=True, kw_only=True):
    """The hours of a series as its record keeps them beside the stored ones: enough to judge the open hour.

    `hour` is open, `first` the first of the history (hours since the epoch). `minutes` and `value` are the
    clean minutes and events of all closed hours. `rates` are events a minute of the hours three before to two
    after, None while only the mean of all hours is known; `repeats` are what these hours repeat beyond it.
    `newest` are the last closed hours, newest first.
    """

    hour: int
    first: int
    minutes: int = 0
    value: int = 0
    rates: tuple[float | None, ...] = UNKNOWN
    newest: tuple[HourRow, ...] = ()
    repeats: Repeats = ORDINARY

    @property
    def closed(self) -> int:
        """How many hours of the history are closed."""
        return self.hour - self.first


def begin(since: int) -> KeptHours:
    """Return the hours of a series whose first event came at the minute `since`."""
    return KeptHours(hour=since // HOUR, first=since // HOUR)


def context_of(rule: Seasonal, kept: KeptHours, state: SeasonalState, clock: ProjectClock) -> HourContext:
    """Return what the evaluations of the open hour rest on beside minutes and state."""
    flat = _flat(kept)
    rates = [flat if rate is None else rate for rate in kept.rates]
    return hour_context(rule, kept.hour, rates, kept.newest, state, clock, kept.repeats)


def _flat(kept: KeptHours) -> float:
    """Return the events a minute of an hour of which nothing else is known."""
    return max(kept.value / kept.minutes, RATE_FLOOR) if kept.minutes else RATE_FLOOR


def close(
    rule: Seasonal,
    kept: KeptHours,
    state: SeasonalState,
    counts: MinuteCounts,
    hours: Hours,
    clock: ProjectClock,
) -> tuple[KeptHours, SeasonalState]:
    """Close the open hour: add it to `hours`, and open the next one."""
    state, row = close_hour(rule, state, context_of(rule, kept, state, clock), counts)
    hours[row.hour] = row
    kept = replace(
        kept,
        hour=kept.hour + 1,
        minutes=kept.minutes + row.clean_minutes,
        value=kept.value + row.clean_value,
        newest=(row, *kept.newest)[:HOURS_READ],
    )
    return _with_rates(kept, hours, clock, rule.direction), after_hour(state, kept.newest)


def _with_rates(kept: KeptHours, hours: Hours, clock: ProjectClock, direction: Direction) -> KeptHours:
    """Learn what the open hour and those around it usually have: one more of them, or all at first."""
    if kept.closed < FLAT_HOURS:
        return replace(kept, rates=UNKNOWN, repeats=ORDINARY)
    around = range(kept.hour - RATES_BEFORE, kept.hour + RATES_AFTER)
    if kept.closed == FLAT_HOURS:
        return _with_all_rates(kept, hours, clock, direction)
    rate, repeated = _learned(kept, around[-1], hours, clock, direction, kept.rates[-1])
    return replace(kept, rates=(*kept.rates[1:], rate), repeats=(*kept.repeats[1:], repeated))


def _with_all_rates(kept: KeptHours, hours: Hours, clock: ProjectClock, direction: Direction) -> KeptHours:
    around = range(kept.hour - RATES_BEFORE, kept.hour + RATES_AFTER)
    rates: list[float | None] = []
    repeats: list[RepeatedHour | None] = []
    for hour in around:
        rate, repeated = _learned(kept, hour, hours, clock, direction, rates[-1] if rates else None)
        rates.append(rate)
        repeats.append(repeated)
    return replace(kept, rates=tuple(rates), repeats=tuple(repeats))


def _learned(
    kept: KeptHours,
    hour: int,
    hours: Hours,
    clock: ProjectClock,
    direction: Direction,
    before: float | None,
) -> tuple[float | None, RepeatedHour | None]:
    """Return an hour's usual events a minute, and its repeated pattern.

    `before` are those of the hour before.
    """

    def rows(step: int, count: int) -> Iterator[HourRow | None]:
        for past in same_hours(hour, step=step, count=count, offset=clock.offset):
            is_known = kept.first <= past < kept.hour and not clock.is_special(past)
            yield (hours.get(past) or _empty(past)) if is_known else None

    days, weeks = [*rows(DAY, DAYS_READ)], [*rows(WEEK, WEEKS_READ)]
    rate = usual_rate(days, weeks, direction)
    usual = rate or _flat(kept)  # every one of these hours may have lain in an incident
    return rate, repeated_hour(days, weeks, (before or usual, usual), direction)


def _empty(hour: int) -> HourRow:
    return HourRow(hour=hour, value=0, expected=0.0, clean_minutes=HOUR, clean_value=0)


def begin_again(
    kept: KeptHours, since: int, hours: Hours, clock: ProjectClock, direction: Direction
) -> KeptHours:
    """Forget what came before the minute `since`; what came after is the new normal, outage or not.

    The newest hours are left out of levels and windows: they were expected by the former shape.
    """
    first = -(-since // HOUR)
    for hour in [hour for hour in hours if hour < first]:
        del hours[hour]
    for hour, row in hours.items():
        hours[hour] = replace(row, clean_minutes=HOUR, clean_value=row.value, is_long=False)
    kept = KeptHours(
        hour=kept.hour,
        first=first,
        minutes=HOUR * max(0, kept.hour - first),
        value=sum(row.value for row in hours.values()),
    )
    return _with_all_rates(kept, hours, clock, direction) if kept.closed >= FLAT_HOURS else kept


def needed_hours(kept: KeptHours, until: int, clock: ProjectClock) -> set[int]:
    """Return the stored hours that closing every hour before the hour `until` may look at."""
    if until - kept.first < FLAT_HOURS or until <= kept.hour:
        return set()
    low = kept.hour + RATES_AFTER if kept.closed >= FLAT_HOURS else kept.first + FLAT_HOURS - RATES_BEFORE
    wanted = range(low, until + RATES_AFTER)
    past = {at for hour in wanted for at in _looked_at(hour, clock)}
    return {hour for hour in past if kept.first <= hour < kept.hour}


def _looked_at(hour: int, clock: ProjectClock) -> Iterable[int]:
    yield from same_hours(hour, step=DAY, count=DAYS_READ, offset=clock.offset)
    yield from same_hours(hour, step=WEEK, count=WEEKS_READ, offset=clock.offset)


def is_remarkable(row: HourRow) -> bool:
    """Say whether an hour must be stored: a clean hour without events is known by its absence."""
    return row.value > 0 or row.clean_minutes < HOUR


def known(rows: Mapping[int, tuple[int, int, int, int, bool]]) -> Hours:
    """Build hours from their stored values; expectations are not stored."""
    return {
        hour: HourRow(
            hour=hour,
            value=value,
            expected=0.0,
            clean_minutes=minutes,
            clean_value=clean,
            peak=peak,
            is_long=is_long,
        )
        for hour, (value, minutes, clean, peak, is_long) in rows.items()
    }
