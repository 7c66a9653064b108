"""Special days on a project's clock."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from signals.domain.detection.calendar import UTC_CLOCK, CalendarDay, ProjectClock


def _day(text: str) -> CalendarDay:
    return CalendarDay(day=date.fromisoformat(text), kind="day_off", name="Off")


def _hour(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) // 3600


@pytest.mark.parametrize(
    ("day", "first", "hours"),
    [
        ("2026-12-25", "2026-12-24T23:00", 24),
        ("2026-03-29", "2026-03-28T23:00", 23),  # clocks go forward
        ("2026-10-25", "2026-10-24T22:00", 25),  # and back
    ],
)
def test_special_day_lasts_from_local_midnight_to_the_next(day: str, first: str, hours: int) -> None:
    clock = ProjectClock.of(ZoneInfo("Europe/Berlin"), [_day(day)])
    start = _hour(first)
    around = range(start - 30, start + 60)
    assert [hour for hour in around if clock.is_special(hour)] == list(range(start, start + hours))


def test_days_in_any_order_and_in_a_row_are_special() -> None:
    days = [_day("2026-12-26"), _day("2026-01-01"), _day("2026-12-25"), _day("2026-12-25")]
    clock = ProjectClock.of(ZoneInfo("UTC"), days)
    start = _hour("2026-12-25")
    assert all(clock.is_special(hour) for hour in range(start, start + 48))
    assert not clock.is_special(start - 1)
    assert not clock.is_special(start + 48)
    assert clock.is_special(_hour("2026-01-01T23:00"))


def test_last_day_of_all_harms_nothing() -> None:
    assert ProjectClock.of(ZoneInfo("Europe/Berlin"), [_day("9999-12-31"), _day("0001-01-01")]).edges
    assert not UTC_CLOCK.is_special(_hour("2026-12-25"))
