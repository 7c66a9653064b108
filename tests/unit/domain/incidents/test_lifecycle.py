"""Changes of an incident by evaluations: open, touch, sustain, worsen, ask for a summary."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from shared_types import MetricName, fingerprint
from signals.domain.detection.buckets import Series
from signals.domain.detection.rules import Evaluation, IncidentSeverity, RuleName, error_spike, signup_drop
from signals.domain.incidents.lifecycle import (
    SUMMARY_COOLDOWN_S,
    IncidentChange,
    OpenIncident,
    decide,
    title_of,
)
from tests.support.events import NOON, event

AT = 30_000_000
INCIDENT = UUID(int=1)
WARN, ERROR, CRITICAL = IncidentSeverity.WARN, IncidentSeverity.ERROR, IncidentSeverity.CRITICAL


def _series(metric: MetricName = "error_count", name: str = "TIMEOUT|/checkout|prod") -> Series:
    return Series("proj_1", "prod", metric, name, "org_1")


def _seen(minute: int) -> datetime:
    return NOON + timedelta(minutes=minute - AT, seconds=30)


def _judged(
    minute: int, *, fires: bool = False, sustains: bool = True, severity: IncidentSeverity = WARN
) -> Evaluation:
    return Evaluation(
        rule="error_spike",
        minute=minute,
        count=40,
        baseline=1.0,
        threshold=30.0,
        fires=fires,
        sustains=sustains,
        severity=severity,
    )


def _decide(*evaluations: Evaluation, current: OpenIncident | None = None) -> IncidentChange | None:
    return decide(_series(), evaluations, {e.minute: _seen(e.minute) for e in evaluations}, current)


def _open(severity: IncidentSeverity = WARN, summary_asked_s_ago: float | None = 0.0) -> OpenIncident:
    return OpenIncident(id=INCIDENT, severity=severity, summary_asked_s_ago=summary_asked_s_ago)


def test_firing_series_opens_an_incident_at_its_first_firing_minute() -> None:
    change = _decide(_judged(AT), _judged(AT + 1, fires=True), _judged(AT + 2), _judged(AT + 3, fires=True))
    assert change is not None
    assert change.incident_id is None
    assert change.opened == _judged(AT + 1, fires=True)
    assert change.opened_at == _seen(AT + 1)
    assert change.last_seen_at == _seen(AT + 3)
    assert change.minutes == (AT + 1, AT + 2, AT + 3)
    assert change.summarize


@pytest.mark.parametrize("sustains", [True, False])
def test_quiet_series_opens_no_incident(sustains: bool) -> None:
    assert _decide(_judged(AT, sustains=sustains)) is None
    assert _decide() is None


def test_an_open_incident_is_touched_while_it_sustains() -> None:
    change = _decide(_judged(AT, sustains=False), _judged(AT + 1), current=_open())
    assert change is not None
    assert change.incident_id == INCIDENT
    assert (change.opened, change.opened_at) == (None, None)
    assert change.last_seen_at == _seen(AT + 1)
    assert change.minutes == (AT + 1,)
    assert not change.summarize


def test_calm_open_incident_is_not_changed() -> None:
    assert _decide(_judged(AT, sustains=False), current=_open()) is None


def test_an_outage_that_became_its_own_baseline_sustains_but_does_not_fire() -> None:
    steady = dict.fromkeys(range(AT - 120, AT + 1), 8)
    verdict = error_spike(steady, AT)
    assert not verdict.fires
    change = _decide(verdict, current=_open())
    assert change is not None
    assert change.last_seen_at == _seen(AT)


@pytest.mark.parametrize(
    ("evaluations", "current", "expected"),
    [
        ([_judged(AT, fires=True, severity=ERROR)], _open(WARN), (ERROR, True)),
        ([_judged(AT, severity=CRITICAL), _judged(AT + 1)], _open(ERROR), (CRITICAL, True)),
        ([_judged(AT, fires=True, severity=WARN)], _open(ERROR), (ERROR, False)),
        ([_judged(AT, fires=True, severity=ERROR)], _open(ERROR), (ERROR, False)),
    ],
    ids=["rises", "rises in between", "never falls", "stays"],
)
def test_only_rising_severity_requests_another_summary(
    evaluations: list[Evaluation], current: OpenIncident, expected: tuple[IncidentSeverity, bool]
) -> None:
    change = _decide(*evaluations, current=current)
    assert change is not None
    assert (change.severity, change.summarize) == expected


@pytest.mark.parametrize(
    ("asked_s_ago", "fires", "summarize"),
    [
        (SUMMARY_COOLDOWN_S - 1, True, False),
        (SUMMARY_COOLDOWN_S, True, True),
        (SUMMARY_COOLDOWN_S, False, False),
        (None, False, True),
    ],
    ids=["too soon", "after the cooldown", "no longer firing", "never asked"],
)
def test_firing_incident_requests_a_summary_again_after_the_cooldown(
    asked_s_ago: float | None, fires: bool, summarize: bool
) -> None:
    change = _decide(_judged(AT, fires=fires), current=_open(summary_asked_s_ago=asked_s_ago))
    assert change is not None
    assert change.summarize is summarize


def test_last_seen_is_the_newest_instant_even_when_minutes_come_in_another_order() -> None:
    seen: Mapping[int, datetime] = {AT: NOON + timedelta(hours=1), AT + 1: NOON}
    change = decide(_series(), [_judged(AT, fires=True), _judged(AT + 1)], seen, None)
    assert change is not None
    assert change.last_seen_at == NOON + timedelta(hours=1)


def _spike(name: str, baseline: float = 0.5) -> str:
    return title_of(_series(name=name), _named("error_spike", 42, baseline))


def _named(rule: RuleName, count: int, baseline: float) -> Evaluation:
    return Evaluation(
        rule=rule,
        minute=AT,
        count=count,
        baseline=baseline,
        threshold=30.0,
        fires=True,
        sustains=True,
        severity=WARN,
    )


@pytest.mark.parametrize(
    ("code", "route", "named"),
    [
        ("TIMEOUT", "/checkout", "TIMEOUT on /checkout"),
        (None, None, "unknown on unknown"),
        ("-", "-", "- on -"),
        ("a|b", "c|d|e", "a|b on c|d|e"),
        ("100%", "/50%|off", "100% on /50%|off"),
        ("%7C", "%2D", "%7C on %2D"),
        ("%257C", "%25", "%257C on %25"),
        ("ü \N{SNOWMAN}", "/ка", "ü \N{SNOWMAN} on /ка"),
    ],
)
def test_a_title_shows_code_and_route_as_they_were_sent(
    code: str | None, route: str | None, named: str
) -> None:
    print_ = fingerprint(event("error", NOON, error_code=code, route=route))
    assert print_ is not None
    assert _spike(print_) == f"{named} in prod: 42 errors in 5 minutes, usually 0.5"


def test_title_of_a_drop_names_the_usual_count() -> None:
    series = _series("signup_count", "signup|prod")
    usual = {AT - 15 - age: 4 for age in range(60)}
    assert title_of(series, signup_drop(usual, AT)) == "Signups dropped in prod: 0 in 15 minutes, usually 60"
