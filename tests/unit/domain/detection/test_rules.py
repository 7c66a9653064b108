"""Rules A and B at their exact edges. Source: docs/requirements.md, R24 and R25."""

from collections.abc import Mapping

import pytest

from signals.domain.detection.counted import COUNTED_METRICS, LOCKED_RULES
from signals.domain.detection.counts import BucketCounts
from signals.domain.detection.default_rules import DEFAULT_RULES, ERROR_SPIKE, SIGNUP_DROP
from signals.domain.detection.fixed_rules import (
    drop,
    drop_sustains,
    floor_ratio,
    floor_ratio_sustains,
)
from signals.domain.detection.severity import IncidentSeverity, severity_of
from signals.domain.detection.verdict import RuleVerdict

AT = 30_000_000  # the evaluated minute


def _spike(counts: Mapping[int, int]) -> RuleVerdict:
    return floor_ratio(ERROR_SPIKE, BucketCounts(counts), AT)


def _drop(counts: Mapping[int, int]) -> RuleVerdict:
    return drop(SIGNUP_DROP, BucketCounts(counts), AT)


def _hour_before(window: int, events: int) -> dict[int, int]:
    """Spread events over the 60 minutes before a window of `window` minutes."""
    minutes = range(AT - window - 59, AT - window + 1)
    return {minute: events // 60 + (number < events % 60) for number, minute in enumerate(minutes)}


@pytest.mark.parametrize(
    ("counts", "fires", "lasts"),
    [
        pytest.param({}, False, False, id="no event at all"),
        pytest.param({AT: 29}, False, False, id="29 stay below"),
        pytest.param({AT: 30}, True, True, id="30 are enough"),
        pytest.param({AT - age: 6 for age in range(5)}, True, True, id="30 over all five minutes"),
        pytest.param({AT - 4: 1, AT: 29}, True, True, id="the fifth minute belongs to the window"),
        pytest.param({AT - 5: 1, AT: 29}, False, False, id="the sixth does not"),
        pytest.param({AT: 29, AT + 1: 1}, False, False, id="nor does the next"),
        pytest.param(_hour_before(5, 12) | {AT: 30}, True, True, id="a baseline of 1 asks no more than 30"),
        pytest.param(_hour_before(5, 120) | {AT: 30}, True, True, id="exactly three times the baseline"),
        pytest.param(_hour_before(5, 121) | {AT: 30}, False, True, id="just below three times it"),
        pytest.param(_hour_before(5, 121) | {AT: 31}, True, True, id="above three times it"),
        pytest.param(_hour_before(5, 160) | {AT: 39}, False, True, id="39 against 3 x 13.33"),
        pytest.param(_hour_before(5, 160) | {AT: 40}, True, True, id="40 against 3 x 13.33"),
        pytest.param({AT - 64: 121, AT: 30}, False, True, id="the 65th minute belongs to the baseline"),
        pytest.param({AT - 65: 121, AT: 30}, True, True, id="the 66th does not"),
    ],
)
def test_error_spike_fires(counts: Mapping[int, int], fires: bool, lasts: bool) -> None:
    assert _spike(counts).fires is fires
    assert floor_ratio_sustains(ERROR_SPIKE, BucketCounts(counts), AT, 0.0) is lasts


@pytest.mark.parametrize(
    ("counts", "fires"),
    [
        pytest.param({}, False, id="nothing was ever usual"),
        pytest.param(_hour_before(15, 160), True, id="silence after a baseline of exactly 40"),
        pytest.param(_hour_before(15, 159), False, id="39.75 are not enough"),
        pytest.param(_hour_before(15, 160) | {AT: 10}, True, id="10 are few"),
        pytest.param(_hour_before(15, 160) | {AT: 11}, False, id="11 are not"),
        pytest.param({AT - 15: 160, AT - 14: 10}, True, id="the 15th minute belongs to the window"),
        pytest.param({AT - 15: 160, AT - 14: 11}, False, id="and can spoil it"),
        pytest.param({AT - 15: 171}, True, id="the 16th does not"),
        pytest.param({AT - 74: 160}, True, id="the 75th minute belongs to the baseline"),
        pytest.param({AT - 75: 160}, False, id="the 76th does not"),
    ],
)
def test_signup_drop_fires(counts: Mapping[int, int], fires: bool) -> None:
    assert _drop(counts).fires is fires


@pytest.mark.parametrize(
    ("normal", "lasting", "over"),
    [
        pytest.param(0.0, 30, 29, id="a quiet series, down to 30"),
        pytest.param(10.0, 30, 29, id="a normal of 10, down to 30"),
        pytest.param(40.0, 120, 119, id="a busy series, down to three times it"),
    ],
)
def test_a_spike_lasts_against_the_normal_of_its_opening(normal: float, lasting: int, over: int) -> None:
    assert floor_ratio_sustains(ERROR_SPIKE, BucketCounts({AT: lasting}), AT, normal)
    assert not floor_ratio_sustains(ERROR_SPIKE, BucketCounts({AT: over}), AT, normal)


@pytest.mark.parametrize(
    ("normal", "lasting", "over"),
    [
        pytest.param(40.0, 20, 21, id="up to half of 40"),
        pytest.param(400.0, 200, 201, id="of a busy series, up to half of it"),
        pytest.param(5.0, 10, 11, id="of an unknown normal, up to 10"),
    ],
)
def test_a_drop_lasts_against_the_normal_of_its_opening(normal: float, lasting: int, over: int) -> None:
    assert drop_sustains(SIGNUP_DROP, BucketCounts({AT: lasting}), AT, normal)
    assert not drop_sustains(SIGNUP_DROP, BucketCounts({AT: over}), AT, normal)


@pytest.mark.parametrize(
    ("counts", "severity"),
    [
        ({AT: 59}, IncidentSeverity.WARN),
        ({AT: 60}, IncidentSeverity.ERROR),
        ({AT: 299}, IncidentSeverity.ERROR),
        ({AT: 300}, IncidentSeverity.CRITICAL),
        (_hour_before(5, 240) | {AT: 119}, IncidentSeverity.WARN),
        (_hour_before(5, 240) | {AT: 120}, IncidentSeverity.ERROR),
        (_hour_before(5, 240) | {AT: 600}, IncidentSeverity.CRITICAL),
    ],
)
def test_severity_of_a_spike_follows_its_multiple_of_the_threshold(
    counts: Mapping[int, int], severity: IncidentSeverity
) -> None:
    assert severity_of(_spike(counts), "up") is severity


def test_silence_is_more_severe_than_a_trickle() -> None:
    usual = _hour_before(15, 400)
    assert severity_of(_drop(usual), "down") is IncidentSeverity.CRITICAL
    assert severity_of(_drop(usual | {AT: 1}), "down") is IncidentSeverity.ERROR


def test_verdict_carries_its_numbers() -> None:
    spike = _spike(_hour_before(5, 160) | {AT: 45})
    assert (spike.count, spike.normal, spike.threshold) == (45, 160 / 12, 40.0)
    fall = _drop(_hour_before(15, 200) | {AT - 3: 4})
    assert (fall.count, fall.normal, fall.threshold) == (4, 50.0, 10.0)
    assert (spike.minute, fall.minute) == (AT, AT)


def test_no_rule_reads_beyond_its_history() -> None:
    assert _spike({AT - 65: 10_000, AT + 1: 10_000}) == _spike({})
    assert _drop({AT - 75: 10_000, AT + 1: 10_000}) == _drop({})


def test_each_counter_is_watched_by_one_locked_rule() -> None:
    assert {rule.name for rule in DEFAULT_RULES if rule.locked} == LOCKED_RULES
    described = [
        (one.event_type.value, one.direction, one.window_minutes) for one in COUNTED_METRICS.values()
    ]
    assert described == [("error", "up", 5), ("signup", "down", 15)]


@pytest.mark.parametrize("severity", IncidentSeverity)
def test_stored_severity_reads_back(severity: IncidentSeverity) -> None:
    assert IncidentSeverity.parse(severity.label) is severity
