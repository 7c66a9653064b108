"""The quick replay gives what judging every minute gives, for rules of every kind."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared_types import EventType
from signals.domain.detection.calendar import UTC_CLOCK
from signals.domain.detection.default_rules import DEFAULT_RULES, ERRORS_ABOVE_USUAL
from signals.domain.detection.rule_types import (
    Absence,
    Baseline,
    Drop,
    EventSelection,
    FloorRatio,
    Hold,
    NewSeries,
    Rate,
    Rule,
)
from signals.domain.incidents.quick_replay import may_open, quick_replay
from signals.domain.incidents.series_replay import Stretch, replay
from signals.domain.incidents.watch import Watch, watches

SINCE = 29_540_160
ERRORS = EventSelection(event_type=EventType.ERROR)
RULES: tuple[Rule, ...] = (
    FloorRatio(name="spike", on=ERRORS, window=5, floor=8, ratio=2, baseline=Baseline(length=30)),
    FloorRatio(name="floor", on=ERRORS, window=10, floor=0, ratio=0.5, baseline=Baseline(minimum=0)),
    FloorRatio(name="held", on=ERRORS, window=3, floor=4, ratio=1, hold=Hold(fires=2, of=3)),
    Drop(name="drop", on=ERRORS, window=15, ceiling=4, baseline=Baseline(minimum=6)),
    Rate(name="rate", on=ERRORS, of=ERRORS, window=15, limit=0.3, floor=10),
    Absence(name="absence", on=ERRORS, after=45),
    NewSeries(name="new", on=ERRORS, window=15, floor=3),
)


def drawn(seed: int, days: int) -> list[int]:
    """Draw counts that rest, run, burst and stop for hours."""
    rng = random.Random(seed)
    counts: list[int] = []
    while len(counts) < days * 1440:
        mean = rng.choice([0, 0, 0.05, 0.6, 0.6, 2, 8])
        length = rng.choice([3, 30, 200, 900])
        counts += [int(rng.expovariate(1 / mean) + 0.3) if mean else 0 for _ in range(length)]
    counts[0] = 1
    return counts[: days * 1440]


def _both(watch: Watch, counts: Sequence[int], whole: Sequence[int] | None) -> None:
    stretch = Stretch(since=SINCE, counts=counts, whole=whole)
    quick = quick_replay(watch, stretch, project_since=SINCE, clock=UTC_CLOCK)
    assert quick == replay(watch, stretch, project_since=SINCE, clock=UTC_CLOCK, every_minute=True)
    sparse, of = _sparse(counts), _sparse(whole) if whole else None
    assert may_open(watch, sparse, of, SINCE + len(counts)) or not quick


def _sparse(counts: Sequence[int]) -> dict[int, int]:
    return {SINCE + at: count for at, count in enumerate(counts) if count}


@pytest.mark.parametrize("watch", watches(RULES), ids=lambda watch: watch.rule.name)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=8, deadline=None)
def test_quick_replay_equals_judging_every_minute(watch: Watch, seed: int) -> None:
    counts = drawn(seed, 3)
    whole = [count + more for count, more in zip(counts, drawn(seed + 1, 3), strict=True)]
    _both(watch, counts, whole if isinstance(watch.fixed, Rate) else None)


def test_lasting_incident_becomes_usual_or_gone_at_the_same_minute() -> None:
    spike, drop = watches((RULES[0], RULES[3]))
    _both(spike, [1] * 300 + [12] * 3000 + [0] * 200, None)
    _both(drop, [3] * 300 + [0] * 12_000, None)


QUIET = (
    (RULES[0], [1, *([0] * 9)] * 60, [1, 0, 5, *([0] * 60), 8]),
    (RULES[3], [1, *([0] * 9)] * 60, [4] * 60 + [0] * 20),
    (RULES[4], [1] * 60, [1] * 10 + [5]),
    (RULES[5], [1, *([0] * 44)] * 9, [1, *([0] * 45)]),
    (RULES[6], [1, *([0] * 9)] * 60, [1, 2]),
    (DEFAULT_RULES[2], [1, *([0] * 9)] * 60, [20]),
)


@pytest.mark.parametrize(("rule", "quiet", "loud"), QUIET, ids=lambda one: getattr(one, "name", ""))
def test_glance_tells_a_quiet_series_from_one_that_may_fire(
    rule: Rule, quiet: Sequence[int], loud: Sequence[int]
) -> None:
    [watch] = watches((rule,))
    for counts, may in ((quiet, False), (loud, True)):
        whole = _sparse([5 * may] * 15) if isinstance(rule, Rate) else None
        assert may_open(watch, _sparse(counts), whole, SINCE + len(counts)) is may


@pytest.mark.parametrize(
    ("minutes", "may"),
    [(range(0, 38, 2), False), (range(0, 40, 2), True), (range(9), False), (range(10), True)],
    ids=["19 in an hour", "20 in an hour", "9 in a quarter", "10 in a quarter"],
)
def test_seasonal_rise_needs_the_floor_of_one_of_its_windows(minutes: range, may: bool) -> None:
    counts = {SINCE + minute: 1 for minute in minutes}
    assert may_open(Watch(seasonal=ERRORS_ABOVE_USUAL), counts, None, SINCE + 1440) is may
