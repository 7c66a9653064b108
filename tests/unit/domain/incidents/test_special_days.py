"""Days off and launches of the project's calendar: the level moves freely, and their hours teach nothing."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from signals.domain.detection.calendar import UTC_CLOCK, CalendarDay, DayKind, ProjectClock
from signals.domain.detection.counts import PrefixCounts
from signals.domain.detection.season import HOUR
from signals.domain.detection.seasonal_state import SeasonalState
from signals.domain.incidents.episode import Episode
from signals.domain.incidents.series_history import Hours, KeptHours, begin, close
from signals.domain.incidents.series_replay import Stretch, replay
from signals.domain.incidents.watch import Watch
from tests.unit.domain.incidents.test_series_replay import DAY, ERRORS, SIGNUPS, START, _daily, _drawn

SPECIAL: Final = 8 * DAY  # minutes since the start


def _clock(kind: DayKind) -> ProjectClock:
    day = datetime.fromtimestamp((START + SPECIAL) * 60, UTC).date()
    return ProjectClock.of(ZoneInfo("UTC"), [CalendarDay(day=day, kind=kind, name="Special")])


def _confirmed(watch: Watch, counts: Sequence[int], clock: ProjectClock) -> list[Episode]:
    stretch = Stretch(since=START, counts=counts)
    found = replay(watch, stretch, project_since=START - DAY, clock=clock)
    return [one for one in found if one.is_confirmed and one.opened_at >= START + 2 * DAY]


def _holiday(stop: range = range(0)) -> Callable[[int], float]:
    """Signups of which three in ten come on the day off, and none in the minutes of `stop`."""

    def rate(minute: int) -> float:
        share = 0.3 if SPECIAL <= minute < SPECIAL + DAY else 1.0
        return 0.0 if minute in stop else 5 * _daily(minute) * share

    return rate


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_day_off_opens_no_drop_of_signups(seed: int) -> None:
    counts = _drawn(seed, 11, _holiday())
    assert _confirmed(SIGNUPS, counts, UTC_CLOCK)
    assert not _confirmed(SIGNUPS, counts, _clock("day_off"))


@pytest.mark.parametrize("begin_of_stop", [SPECIAL + 600, SPECIAL + DAY + 600])
def test_stop_on_and_after_a_day_off_is_found(begin_of_stop: int) -> None:
    stop = range(begin_of_stop, begin_of_stop + 180)
    (outage,) = _confirmed(SIGNUPS, _drawn(1, 11, _holiday(stop)), _clock("day_off"))
    assert 0 <= outage.opened_at - (START + stop.start) <= 60


def test_rising_launch_day_opens_nothing_but_its_outage() -> None:
    def rate(minute: int) -> float:
        since = minute - SPECIAL
        rise = 1 + 4 * min(1, since / 480) if 0 <= since < DAY else 1
        return 2 * _daily(minute) * rise + (100 if 1000 <= since < 1030 else 0)

    counts = _drawn(1, 11, rate)
    (outage,) = _confirmed(ERRORS, counts, _clock("launch"))
    assert 0 <= outage.opened_at - (START + SPECIAL + 1000) < 5
    assert _confirmed(ERRORS, counts, UTC_CLOCK)[0].opened_at < outage.opened_at


def test_launch_never_becomes_the_new_normal() -> None:
    counts = _drawn(1, 12, lambda minute: 2.0 * (5 if SPECIAL <= minute < SPECIAL + DAY else 1))
    (launch,) = _confirmed(ERRORS, counts, _clock("launch"))
    assert launch.reason == "quiet"


def test_hours_of_a_special_day_teach_nothing() -> None:
    usual = [5] * (10 * DAY)
    launched = [50 if SPECIAL <= minute < SPECIAL + DAY else 5 for minute in range(10 * DAY)]
    clock = _clock("launch")
    (kept, state), (other_kept, other_state) = _closed(usual, clock), _closed(launched, clock)
    assert kept.rates == other_kept.rates
    assert state == other_state
    assert _closed(launched, UTC_CLOCK)[1] != state


def _closed(counts: Sequence[int], clock: ProjectClock) -> tuple[KeptHours, SeasonalState]:
    assert SIGNUPS.seasonal is not None
    whole, state = PrefixCounts(START, counts), SeasonalState(since=START)
    hours: Hours = {}
    kept = begin(START)
    for _ in range(len(counts) // HOUR):
        kept, state = close(SIGNUPS.seasonal, kept, state, whole, hours, clock)
    return kept, state
