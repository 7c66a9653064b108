"""Leaving out minutes at which nothing may happen changes neither incidents nor the state."""

import math
import random
from datetime import timedelta

import pytest

from shared_types import EventType
from signals.domain.detection.buckets import instant_of
from signals.domain.detection.calendar import UTC_CLOCK, CalendarDay, ProjectClock
from signals.domain.detection.counts import BucketCounts, MinuteCounts, PrefixCounts
from signals.domain.detection.default_rules import DEFAULT_RULES
from signals.domain.detection.rule_types import EventSelection, RuleWindow, Seasonal
from signals.domain.incidents.episode import Episode
from signals.domain.incidents.following import SeriesFollower, SeriesRecord, Surroundings, begin_series
from signals.domain.incidents.watch import Watch, watches

SINCE = 29_540_160  # a Monday, 00:00 UTC
DAY = 1440
ERRORS, SIGNUPS = watches(DEFAULT_RULES)
RECENT_UP = Watch(
    seasonal=Seasonal(
        name="up",
        on=EventSelection(event_type=EventType.ERROR),
        windows=(
            RuleWindow(length=10, floor=6, ratio=1.5, significance=3, against="recent"),
            RuleWindow(length=45, floor=9, ratio=1.2, significance=3, against="usual"),
        ),
    )
)
RECENT_DOWN = Watch(
    seasonal=Seasonal(
        name="down",
        on=EventSelection(event_type=EventType.SIGNUP),
        direction="down",
        windows=(
            RuleWindow(length=20, floor=4, ratio=0.7, significance=3, against="recent"),
            RuleWindow(length=240, floor=4, ratio=0.7, significance=3, against="recent"),
        ),
    )
)


def _drawn(seed: int, days: int) -> list[int]:
    """Draw counts of a swinging day with bursts, gaps and changes of level."""
    rng = random.Random(seed)
    base = rng.choice([0.1, 0.6, 3.0, 12.0])
    counts: list[int] = []
    while len(counts) < days * DAY:
        factor = rng.choice([1, 1, 1, 1, 0, 0.4, 6])
        for _ in range(rng.choice([20, 90, 400, 900])):
            swing = 1 + 0.7 * math.sin(2 * math.pi * len(counts) / DAY)
            counts.append(_poisson(rng, base * factor * swing))
    counts[0] = 1
    return counts[: days * DAY]


def _poisson(rng: random.Random, mean: float) -> int:
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count += 1
        product *= rng.random()
    return count


def _followed(
    watch: Watch, counts: list[int], clock: ProjectClock, *, every_minute: bool
) -> tuple[list[Episode], SeriesRecord]:
    around = Surroundings(
        counts=PrefixCounts(SINCE, counts), hours={}, project_since=SINCE - DAY, clock=clock
    )
    follower = SeriesFollower(watch, begin_series(SINCE), around, every_minute=every_minute)
    closed = [one for followed in follower.advance(SINCE + len(counts) - 1) for one in followed.closed]
    return closed, follower.record()


@pytest.mark.parametrize("watch", [ERRORS, SIGNUPS, RECENT_UP, RECENT_DOWN], ids=["a", "b", "up", "down"])
@pytest.mark.parametrize("seed", range(3))
def test_minutes_that_are_left_out_change_nothing(watch: Watch, seed: int) -> None:
    counts = _drawn(seed, 6)
    launch = CalendarDay(day=(instant_of(SINCE) + timedelta(days=4)).date(), kind="launch", name="Launch")
    clock = ProjectClock.of(UTC_CLOCK.zone, [launch]) if seed % 2 else UTC_CLOCK
    quick = _followed(watch, counts, clock, every_minute=False)
    assert quick == _followed(watch, counts, clock, every_minute=True)
    assert quick[0] or quick[1].track.episode or seed


@pytest.mark.parametrize("counts", [PrefixCounts(SINCE, list(range(50))), BucketCounts({SINCE + 9: 4})])
def test_windows_are_the_sums_between_their_ends(counts: MinuteCounts) -> None:
    for length, first, last in (
        (5, SINCE + 10, SINCE + 20),
        (15, SINCE + 3, SINCE + 9),
        (60, SINCE, SINCE + 70),
    ):
        expected = [counts.between(end - length, end) for end in range(first + 1, last + 2)]
        assert list(counts.windows(length, first, last)) == expected
