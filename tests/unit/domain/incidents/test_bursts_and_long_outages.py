"""Bursts, noise that remembers, and outages of days: none of them rings later, none hides the next outage."""

import math
import random
from collections.abc import Callable, Iterable

import pytest

from benchmarks.detection.drawing import drawn
from signals.domain.detection.calendar import UTC_CLOCK
from signals.domain.detection.default_rules import DEFAULT_RULES
from signals.domain.incidents.episode import Episode
from signals.domain.incidents.series_replay import Stretch, replay
from signals.domain.incidents.watch import watches

START = 29_541_600  # a Monday, 00:00 UTC, in minutes since the epoch
DAY = 1440  # minutes
ERRORS, SIGNUPS = watches(DEFAULT_RULES)

Rate = Callable[[int], float]


def _told(rate: Rate, days: int, seed: int, *, signups: bool = False) -> list[Episode]:
    stretch = Stretch(since=START, counts=drawn(seed, days, rate))
    found = replay(SIGNUPS if signups else ERRORS, stretch, project_since=START - DAY, clock=UTC_CLOCK)
    return [episode for episode in found if episode.is_confirmed]


def _swing(minute: int, share: float = 0.4) -> float:
    return 1 + share * math.sin(2 * math.pi * (minute / DAY - 0.3))


def _within(minute: int, begins: Iterable[int], minutes: int) -> bool:
    return any(begin <= minute < begin + minutes for begin in begins)


@pytest.mark.parametrize("usual", [0.05, 0.3], ids=["three an hour", "eighteen an hour"])
def test_imports_into_a_small_shop_make_no_fall(usual: float) -> None:
    imports = [day * DAY + at for day, at in ((3, 600), (6, 850), (9, 440), (15, 1010), (16, 300), (19, 700))]

    def rate(minute: int) -> float:
        return usual * _swing(minute) + (25 if _within(minute, imports, 10) else 0)

    assert _told(rate, 22, seed=14, signups=True) == []


def test_stop_of_a_shop_with_imports_is_told() -> None:
    begin = 16 * DAY + 900

    def rate(minute: int) -> float:
        usual = 0.0 if _within(minute, [begin], 300) else 0.25 * _swing(minute)
        return usual + (60 if _within(minute, [16 * DAY + 540], 10) else 0)

    (told,) = _told(rate, 18, seed=81, signups=True)
    assert begin <= told.opened_at - START < begin + 120


def test_stop_in_the_evening_ends_in_the_evening() -> None:
    begin, again = 21 * DAY + 1200, 22 * DAY + 330

    def rate(minute: int) -> float:
        return 0.0 if _within(minute, [begin, again], 60) else 3 * _swing(minute, 0.9)

    evening, morning = (
        one for one in _told(rate, 24, seed=80, signups=True) if one.opened_at - START >= begin
    )
    assert evening.resolved_at is not None
    assert evening.resolved_at - START <= begin + 60 + 180
    assert again <= morning.opened_at - START < again + 60


@pytest.mark.parametrize(("wobble", "memory"), [(0.3, 120), (0.3, 300), (0.6, 60)])
def test_noise_that_remembers_hours_is_no_fall(wobble: float, memory: int) -> None:
    rng, kept, noise = random.Random(memory), math.exp(-1 / memory), [0.0]
    for _ in range(28 * DAY):
        noise.append(kept * noise[-1] + rng.gauss(0, wobble * math.sqrt(1 - kept * kept)))

    def rate(minute: int) -> float:
        return 8 * _swing(minute, 0.6) * math.exp(noise[minute] - wobble**2 / 2)

    told = _told(rate, 28, seed=2, signups=True)
    assert len([one for one in told if one.opened_at - START >= 14 * DAY]) <= 1


@pytest.mark.parametrize("usual", [0.01, 1.0], ids=["quiet series", "busy series"])
@pytest.mark.parametrize("days", [1, 3, 5])
def test_outage_after_one_of_thirty_hours_is_told(usual: float, days: int) -> None:
    first = 18 * DAY + 720
    second = (19 + days) * DAY + 840

    def rate(minute: int) -> float:
        is_out = _within(minute, [first], 30 * 60) or _within(minute, [second], 60)
        return usual * _swing(minute) + 15 * is_out

    openings = [one.opened_at - START for one in _told(rate, 26, seed=61)]
    assert any(first <= at < first + 15 for at in openings)
    assert any(second <= at < second + 15 for at in openings)


def test_stop_after_one_of_two_days_is_told() -> None:
    first, second = 18 * DAY + 720, 21 * DAY + 780

    def rate(minute: int) -> float:
        is_out = _within(minute, [first], 50 * 60) or _within(minute, [second], 60)
        return 0.0 if is_out else 3 * _swing(minute)

    openings = [one.opened_at - START for one in _told(rate, 23, seed=62, signups=True)]
    assert any(first <= at < first + 30 for at in openings)
    assert any(second <= at < second + 30 for at in openings)


def test_job_of_each_weekend_is_told_at_most_twice() -> None:
    def rate(minute: int) -> float:
        return 3 * _swing(minute) if minute // DAY % 7 >= 5 else 0.0

    assert len(_told(rate, 56, seed=88)) <= 2


def test_stop_of_a_small_shop_on_its_launch_day_is_told() -> None:
    launch, stop = 18 * DAY + 480, 18 * DAY + 900

    def rate(minute: int) -> float:
        usual = 0.1 * _swing(minute)
        return 0.0 if _within(minute, [stop], 60) else usual + 3 * _within(minute, [launch], 36 * 60)

    openings = [one.opened_at - START for one in _told(rate, 19, seed=5, signups=True)]
    assert any(stop <= at < stop + 45 for at in openings)


def test_new_level_for_good_is_told_once_and_hides_no_stop() -> None:
    change, stop = 16 * DAY + 600, 23 * DAY + 690

    def rate(minute: int) -> float:
        level = 0.2 if minute >= change else 1.0
        return 0.0 if _within(minute, [stop], 60) else 8 * _swing(minute, 0.6) * level

    openings = [one.opened_at - START for one in _told(rate, 25, seed=7, signups=True)]
    assert [at for at in openings if not stop <= at < stop + 60] == openings[:1]
    assert change <= openings[0] < change + 60
    assert stop <= openings[-1] < stop + 30
