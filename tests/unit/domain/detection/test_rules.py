"""Rules A and B at their exact edges. Source: docs/requirements.md, R24 and R25."""

from collections.abc import Callable, Mapping

import pytest

from shared_types import MetricName
from signals.domain.detection.builtin_rules import (
    CLOCKED_METRICS,
    ERROR_SPIKE,
    HISTORY_MINUTES,
    RULE_OF_METRIC,
    RULES,
    SIGNUP_DROP,
    BuiltinRule,
    Evaluation,
    IncidentSeverity,
    error_spike,
    signup_drop,
)

AT = 30_000_000  # the evaluated minute


def _hour_before(window: int, events: int) -> dict[int, int]:
    """Spread events over the 60 minutes before a window of `window` minutes."""
    minutes = range(AT - window - 59, AT - window + 1)
    return {minute: events // 60 + (number < events % 60) for number, minute in enumerate(minutes)}


@pytest.mark.parametrize(
    ("counts", "fires", "may_sustain"),
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
def test_error_spike_fires(counts: Mapping[int, int], fires: bool, may_sustain: bool) -> None:
    verdict = error_spike(counts, AT)
    assert (verdict.fires, verdict.may_sustain) == (fires, may_sustain)


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
    assert signup_drop(counts, AT).fires is fires


@pytest.mark.parametrize(
    ("rule", "normal", "lasting", "over"),
    [
        pytest.param(ERROR_SPIKE, 0.0, 30, 29, id="a spike of a quiet series, down to 30"),
        pytest.param(ERROR_SPIKE, 10.0, 30, 29, id="a spike at a normal of 10, down to 30"),
        pytest.param(ERROR_SPIKE, 40.0, 120, 119, id="a spike of a busy series, down to three times it"),
        pytest.param(SIGNUP_DROP, 40.0, 20, 21, id="a drop, up to half of 40"),
        pytest.param(SIGNUP_DROP, 400.0, 200, 201, id="a drop of a busy series, up to half of it"),
        pytest.param(SIGNUP_DROP, 5.0, 10, 11, id="a drop whose normal is unknown, up to 10"),
    ],
)
def test_an_incident_lasts_against_the_normal_of_its_opening(
    rule: BuiltinRule, normal: float, lasting: int, over: int
) -> None:
    assert rule.sustains(lasting, normal)
    assert not rule.sustains(over, normal)


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
    assert error_spike(counts, AT).severity is severity


def test_silence_is_more_severe_than_a_trickle() -> None:
    usual = _hour_before(15, 400)
    assert signup_drop(usual, AT).severity is IncidentSeverity.CRITICAL
    assert signup_drop(usual | {AT: 1}, AT).severity is IncidentSeverity.ERROR


def test_drop_is_judged_at_the_start_of_its_minute() -> None:
    counts = _hour_before(15, 160) | {AT: 30}
    assert not signup_drop(counts, AT).fires
    assert signup_drop(counts, AT, without=20).fires
    assert not signup_drop(counts, AT, without=19).fires


def test_evaluation_carries_its_numbers() -> None:
    spike = error_spike(_hour_before(5, 160) | {AT: 45}, AT)
    assert (spike.count, spike.baseline, spike.threshold) == (45, 160 / 12, 40.0)
    drop = signup_drop(_hour_before(15, 200) | {AT - 3: 4}, AT)
    assert (drop.count, drop.baseline, drop.threshold) == (4, 50.0, 10.0)
    assert (spike.minute, drop.minute) == (AT, AT)


@pytest.mark.parametrize(("rule", "metric"), [(error_spike, "error_count"), (signup_drop, "signup_count")])
def test_no_rule_reads_beyond_its_history(
    rule: Callable[[Mapping[int, int], int], Evaluation], metric: MetricName
) -> None:
    outside = {AT - HISTORY_MINUTES[metric]: 10_000, AT + 1: 10_000}
    assert rule(outside, AT) == rule({}, AT)


@pytest.mark.parametrize(
    ("rule", "event_type", "window_minutes", "history_minutes", "direction"),
    [(ERROR_SPIKE, "error", 5, 65, "up"), (SIGNUP_DROP, "signup", 15, 75, "down")],
)
def test_descriptions_match_the_specification(
    rule: BuiltinRule, event_type: str, window_minutes: int, history_minutes: int, direction: str
) -> None:
    assert (rule.event_type, rule.direction) == (event_type, direction)
    assert (rule.window_minutes, rule.history_minutes) == (window_minutes, history_minutes)
    assert rule.evaluate({}, AT).rule == rule.name
    assert RULES[rule.name] is RULE_OF_METRIC[rule.metric_name] is rule


def test_ticks_judge_drops_only() -> None:
    assert {"signup_count"} == CLOCKED_METRICS


@pytest.mark.parametrize("severity", IncidentSeverity)
def test_stored_severity_reads_back(severity: IncidentSeverity) -> None:
    assert IncidentSeverity.parse(severity.label) is severity
