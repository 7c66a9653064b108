"""Instants, ages and statements as people read them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from serve_apps.console.words import CitedStatement, Clock, cited, duration, number, steps

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BERLIN = Clock(NOW, ZoneInfo("Europe/Berlin"))
EVENT = "0f0f0f0f-0000-4000-8000-000000000001"


def test_moment_leaves_out_the_known_part() -> None:
    assert BERLIN.moment(NOW - timedelta(hours=2)) == "11:00"
    assert BERLIN.moment(NOW - timedelta(days=2)) == "27 Feb, 13:00"
    assert BERLIN.moment(NOW - timedelta(days=90)) == "2025-12-01 13:00"
    assert BERLIN.full(NOW) == "2026-03-01 13:00:00 Berlin"


def test_age_has_its_largest_unit() -> None:
    assert BERLIN.ago(NOW - timedelta(seconds=59)) == "59 s ago"
    assert BERLIN.ago(NOW - timedelta(minutes=119)) == "1 h ago"
    assert BERLIN.ago(NOW + timedelta(minutes=5)) == "in 5 min"
    assert duration(timedelta(days=3, hours=5)) == "3 d"


def test_stamps_inside_a_sentence_become_local_times() -> None:
    text = "since 2026-03-01T10:00:05Z, last seen 2026-02-27T09:00:00Z; 2026-13-01T10:00:05Z stays"
    assert BERLIN.in_words(text) == "since 11:00:05, last seen 27 Feb, 10:00; 2026-13-01T10:00:05Z stays"


def test_times_of_day_inside_a_sentence_become_local_times() -> None:
    text = "since 09:58 UTC, and 23:30 UTC the day before; 24:00 UTC and 11:30 stay"
    shown = "since 10:58, and 00:30 the day before; 24:00 UTC and 11:30 stay"
    assert BERLIN.in_words(text, NOW) == shown
    assert BERLIN.in_words("since 09:58 UTC", NOW - timedelta(days=180)) == "since 2025-09-02 11:58"
    assert BERLIN.in_words("until 12:30 UTC", NOW) == "until 13:30"
    assert BERLIN.in_words(text) == text


def test_number_has_separators_and_one_decimal_at_most() -> None:
    assert [number(value) for value in (0, 0.25, 30.0, 1234567)] == ["0", "0.2", "30", "1,234,567"]


def test_statement_is_split_from_its_references() -> None:
    assert cited(f"[E1 {EVENT}, F2] It fails") == CitedStatement("It fails", (("E1", EVENT), ("F2", None)))
    assert cited("No reference") == CitedStatement("No reference", ())
    assert cited("[no reference] text") == CitedStatement("text", ())
    assert cited("It fails [F2], too [E3; F2].") == CitedStatement(
        "It fails, too.", (("F2", None), ("E3", None))
    )


def test_steps_leave_calls_of_the_api_out() -> None:
    texts = [
        "Roll back release 7.",
        "Look for errors on the signup's route: GET /v1/search/events?filters=x",
        "Read the failing events: GET /v1/search/events?filters=y",
        'Tell others that you are on it: PATCH /v1/incidents/1 with {"status": "investigating"}',
        "See the counts by minute and why it fired: GET /v1/incidents/1",
    ]
    assert list(steps(texts)) == ["Roll back release 7.", "Look for errors on the signup's route."]
