"""Whole lives of incidents: what opens, is confirmed, lasts, resolves and reopens."""

import math
import random
from collections.abc import Callable, Sequence
from functools import partial

import msgspec
import pytest

from signals.domain.detection.calendar import UTC_CLOCK
from signals.domain.detection.counts import MINUTES_READ, BucketCounts, PrefixCounts
from signals.domain.detection.default_rules import DEFAULT_RULES
from signals.domain.detection.season import HOUR
from signals.domain.detection.seasonal import evaluate
from signals.domain.detection.seasonal_state import SeasonalState
from signals.domain.incidents.episode import Episode
from signals.domain.incidents.evidence import Evidence
from signals.domain.incidents.series_history import Hours, begin, close, context_of
from signals.domain.incidents.series_replay import Stretch, replay, stretches
from signals.domain.incidents.tracking import step
from signals.domain.incidents.transitions import TrackState
from signals.domain.incidents.watch import Watch, watches

START = 29_540_160  # a Monday, 00:00 UTC
DAY = 1440
ERRORS, SIGNUPS = watches(DEFAULT_RULES)


def _no_hours() -> Hours:
    return {}


def _drawn(seed: int, days: float, rate: Callable[[int], float]) -> list[int]:
    """Draw counts a minute with the given mean, which may depend on the minute since the start."""
    rng = random.Random(seed)
    return [_poisson(rng, rate(minute)) for minute in range(int(days * DAY))]


def _poisson(rng: random.Random, mean: float) -> int:
    if mean > 30:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count += 1
        product *= rng.random()
    return count


def _steady(level: float, _minute: int) -> float:
    return level


def _daily(minute: int) -> float:
    return 1 + 0.7 * math.sin(2 * math.pi * minute / DAY)


def _errors(counts: Sequence[int], *, project_since: int = START - DAY) -> list[Episode]:
    return replay(ERRORS, Stretch(since=START, counts=counts), project_since=project_since, clock=UTC_CLOCK)


def _signups(counts: Sequence[int]) -> list[Episode]:
    return replay(SIGNUPS, Stretch(since=START, counts=counts), project_since=START, clock=UTC_CLOCK)


def _confirmed(episodes: Sequence[Episode]) -> list[Episode]:
    return [episode for episode in episodes if episode.is_confirmed]


def test_steady_new_fingerprints_open_no_confirmed_incident() -> None:
    for seed in range(40):
        level = 4 + seed / 10
        counts = _drawn(seed, 1 / 8, partial(_steady, level))
        episodes = _errors(counts, project_since=START)
        assert not _confirmed(episodes)
        assert all(episode.verdict == "learning" and episode.is_new for episode in episodes)


def test_series_without_history_states_missing_history() -> None:
    (episode,) = _errors([6] * 30)
    assert (episode.is_new, episode.verdict) == (True, "unconfirmed")
    (loud,) = _errors([20] * 30)
    assert (loud.is_new, loud.verdict) == (True, "confirmed")


def test_twelvefold_outage_of_a_busy_fingerprint_is_found_within_five_minutes() -> None:
    counts = _drawn(3, 5 / 24, lambda _: 8)
    counts[240:] = [96] * 60
    found = _confirmed(_errors(counts, project_since=START))
    assert [episode.opened_at - START for episode in found] == [pytest.approx(242, abs=2)]


def test_daily_swing_opens_no_incident() -> None:
    counts = _drawn(4, 6, lambda minute: 10 * _daily(minute))
    assert not _confirmed(_errors(counts)[1:])


def test_ended_outage_is_resolved_within_an_hour_and_a_quarter() -> None:
    counts = _drawn(
        5, 5, lambda minute: 10 * _daily(minute) + (150 if 4 * DAY <= minute < 4 * DAY + 40 else 0)
    )
    outage = _confirmed(_errors(counts))[-1]
    assert outage.resolved_at is not None
    assert 60 < outage.resolved_at - (START + 4 * DAY + 40) <= 85
    assert outage.reason == "quiet"


def test_new_level_becomes_normal_after_a_day_without_a_second_incident() -> None:
    counts = _drawn(6, 6, lambda minute: 2.0 if minute < 3 * DAY else 20.0)
    late = [episode for episode in _errors(counts) if episode.opened_at >= START + 3 * DAY]
    assert [episode.reason for episode in _confirmed(late)] == ["became_usual"]
    (usual,) = _confirmed(late)
    assert usual.resolved_at is not None
    assert DAY <= usual.resolved_at - usual.opened_at <= DAY + 120
    assert usual.opened.normal < 60  # frozen: what was usual before, not what the outage made of it


def test_return_within_the_hour_reopens_the_same_incident() -> None:
    def rate(minute: int) -> float:
        return 2 + (60 if minute - 4 * DAY in {*range(20), *range(130, 150)} else 0)

    found = _confirmed(_errors(_drawn(7, 5, rate)))
    assert found[-1].reopened == 1
    assert found[-1].opened_at - (START + 4 * DAY) < 5


def test_old_unconfirmed_incident_does_not_swallow_a_real_outage() -> None:
    counts = _drawn(
        8, 3, lambda minute: 0.1 if minute < 2 * DAY else 7.0 if minute < 2 * DAY + 300 else 7 * 12
    )
    counts = counts[: 2 * DAY + 330]
    found = _confirmed(_errors(counts))
    assert (
        any(episode.opened_at >= START + 2 * DAY + 300 for episode in found) or found[-1].resolved_at is None
    )


@pytest.mark.parametrize("per_minute", [0.05, 0.5, 5.0])
def test_stop_of_signups_is_found_at_every_volume(per_minute: float) -> None:
    stopped = 4 * DAY
    length = max(60, int(30 / per_minute))
    counts = _drawn(9, 5, lambda minute: 0 if stopped <= minute < stopped + length else per_minute)
    found = _confirmed(_signups(counts))
    assert [stopped <= episode.opened_at - START <= stopped + length for episode in found] == [True]


def test_stop_that_is_over_does_not_fire_again_from_the_older_hours_of_a_window() -> None:
    stopped = range(10 * DAY, 10 * DAY + 8 * HOUR)
    for seed in range(2):
        counts = _drawn(seed, 12, lambda minute: 0 if minute in stopped else 0.1)
        found = [one for one in _confirmed(_signups(counts)) if one.opened_at - START in stopped]
        assert [one.reopened for one in found] == [0]


@pytest.mark.parametrize(("peaks", "verdict"), [((), "confirmed"), ((9.0, 9.0, 9.0), "unconfirmed")])
def test_tenfold_rise_is_beyond_doubt_unless_the_series_is_bursty(
    peaks: tuple[float, ...], verdict: str
) -> None:
    since, minute = START - 20 * DAY, START + 200
    counts = PrefixCounts(START, [1] * 200 + [400])
    evidence = Evidence(counts=counts, context=None, project_since=since, since=since)
    state = TrackState(seasonal=SeasonalState(since=since, peaks=peaks))
    state = step(ERRORS, evidence, state, minute, last_event=minute).state
    assert state.episode is not None
    assert state.episode.verdict == verdict


def test_stopped_series_never_becomes_normal() -> None:
    counts = _drawn(10, 4, lambda minute: 5 if minute < 2 * DAY else 0)
    outage = _confirmed(_signups(counts))[-1]
    assert outage.resolved_at is None


def test_skipped_minutes_change_nothing() -> None:
    counts = _drawn(
        11, 4, lambda minute: 0.3 * _daily(minute) + (5 if 3 * DAY <= minute < 3 * DAY + 60 else 0)
    )
    stretch = Stretch(since=START, counts=counts)
    skipping = replay(ERRORS, stretch, project_since=START, clock=UTC_CLOCK)
    judging_all = replay(ERRORS, stretch, project_since=START, clock=UTC_CLOCK, every_minute=True)
    assert skipping == judging_all
    assert _confirmed(skipping)


class _Bounded:
    """Counts that refuse a read of more than the minutes an evaluation may read."""

    def __init__(self, counts: Sequence[int], minute: int) -> None:
        oldest = minute - MINUTES_READ + 1
        self._oldest = oldest
        self._counts = BucketCounts({at: counts[at - START] for at in range(oldest, minute + 1)})

    def between(self, start: int, end: int) -> int:
        assert start >= self._oldest
        return self._counts.between(start, end)

    def windows(self, length: int, first: int, last: int) -> Sequence[int]:
        assert first - length + 1 >= self._oldest
        return self._counts.windows(length, first, last)


@pytest.mark.parametrize("watch", [ERRORS, SIGNUPS], ids=["up", "down"])
def test_evaluation_of_75_minutes_equals_one_of_the_whole_history(watch: Watch) -> None:
    rule = watch.seasonal
    assert rule is not None
    rng = random.Random(12)
    counts = _drawn(12, 5, lambda minute: 6 * _daily(minute) * rng.choice((0.1, 1, 1, 3)))
    whole, state = PrefixCounts(START, counts), SeasonalState(since=START)
    kept, hours = begin(START), _no_hours()
    found = 0
    for hour in range(START // HOUR, START // HOUR + 5 * 24):
        context = context_of(rule, kept, state, UTC_CLOCK)
        for minute in range(hour * HOUR, hour * HOUR + HOUR, 7):
            if minute - START < MINUTES_READ:
                continue
            once = evaluate(rule, context, whole, minute, state)
            assert once == evaluate(rule, context, _Bounded(counts, minute), minute, state)
            found += once is not None
        assert len(context.hours) <= 12
        kept, state = close(rule, kept, state, whole, hours, UTC_CLOCK)
    assert found > 2


def test_series_that_begins_late_in_a_day_has_its_level_of_one() -> None:
    since = START + 22 * HOUR
    whole, state = PrefixCounts(since, [5] * 2 * HOUR), SeasonalState(since=since)
    assert SIGNUPS.seasonal is not None
    kept, hours = begin(since), _no_hours()
    for _ in range(2):
        kept, state = close(SIGNUPS.seasonal, kept, state, whole, hours, UTC_CLOCK)
    (level,) = state.levels
    assert level == pytest.approx(1.0)


def test_state_of_a_series_stays_below_a_kibibyte() -> None:
    counts = _drawn(13, 20, lambda minute: 10 * _daily(minute))
    whole, state = PrefixCounts(START, counts), SeasonalState(since=START)
    assert ERRORS.seasonal is not None
    kept, hours = begin(START), _no_hours()
    for _ in range(20 * 24):
        kept, state = close(ERRORS.seasonal, kept, state, whole, hours, UTC_CLOCK)
    assert len(state.levels) == 5
    assert len(msgspec.msgpack.encode(state)) <= 1024


def test_series_silent_for_a_fortnight_starts_again() -> None:
    counts = {START: 1, START + 5: 2, START + 20 * DAY: 3}
    first, second = stretches(counts, START + 20 * DAY + 1)
    assert (first.since, len(first.counts)) == (START, 6 + 14 * DAY)
    assert (second.since, list(second.counts)) == (START + 20 * DAY, [3])
