"""Routes choose by environment, severity, verdict and fingerprint; quiet hours follow the local clock."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals.domain.detection.severity import IncidentSeverity
from signals.domain.notifications.routing import QuietHours, Route, Subject, due, fits, mismatch

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = QuietHours(zone=BERLIN, begins=time(22), ends=time(7))
NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)


def route(**fields: Any) -> Route:
    return Route(id=UUID(int=1), destination_id=UUID(int=2), **fields)


def subject(**fields: Any) -> Subject:
    given: dict[str, Any] = {
        "environment": "prod",
        "severity": IncidentSeverity.ERROR,
        "verdict": "confirmed",
        "fingerprints": ("TIMEOUT|/checkout/pay|prod",),
    }
    return Subject(**given | fields)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, None),
        ({"environments": frozenset({"prod", "dev"})}, None),
        ({"environments": frozenset({"dev"})}, "environment prod is not one of dev"),
        ({"min_severity": IncidentSeverity.ERROR}, None),
        ({"min_severity": IncidentSeverity.CRITICAL}, "severity error is below critical"),
        ({"fingerprint": "*|/checkout*|prod"}, None),
        ({"fingerprint": "*|/cart*|prod"}, "no fingerprint fits the pattern"),
    ],
)
def test_route_says_why_it_does_not_match(fields: dict[str, Any], reason: str | None) -> None:
    assert mismatch(route(**fields), subject()) == reason


def test_brackets_of_a_pattern_are_themselves() -> None:
    fingerprints = ("E|/users/[id]|prod",)
    assert fits("*|/users/[id]|*", fingerprints)
    assert fits("*|/users/[i?]|prod", fingerprints)
    assert not fits("*|/users/[id]|*", ("E|/users/i|prod",))


@pytest.mark.parametrize("verdict", ["unconfirmed", "learning"])
def test_doubtful_incident_is_told_on_request_only(verdict: str) -> None:
    doubtful = subject(verdict=verdict)
    assert mismatch(route(), doubtful) is not None
    assert mismatch(route(verdicts=frozenset({"confirmed", verdict})), doubtful) is None


def test_incident_of_old_events_is_told_to_no_route() -> None:
    every = route(verdicts=frozenset({"confirmed", "unconfirmed", "learning"}))
    reason = mismatch(every, subject(is_history=True))
    assert reason == "its newest event was more than 6 hours old when it was found"


def test_earliest_matching_route_decides() -> None:
    at_night = datetime(2026, 3, 3, 23, tzinfo=UTC)
    quiet, loud = route(quiet=NIGHT), route(environments=frozenset({"prod"}))
    assert due([quiet, loud], subject(), at_night) == at_night
    assert due([quiet], subject(), at_night) == datetime(2026, 3, 4, 6, tzinfo=UTC)
    assert due([quiet], subject(environment="dev"), NOW) == NOW
    assert due([loud], subject(environment="dev"), NOW) is None


def test_severity_that_passes_is_told_at_night() -> None:
    at_night = datetime(2026, 3, 3, 23, tzinfo=UTC)
    assert due([route(quiet=NIGHT)], subject(severity=IncidentSeverity.CRITICAL), at_night) == at_night


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        ("2026-03-28T22:30+01:00", "2026-03-29T07:00+02:00"),  # the night in which clocks go forward
        ("2026-10-25T02:30+01:00", "2026-10-25T07:00+01:00"),  # and back
        ("2026-03-03T07:00+01:00", None),
        ("2026-03-03T06:59+01:00", "2026-03-03T07:00+01:00"),
        ("2026-03-03T21:59+01:00", None),
    ],
)
def test_quiet_hours_end_by_the_local_clock(now: str, ends: str | None) -> None:
    end = NIGHT.end_of(datetime.fromisoformat(now))
    assert end == (datetime.fromisoformat(ends) if ends else None)


def test_night_belongs_to_the_day_it_begins_on() -> None:
    friday = QuietHours(zone=BERLIN, begins=time(22), ends=time(7), days=frozenset({"fri"}))
    assert friday.end_of(datetime(2026, 3, 7, 3, tzinfo=BERLIN)) is not None  # the morning after
    assert friday.end_of(datetime(2026, 3, 6, 3, tzinfo=BERLIN)) is None


@given(
    st.integers(1_577_836_800, 1_893_456_000),  # seconds since the epoch: the years 2020 to 2029
    st.times(),
    st.times(),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"]),
)
def test_quiet_hours_end_within_a_day_and_outside_of_themselves(
    at: int, begins: time, ends: time, zone: str
) -> None:
    hours = QuietHours(zone=ZoneInfo(zone), begins=begins.replace(fold=0), ends=ends.replace(fold=0))
    now = datetime.fromtimestamp(at, UTC)
    end = hours.end_of(now)
    if end is not None:
        assert timedelta() < end - now <= timedelta(hours=26)
        assert end.astimezone(ZoneInfo(zone)).time().replace(fold=0) == ends.replace(fold=0) or zone != "UTC"
