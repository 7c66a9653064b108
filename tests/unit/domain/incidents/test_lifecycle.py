"""Changes of an incident's rows by judged minutes: open, touch, worsen, reopen, end, ask for a summary."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from shared_types import fingerprint
from signals.domain.detection.buckets import Series, instant_of
from signals.domain.detection.calendar import UTC_CLOCK
from signals.domain.detection.counts import BucketCounts
from signals.domain.detection.default_rules import DEFAULT_RULES
from signals.domain.detection.severity import IncidentSeverity
from signals.domain.detection.verdict import RuleCondition, RuleVerdict
from signals.domain.incidents.following import SeriesFollower, SeriesRecord, Surroundings, begin_series
from signals.domain.incidents.lifecycle import (
    SUMMARY_COOLDOWN_S,
    EndedIncident,
    IncidentChange,
    OpenIncident,
    SeriesLives,
    reconciled,
    title_of,
)
from signals.domain.incidents.watch import watches
from tests.support.events import NOON, event

AT = 29_540_160
INCIDENT = UUID(int=1)
ERRORS, SIGNUPS = watches(DEFAULT_RULES)
WARN, ERROR, CRITICAL = IncidentSeverity.WARN, IncidentSeverity.ERROR, IncidentSeverity.CRITICAL
STEADY = dict.fromkeys(range(AT - 120, AT), 1)


def _series(metric: str = "error_count", name: str = "TIMEOUT|/checkout|prod") -> Series:
    return Series("proj_1", "prod", metric, name, "org_1")


def _seen(minute: int) -> datetime:
    return instant_of(minute) + timedelta(seconds=30)


class _Led:
    """One series of errors, led through counts in pieces as the engine does in batches."""

    def __init__(self, counts: Mapping[int, int]) -> None:
        self.counts = dict(counts)
        self.record: SeriesRecord = begin_series(min(counts))
        self.ids = iter(UUID(int=number) for number in range(1, 1000))

    def until(self, minute: int, *, current: OpenIncident | None = None) -> list[IncidentChange]:
        """Judge up to a minute and return the changes."""
        around = Surroundings(
            counts=BucketCounts(self.counts), hours={}, project_since=AT - 10_000, clock=UTC_CLOCK
        )
        follower = SeriesFollower(ERRORS, self.record, around)
        lives = SeriesLives(
            _series(),
            ERRORS,
            self.record,
            current=current,
            seen_at={at: _seen(at) for at in self.counts},
            new_id=lambda: next(self.ids),
        )
        for followed in follower.advance(minute, again=True):
            lives.take(followed, follower.track)
        self.record = follower.record(lives.incident, lives.last_incident)
        return lives.changes()


def _current(
    severity: IncidentSeverity = WARN, asked: float | None = 0.0, incident_id: UUID = INCIDENT
) -> OpenIncident:
    numbers = RuleVerdict(
        rule="error-spike", minute=AT, length=5, count=40, normal=5.0, threshold=30.0, conditions=()
    )
    return OpenIncident(
        id=incident_id,
        severity=severity,
        summary_asked_s_ago=asked,
        opened=numbers,
        opened_at=AT,
        last_seen=AT,
        last_fired=AT,
        verdict="confirmed",
        kind="change",
    )


def test_firing_series_opens_an_incident_at_its_first_firing_minute() -> None:
    led = _Led({**STEADY, AT: 10, AT + 1: 40, AT + 3: 2})
    assert led.until(AT) == []
    (change,) = led.until(AT + 3)
    assert change.opened is not None
    assert (change.incident_id, change.opened.count, change.kind) == (INCIDENT, 53, "change")
    assert (change.opened_at, change.last_seen_at) == (_seen(AT + 1), _seen(AT + 3))
    assert change.minutes == (AT + 1, AT + 3)
    assert change.summarize
    assert led.record.incident == INCIDENT


def test_quiet_series_opens_no_incident() -> None:
    led = _Led({**STEADY, AT: 20})
    assert led.until(AT + 5) == []


def test_open_incident_is_touched_while_it_lasts_and_only_then() -> None:
    led = _Led({**STEADY, AT: 40})
    led.until(AT)
    (change,) = led.until(AT + 2, current=_current())
    assert (change.incident_id, change.opened, change.opened_at) == (INCIDENT, None, None)
    led.until(AT + 40, current=_current())
    assert led.until(AT + 50, current=_current()) == []


def test_severity_only_rises() -> None:
    led = _Led({**STEADY, AT: 40, AT + 1: 500})
    led.until(AT)
    (worse,) = led.until(AT + 1, current=_current())
    assert (worse.severity, worse.summarize) == (CRITICAL, True)
    led.counts[AT + 2] = 1
    (calmer,) = led.until(AT + 2, current=_current(CRITICAL))
    assert (calmer.severity, calmer.summarize) == (CRITICAL, False)


@pytest.mark.parametrize(
    ("asked", "due"), [(None, True), (SUMMARY_COOLDOWN_S - 1, False), (SUMMARY_COOLDOWN_S, True)]
)
def test_firing_incident_asks_for_a_summary_each_quarter_hour(asked: float | None, due: bool) -> None:
    led = _Led({**STEADY, AT: 40, AT + 1: 1})
    led.until(AT)
    (change,) = led.until(AT + 1, current=_current(CRITICAL, asked))
    assert change.summarize is due


def test_ended_incident_is_resolved_and_a_return_within_the_hour_opens_it_again() -> None:
    led = _Led({**STEADY, AT: 400})
    led.until(AT)
    (ended,) = led.until(AT + 90, current=_current())
    assert (ended.episode.reason, led.record.incident, led.record.last_incident) == ("quiet", None, INCIDENT)
    led.counts[AT + 100] = 400
    (back,) = led.until(AT + 100)
    assert (back.incident_id, back.reopens, back.episode.reopened) == (INCIDENT, True, 1)
    assert back.summarize


def test_incident_resolved_by_the_sweep_goes_on_when_its_own_minutes_say_so() -> None:
    led = _Led({**STEADY, AT: 400})
    led.until(AT)
    swept = EndedIncident(reason="quiet", resolved_at=datetime.now(UTC))
    led.record = reconciled(led.record, None, swept)
    led.counts[AT + 1] = 100
    (change,) = led.until(AT + 1)
    assert (change.incident_id, change.reopens, change.episode.reopened) == (INCIDENT, True, 0)


@pytest.mark.parametrize(("minutes", "same"), [(5, True), (6, False)])
def test_return_after_a_resolve_by_hand_is_the_same_incident_for_five_minutes(
    minutes: int, same: bool
) -> None:
    led = _Led({**STEADY, AT: 400})
    led.until(AT + 20)
    by_hand = EndedIncident(reason="by_hand", resolved_at=instant_of(AT + 20))
    led.record = reconciled(led.record, None, by_hand)
    assert led.until(AT + 19 + minutes) == []  # its own counts, still in a window of an hour, fire no more
    led.counts[AT + 20 + minutes] = 400
    (change,) = led.until(AT + 20 + minutes)
    assert (change.incident_id == INCIDENT) is same
    assert change.reopens is same


@pytest.mark.parametrize(("after", "is_back"), [(1, False), (29, False), (30, True)])
def test_counts_of_before_a_resolve_by_hand_open_nothing(after: int, is_back: bool) -> None:
    led = _Led({**STEADY, AT: 200})
    led.until(AT)
    by_hand = EndedIncident(reason="by_hand", resolved_at=instant_of(AT))
    led.record = reconciled(led.record, None, by_hand)
    led.counts[AT] = 260  # the same minute goes on
    assert led.until(AT) == []
    led.counts[AT + 1] = after
    changes = led.until(AT + 1)
    assert [(one.incident_id, one.reopens, one.episode.reopened) for one in changes] == [
        (INCIDENT, True, 1)
    ] * is_back


def test_incident_of_old_events_resolved_today_returns_with_newer_old_events() -> None:
    led = _Led({**STEADY, AT: 200})
    led.until(AT)
    led.record = reconciled(
        led.record, None, EndedIncident(reason="by_hand", resolved_at=instant_of(AT + 500_000))
    )
    led.counts[AT + 90] = 200
    (change,) = led.until(AT + 90)
    assert change.opened is not None
    assert change.incident_id != INCIDENT


def test_incident_opened_again_by_a_person_is_the_engines_own_again() -> None:
    led = _Led({**STEADY, AT: 400})
    led.until(AT)
    led.until(AT + 90, current=_current())
    led.record = reconciled(led.record, replace(_current(), last_seen=AT + 95, last_fired=AT + 95), None)
    episode = led.record.track.episode
    assert episode is not None
    assert (episode.resolved_at, episode.last_seen, led.record.incident) == (None, AT + 95, INCIDENT)


def test_incident_of_an_earlier_release_is_adopted_with_its_frozen_normal() -> None:
    record = reconciled(begin_series(AT), _current(), None)
    assert record.track.episode is not None
    assert (record.track.episode.opened.normal, record.track.episode.rule) == (5.0, "error-spike")


def test_verdict_keeps_every_number_of_the_nearest_window() -> None:
    at = AT - 120  # the day is not over
    led = _Led({**dict.fromkeys(range(at - 300, at), 8), at: 400})
    change = led.until(at)[-1]
    assert change.episode.verdict == "confirmed"
    assert change.numbers is not None
    assert [condition.name for condition in change.numbers.conditions][-1] == "significance"


def _named(count: int, normal: float) -> RuleVerdict:
    return RuleVerdict(
        rule="error-spike", minute=AT, length=5, count=count, normal=normal, threshold=30.0, conditions=()
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
    title = title_of(_series(name=print_), _named(42, 0.5))
    assert title == f"{named} in prod: 42 errors in 5 minutes, usually 0.5"


def test_title_of_a_drop_names_the_usual_count() -> None:
    series = _series("signup_count", "signup|prod")
    fell = replace(_named(0, 60.0), rule="signup-drop", length=15)
    assert title_of(series, fell) == "Signups dropped in prod: 0 in 15 minutes, usually 60"


@pytest.mark.parametrize(
    ("normal", "said"), [(0.0, "none counted before"), (0.04, "usually below 0.1"), (0.5, "usually 0.5")]
)
def test_title_never_calls_zero_usual(normal: float, said: str) -> None:
    """Of a backfill out of order, the minutes before may come later."""
    assert title_of(_series(), _named(42, normal)).endswith(f"42 errors in 5 minutes, {said}")


def test_title_of_one_minute_is_singular() -> None:
    silent = RuleCondition(name="minutes without an event", have=1, compared="at least", need=1)
    gone = replace(_named(0, 1.0), rule="beat", length=1, conditions=(silent,))
    own = _series("rule:beat:1", "rule:beat:1|absence|custom|environment=prod")
    assert title_of(own, gone) == "beat: no custom event for 1 minute (prod)"
    more = _series("rule:more:1", "rule:more:1|floor_ratio|custom|environment=prod")
    assert title_of(more, replace(gone, count=9), "new").startswith(
        "more: 9 custom events in 1 minute, a new"
    )


def test_the_title_of_a_new_error_calls_nothing_usual() -> None:
    title = title_of(_series(), _named(42, 0.0), "new")
    assert title == "TIMEOUT on /checkout in prod: 42 errors in 5 minutes, a new error"
