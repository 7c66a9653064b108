"""Changes of an incident by evaluations: open, touch, sustain, worsen, ask for a summary."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_types import MetricName, fingerprint
from signals.domain.detection.buckets import Series
from signals.domain.detection.builtin_rules import (
    ERROR_SPIKE,
    Evaluation,
    IncidentSeverity,
    RuleName,
    error_spike,
    signup_drop,
)
from signals.domain.incidents.lifecycle import (
    SUMMARY_COOLDOWN_S,
    IncidentChange,
    KnownHistory,
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
    minute: int, *, fires: bool = False, lasts: bool = True, severity: IncidentSeverity = WARN
) -> Evaluation:
    return Evaluation(
        rule="error_spike",
        minute=minute,
        count=40 if lasts else 20,
        baseline=1.0,
        threshold=30.0,
        fires=fires,
        may_sustain=lasts,
        severity=severity,
    )


def _decide(*evaluations: Evaluation, current: OpenIncident | None = None) -> IncidentChange | None:
    changes = _decide_all(*evaluations, current=current)
    assert len(changes) <= 1
    return changes[0] if changes else None


def _decide_all(
    *evaluations: Evaluation, current: OpenIncident | None = None, history: KnownHistory | None = None
) -> list[IncidentChange]:
    return decide(_series(), evaluations, {e.minute: _seen(e.minute) for e in evaluations}, current, history)


def _open(
    severity: IncidentSeverity = WARN,
    summary_asked_s_ago: float | None = 0.0,
    *,
    normal: float = 1.0,
    last_fired: int = AT - 1,
    last_seen: int = AT - 1,
    known_from: int | None = None,
) -> OpenIncident:
    return OpenIncident(
        id=INCIDENT,
        severity=severity,
        summary_asked_s_ago=summary_asked_s_ago,
        normal=normal,
        last_fired=last_fired,
        last_seen=last_seen,
        known_from=known_from,
    )


def test_firing_series_opens_an_incident_at_its_first_firing_minute() -> None:
    change = _decide(_judged(AT), _judged(AT + 1, fires=True), _judged(AT + 2), _judged(AT + 3, fires=True))
    assert change is not None
    assert change.incident_id is None
    assert change.opened == _judged(AT + 1, fires=True)
    assert change.opened_at == _seen(AT + 1)
    assert change.last_seen_at == _seen(AT + 3)
    assert change.minutes == (AT + 1, AT + 2, AT + 3)
    assert change.summarize


@pytest.mark.parametrize("lasts", [True, False])
def test_quiet_series_opens_no_incident(lasts: bool) -> None:
    assert _decide(_judged(AT, lasts=lasts)) is None
    assert _decide() is None


def test_an_open_incident_is_touched_while_it_sustains() -> None:
    change = _decide(_judged(AT, lasts=False), _judged(AT + 1), current=_open())
    assert change is not None
    assert change.incident_id == INCIDENT
    assert (change.opened, change.opened_at) == (None, None)
    assert change.last_seen_at == _seen(AT + 1)
    assert change.minutes == (AT + 1,)
    assert not change.summarize


def test_calm_open_incident_is_not_changed() -> None:
    assert _decide(_judged(AT, lasts=False), current=_open()) is None


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
    (change,) = decide(_series(), [_judged(AT, fires=True), _judged(AT + 1)], seen, None)
    assert change.last_seen_at == NOON + timedelta(hours=1)


def test_an_incident_ends_when_the_count_falls_below_its_frozen_normal() -> None:
    busy = _open(normal=40.0)  # 40 is above the floor of 30, and far below three times the frozen normal
    assert _decide(_judged(AT), current=busy) is None
    assert _decide(_judged(AT), current=_open(normal=13.0)) is not None


def test_a_level_becomes_usual_24_hours_after_the_last_firing() -> None:
    day = 24 * 60
    (going,) = _decide_all(_judged(AT), current=_open(last_fired=AT - day + 1))
    (ended,) = _decide_all(_judged(AT), current=_open(last_fired=AT - day))
    assert (going.ended, going.last_seen_at) == (None, _seen(AT))
    assert (ended.ended, ended.latest, ended.last_seen_at) == ("became_usual", None, None)
    (firing,) = _decide_all(_judged(AT, fires=True), current=_open(last_fired=AT - day))
    assert (firing.ended, firing.last_fired) == (None, AT)
    assert _decide(_judged(AT, lasts=False), current=_open(last_fired=AT - day)) is None


def test_firing_above_the_new_usual_level_opens_another_incident() -> None:
    usual, again = _decide_all(
        _judged(AT), _judged(AT + 9, fires=True), current=_open(last_fired=AT - 24 * 60)
    )
    assert (usual.incident_id, usual.ended) == (INCIDENT, "became_usual")
    assert (again.incident_id, again.ended, again.opened_at) == (None, None, _seen(AT + 9))


def test_a_drop_to_nothing_never_becomes_usual() -> None:
    series, current = _series("signup_count", "signup|prod"), _open(normal=80.0, last_fired=AT - 24 * 60)
    (silent,) = decide(series, [signup_drop({}, AT)], {AT: _seen(AT)}, current)
    assert silent.ended is None
    (fewer,) = decide(series, [signup_drop({AT: 8}, AT)], {AT: _seen(AT)}, current)
    assert fewer.ended == "became_usual"


def test_an_unknown_normal_makes_a_new_incident_a_warning() -> None:
    history = KnownHistory(known_from=AT + 60, is_learning=True)
    (change,) = _decide_all(_judged(AT, fires=True, severity=CRITICAL), history=history)
    assert (change.kind, change.severity, change.is_learning) == ("new", WARN, True)
    assert change.known_from == AT + 60
    (change,) = _decide_all(
        _judged(AT + 59, fires=True, severity=CRITICAL), current=_open(known_from=AT + 60)
    )
    assert change.severity is WARN
    (change,) = _decide_all(
        _judged(AT + 60, fires=True, severity=CRITICAL), current=_open(known_from=AT + 60, last_fired=AT + 1)
    )
    assert change.severity is CRITICAL


def test_a_drop_of_a_young_series_is_no_new_incident() -> None:
    history = KnownHistory(known_from=AT + 10, is_learning=True)
    usual = {AT - 15 - age: 4 for age in range(50)}
    series = _series("signup_count", "signup|prod")
    (change,) = decide(series, [signup_drop(usual, AT)], {AT: _seen(AT)}, None, history)
    assert (change.kind, change.severity, change.is_learning) == ("change", CRITICAL, True)


def test_a_rise_over_a_known_normal_supersedes_a_new_incident_that_had_calmed_down() -> None:
    new = _open(normal=0.0, known_from=AT, last_fired=AT - 60)
    ended, opened = _decide_all(_judged(AT, fires=True, severity=ERROR), current=new)
    assert (ended.incident_id, ended.ended) == (INCIDENT, "superseded")
    assert (opened.incident_id, opened.kind, opened.severity) == (None, "change", ERROR)
    (same,) = _decide_all(
        _judged(AT, fires=True, severity=ERROR), current=_open(known_from=AT, last_fired=AT - 59)
    )
    assert (same.incident_id, same.severity) == (INCIDENT, ERROR)
    idle = _open(known_from=AT, last_fired=AT - 600, last_seen=AT - 61)
    (same,) = _decide_all(_judged(AT, fires=True, severity=ERROR), current=idle)
    assert same.incident_id == INCIDENT


@given(
    counts=st.dictionaries(st.integers(AT, AT + 4000), st.integers(0, 400), max_size=400),
    first=st.integers(AT - 2000, AT + 100),
    cut=st.integers(0, 400),
)
def test_incidents_follow_each_other_and_never_overlap(counts: dict[int, int], first: int, cut: int) -> None:
    history = KnownHistory(known_from=first + 65, is_learning=False)
    evaluations = [error_spike(counts, minute) for minute in sorted(counts)]
    changes = decide(_series(), evaluations, {m: _seen(m) for m in counts}, None, history)
    assert all(change.ended for change in changes[:-1])
    assert all(change.ended is None for change in changes[-1:])
    minutes = [minute for change in changes for minute in change.minutes]
    assert minutes == sorted(set(minutes))
    for change in changes:
        assert change.opened is not None
        assert change.opened.fires
        assert (change.kind == "new") is (change.opened.minute < first + 65)
        taken = {e.minute: e for e in evaluations if e.minute in change.minutes}
        assert all(e.fires or ERROR_SPIKE.sustains(e.count, change.opened.baseline) for e in taken.values())
    _assert_split_batches_agree(evaluations, cut, changes, history)


def _assert_split_batches_agree(
    evaluations: list[Evaluation], cut: int, whole: list[IncidentChange], history: KnownHistory
) -> None:
    """Two batches must open and end the same incidents as one."""
    seen = {e.minute: _seen(e.minute) for e in evaluations}
    first = decide(_series(), evaluations[:cut], seen, None, history)
    current = None
    if first:
        assert first[-1].opened is not None
        assert first[-1].last_fired is not None
        current = _open(
            first[-1].severity,
            normal=first[-1].opened.baseline,
            last_fired=first[-1].last_fired,
            last_seen=first[-1].minutes[-1],
            known_from=first[-1].known_from,
        )
    second = decide(_series(), evaluations[cut:], seen, current, history)
    opened = [change.opened for change in [*first, *second] if change.opened]
    assert opened == [change.opened for change in whole]
    ended = [change.ended for change in [*first, *second] if change.ended]
    assert ended == [change.ended for change in whole if change.ended]


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
        may_sustain=True,
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


def test_the_title_of_a_new_error_calls_nothing_usual() -> None:
    title = title_of(_series(), _named("error_spike", 42, 0.0), "new")
    assert title == "TIMEOUT on /checkout in prod: 42 errors in 5 minutes, a new error"
