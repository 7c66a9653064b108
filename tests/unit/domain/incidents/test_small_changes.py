"""Small drops within a day, and blips: what opens a confirmed incident, and what does not."""

import math
import random
from collections.abc import Callable, Sequence

import pytest

from signals.domain.detection.calendar import UTC_CLOCK
from signals.domain.detection.default_rules import DEFAULT_RULES
from signals.domain.incidents.episode import Episode
from signals.domain.incidents.series_replay import Stretch, replay
from signals.domain.incidents.watch import Watch, watches

START = 29_540_160  # a Monday, 00:00 UTC
DAY = 1440
ERRORS, SIGNUPS = watches(DEFAULT_RULES)


def _confirmed(watch: Watch, counts: Sequence[int]) -> list[Episode]:
    stretch = Stretch(since=START, counts=counts)
    found = replay(watch, stretch, project_since=START, clock=UTC_CLOCK)
    return [one for one in found if one.is_confirmed]


def _signups(share: Callable[[int], float]) -> list[int]:
    """Draw 17 days of a swinging, wobbling day at some 20 a minute; `share` applies to the minute."""
    rng, wobble, counts = random.Random(5), 0.0, []
    for at in range(17 * DAY):
        wobble = 0.978 * wobble + rng.gauss(0, 0.0125)  # 6 %, forgotten after three quarters of an hour
        mean = 20 * (1 - 0.5 * math.cos(2 * math.pi * at / DAY)) * math.exp(wobble) * share(at)
        counts.append(max(0, round(rng.gauss(mean, math.sqrt(mean)))))
    return counts


def test_drop_by_thirty_percent_within_a_day_is_found() -> None:
    begin = 16 * DAY + 11 * 60
    (found,) = _confirmed(SIGNUPS, _signups(lambda at: 0.7 if begin <= at < begin + 300 else 1.0))
    assert begin - 1 <= found.opened_at - START <= begin + 300


def test_day_that_is_low_from_its_morning_on_is_no_drop() -> None:
    def share(at: int) -> float:
        return 1 - 0.3 * min(1.0, max(0, at - 16 * DAY) / 120)

    assert _confirmed(SIGNUPS, _signups(share)) == []


@pytest.mark.parametrize(("minutes", "opens"), [(3, False), (9, True)], ids=["restart", "outage"])
def test_errors_of_a_restart_are_no_outage(minutes: int, opens: bool) -> None:
    counts = [1 if at % 40 == 0 else 0 for at in range(3 * DAY)]
    begin = 2 * DAY + 600
    for number in range(27):
        counts[begin + number % minutes] += 1
    assert bool(_confirmed(ERRORS, counts)) is opens
