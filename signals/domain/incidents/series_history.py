"""A series' hours and seasons while its minutes pass: what a replay keeps in memory and a store in tables."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from signals.domain.detection.counts import MinuteCounts
from signals.domain.detection.rule_types import Seasonal
from signals.domain.detection.season import (
    DAY,
    DAYS_READ,
    FLAT_HOURS,
    HOUR,
    WEEK,
    WEEKS_READ,
    HourRow,
    flat_rate,
    same_hours,
    usual_rate,
)
from signals.domain.detection.seasonal_state import HourContext, SeasonalState, close_hour, hour_context

HOURS_READ: Final = 12  # closed hours that one evaluation may read
RATES_BEFORE: Final = 3  # season rows before the hour
RATES_AFTER: Final = 3  # season rows from the hour on


class SeriesHistory:
    """The closed hours of one series, and the season rows computed from them.

    `offset` gives the project's hours from UTC at an hour since the epoch.
    """

    def __init__(self, rule: Seasonal, since: int, offset: Callable[[int], int]) -> None:
        self._rule = rule
        self._since = since
        self._offset = offset
        self._hours: dict[int, HourRow] = {}
        self._rates: dict[int, float] = {}

    def context(self, hour: int, state: SeasonalState) -> HourContext:
        """Return what the evaluations of `hour` read beside minutes and state."""
        if state.since != self._since:
            self._begin_again(state.since)
        rates = [self._rate(at) for at in range(hour - RATES_BEFORE, hour + RATES_AFTER)]
        newest = [self._hours[at] for at in range(hour - 1, hour - 1 - HOURS_READ, -1) if at in self._hours]
        return hour_context(self._rule, hour, rates, newest, state)

    def close(self, context: HourContext, counts: MinuteCounts, state: SeasonalState) -> SeasonalState:
        """Close the context's hour and return the state."""
        state, row = close_hour(self._rule, state, context, counts)
        self._hours[row.hour] = row
        return state

    def _rate(self, hour: int) -> float:
        known = self._rates.get(hour)
        if known is not None:
            return known
        if len(self._hours) < FLAT_HOURS:
            return flat_rate(self._hours.values())
        days = same_hours(hour, step=DAY, count=DAYS_READ, offset=self._offset)
        weeks = same_hours(hour, step=WEEK, count=WEEKS_READ, offset=self._offset)
        rate = usual_rate(map(self._hours.get, days), map(self._hours.get, weeks))
        if rate is None:
            return flat_rate(self._hours.values())
        self._rates[hour] = rate
        return rate

    def _begin_again(self, since: int) -> None:
        """Forget what came before `since`; what came after is the new normal, outage or not."""
        self._since = since
        self._rates.clear()
        self._hours = {
            hour: replace(row, clean_minutes=HOUR, clean_value=row.value)
            for hour, row in self._hours.items()
            if hour * HOUR >= since
        }
