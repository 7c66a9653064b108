"""The fixed kinds of rule; Rules A and B as rows agree with the requirements written down plainly."""

import random
from collections.abc import Iterator

import pytest

from shared_types import EventType
from signals.domain.detection.counts import BucketCounts, PrefixCounts
from signals.domain.detection.default_rules import ERROR_SPIKE, SIGNUP_DROP
from signals.domain.detection.fixed_rules import (
    absence,
    drop,
    drop_sustains,
    floor_ratio,
    floor_ratio_sustains,
    new_series,
    rate,
)
from signals.domain.detection.rule_types import Absence, EventSelection, NewSeries, Rate

AT = 30_000_000  # the evaluated minute
MINUTES = 1_000_000  # half of them for each rule
STRETCH = 2_000  # minutes that share one random regime
HISTORY = 75


def _stretches(rng: random.Random, minutes: int) -> Iterator[list[int]]:
    """Yield random counts: steady, bursty, dying and silent, around the rules' thresholds."""
    for _ in range(minutes // STRETCH):
        base = rng.choice((0.0, 0.5, 2.0, 3.0, 5.0, 6.0, 10.0))
        burst = rng.choice((0, 6, 30, 200))
        counts = [int(base + rng.random()) for _ in range(STRETCH + HISTORY)]
        for _ in range(STRETCH // 50):
            at = rng.randrange(len(counts))
            length = rng.randrange(1, 20)
            level = rng.choice((0, burst))
            counts[at : at + length] = [level] * len(counts[at : at + length])
        yield counts


def _rule_a(counts: list[int], minute: int) -> tuple[bool, int, float]:
    """R24 as it is written."""
    count_5m = sum(counts[minute - 4 : minute + 1])
    baseline_60m = sum(counts[minute - 64 : minute - 4]) / 12
    return count_5m >= 30 and count_5m >= 3 * max(1, baseline_60m), count_5m, baseline_60m


def _rule_b(counts: list[int], minute: int) -> tuple[bool, int, float]:
    """R25 as it is written."""
    count_15m = sum(counts[minute - 14 : minute + 1])
    baseline_prev_60m = sum(counts[minute - 74 : minute - 14]) / 4
    return count_15m <= 10 and baseline_prev_60m >= 40, count_15m, baseline_prev_60m


def test_locked_row_error_spike_agrees_with_rule_a_on_random_minutes() -> None:
    rng, fired = random.Random(1), 0
    for counts in _stretches(rng, MINUTES // 2):
        sums = PrefixCounts(0, counts)
        for minute in range(HISTORY, len(counts)):
            row = floor_ratio(ERROR_SPIKE, sums, minute)
            assert (row.fires, row.count, row.normal) == _rule_a(counts, minute)
            fired += row.fires
    assert fired > 1_000


def test_locked_row_signup_drop_agrees_with_rule_b_on_random_minutes() -> None:
    rng, fired = random.Random(2), 0
    for counts in _stretches(rng, MINUTES // 2):
        sums = PrefixCounts(0, counts)
        for minute in range(HISTORY, len(counts)):
            row = drop(SIGNUP_DROP, sums, minute)
            assert (row.fires, row.count, row.normal) == _rule_b(counts, minute)
            fired += row.fires
    assert fired > 1_000


def test_critical_spike_has_ten_times_its_threshold() -> None:
    assert not floor_ratio(ERROR_SPIKE, BucketCounts({AT: 299}), AT).is_critical
    assert floor_ratio(ERROR_SPIKE, BucketCounts({AT: 300}), AT).is_critical


@pytest.mark.parametrize(
    ("frozen", "count", "lasts"), [(0.0, 29, False), (0.0, 30, True), (20.0, 59, False), (20.0, 60, True)]
)
def test_open_spike_lasts_above_three_times_its_frozen_normal(frozen: float, count: int, lasts: bool) -> None:
    assert floor_ratio_sustains(ERROR_SPIKE, BucketCounts({AT: count}), AT, frozen) is lasts


@pytest.mark.parametrize(
    ("frozen", "count", "lasts"), [(4.0, 10, True), (4.0, 11, False), (80.0, 40, True), (80.0, 41, False)]
)
def test_open_drop_lasts_below_half_of_its_frozen_normal(frozen: float, count: int, lasts: bool) -> None:
    assert drop_sustains(SIGNUP_DROP, BucketCounts({AT: count}), AT, frozen) is lasts


def _verdict_of_rate(failed: int, all_: int) -> bool:
    rule = Rate(
        name="failures",
        on=EventSelection(event_type=EventType.ERROR),
        of=EventSelection(event_type=EventType.HTTP_REQUEST),
        limit=0.05,
    )
    return rate(rule, BucketCounts({AT: failed}), BucketCounts({AT: all_}), AT).fires


def test_rate_needs_its_floor_and_certainty() -> None:
    assert not _verdict_of_rate(50, 99)
    assert not _verdict_of_rate(6, 100)  # 6 % is not surely above 5 %
    assert _verdict_of_rate(20, 100)
    assert _verdict_of_rate(700, 10_000)


def test_absence_fires_after_its_minutes_and_within_a_fortnight() -> None:
    rule = Absence(name="heartbeat", on=EventSelection(event_type=EventType.CUSTOM), after=20)
    assert not absence(rule, AT - 19, AT).fires
    assert absence(rule, AT - 20, AT).fires
    assert not absence(rule, AT - 14 * 1440 - 1, AT).fires


def test_new_series_fires_only_while_it_is_new() -> None:
    rule = NewSeries(name="new-error", on=EventSelection(event_type=EventType.ERROR), window=15, floor=10)
    assert new_series(rule, BucketCounts({AT: 10}), AT - 15, AT).fires
    assert not new_series(rule, BucketCounts({AT: 9}), AT - 15, AT).fires
    assert not new_series(rule, BucketCounts({AT: 10}), AT - 16, AT).fires
