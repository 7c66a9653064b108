"""A level that became usual is on trial for a week: the former one may return, and the week is kept.

A quiet weekend lasts for two days, a change of the product for good. While the trial lasts its hours teach
nothing, and what is usual by either level is no news. When the former level returns, the trial is over. When
it has not returned for a week, the history begins again where the change began.

The level that is usual is the one that held: what four of the last twelve hours reached. An outage of an hour
or two on top of it, in the same incident, is not.
"""

from collections.abc import Sequence
from math import log
from typing import Final

from msgspec.structs import replace

from signals.domain.detection.rule_types import Seasonal
from signals.domain.detection.season import HOUR, WEEK, HourRow
from signals.domain.detection.seasonal_state import NEVER, PRIOR, HourContext, SeasonalState

TRIAL: Final = WEEK * HOUR  # minutes from an opening: by then each hour of the week was seen
SHOWN_FOR: Final = 4 * 24 * HOUR  # minutes for which bursts that became usual are so at any hour
MOVED: Final = 1.5  # times the usual level, or a share of one by it: less is no other level (guess)
RETURN_HOURS: Final = 3  # that say which of the two levels it is
RETURN_ODDS: Final = 3.0  # natural logarithm of the odds from which it is the former one: 20 to 1 (guess)
HELD_IN: Final = 4  # of the last 12 hours: bursts every two hours reach it, an outage of two hours does not


def on_trial(
    rule: Seasonal, context: HourContext, state: SeasonalState, *, since: int, until: int
) -> SeasonalState:
    """Take what held in an incident as usual: it opened at minute `since`, was last seen before `until`."""
    is_up, hours = rule.direction == "up", context.hours
    level = _level(_without_outages(hours, is_up=is_up), state.usual_level)
    is_other = max(level / state.usual_level, state.usual_level / level) >= MOVED
    peak = round(_held([row.peak for row in hours]))
    if is_other and (level > state.usual_level) == is_up:
        return replace(
            state,
            dirty_until=NEVER,
            moved=level,
            moved_since=state.moved_since if state.moved is not None else since,
            shown_peak=peak if is_up else 0,
            shown_until=NEVER if is_up else 0,
        )
    return replace(
        state, dirty_until=until, shown_peak=peak if is_up else 0, shown_until=until + SHOWN_FOR * is_up
    )


def after_hour(state: SeasonalState, hours: tuple[HourRow, ...]) -> SeasonalState:
    """Return the state after the newest of `hours` was closed: the former level may have returned.

    It has when it explains the events of the newest hours far better than the level on trial: by the ratio of
    Poisson's likelihoods.
    """
    moved, usual, newest = state.moved, state.usual_level, hours[:RETURN_HOURS]
    if moved is None:
        return state
    value, expected = sum(row.value for row in newest), sum(row.expected for row in newest)
    if value * log(moved / usual) - (moved - usual) * expected > -RETURN_ODDS:
        return state
    end = (hours[0].hour + 1) * HOUR
    return replace(state, moved=None, dirty_until=end, shown_until=min(end, state.shown_until))


def is_settled(state: SeasonalState, minute: int) -> bool:
    """Say whether the trial is over at `minute`, and the level is the new normal."""
    return state.moved is not None and minute >= state.moved_since + TRIAL


def settled(state: SeasonalState) -> SeasonalState:
    """Return the state with the history that begins where the new level began."""
    return SeasonalState(since=state.moved_since, peaks=state.peaks, noise=state.noise)


def _held(values: Sequence[float], *, is_up: bool = True) -> float:
    """Return what `HELD_IN` hours reached, or fell to."""
    ordered = sorted(values, reverse=is_up)
    return ordered[min(HELD_IN, len(ordered)) - 1] if ordered else 0


def _without_outages(hours: Sequence[HourRow], *, is_up: bool) -> list[HourRow]:
    """Return the hours, none of them further from the shape than the level that held."""
    limit = _held([row.value / row.expected for row in hours if row.expected > 0], is_up=is_up)
    nearer = min if is_up else max
    return [replace(row, value=round(nearer(row.value, limit * row.expected))) for row in hours]


def _level(hours: Sequence[HourRow], usual: float) -> float:
    value, expected = sum(row.value for row in hours), sum(row.expected for row in hours)
    return (value + PRIOR * usual) / (expected + PRIOR)
