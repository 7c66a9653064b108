"""Late events are added to closed hours once; too many of them are disorder."""

import pytest
from msgspec.structs import replace

from signals.domain.detection.season import DAY, HOUR, HourRow
from signals.domain.incidents.following import SeriesRecord, begin_series
from signals.domain.incidents.late_events import LateHour, absorbed, is_disorder, late_events

START = 29_540_160  # a Monday, 00:00 UTC
AT = START + 30 * HOUR + 20  # the newest judged minute: hours 0 to 29 are closed


def _record() -> SeriesRecord:
    record = begin_series(START)
    first = START // HOUR
    newest = tuple(
        HourRow(hour=first + hour, value=60, expected=60.0, clean_minutes=60, clean_value=60)
        for hour in range(29, 17, -1)
    )
    kept = replace(record.kept, hour=first + 30, minutes=1800, value=1800, newest=newest)
    return replace(record, judged=AT, last_event=AT, kept=kept)


def test_events_of_the_open_hour_are_not_late() -> None:
    assert not late_events(_record(), {AT: 3, AT - 15: 2})


def test_late_events_are_gathered_by_closed_hour() -> None:
    record = _record()
    dirty = replace(record.track.seasonal, dirty_from=START + 10, dirty_until=START + 20)
    record = replace(record, track=replace(record.track, seasonal=dirty))
    late = late_events(record, {START + 9: 1, START + 10: 2, START + 19: 4, START + 20: 8, AT - 30: 5})
    assert dict(late.hours) == {
        START // HOUR: LateHour(events=15, clean=9),
        (AT - 30) // HOUR: LateHour(events=5, clean=5),
    }
    assert late.first is None


@pytest.mark.parametrize(
    ("minute", "first"),
    [
        (START - 1, START - 1),
        (START - 14 * DAY * HOUR + 1, START - 14 * DAY * HOUR + 1),
        (START - 14 * DAY * HOUR, None),  # of another stretch of the series
        (AT - 35 * DAY * HOUR - 1, None),
    ],
)
def test_events_before_the_series_began_are_disorder_for_a_fortnight(minute: int, first: int | None) -> None:
    late = late_events(_record(), {minute: 1})
    assert (late.first, dict(late.hours)) == (first, {})


@pytest.mark.parametrize(
    ("value", "late", "expected"),
    [
        (10, 10, True),
        (9, 9, False),
        (100, 31, True),
        (100, 30, False),
        (10_000, 2_001, True),
        (10_000, 2_000, False),
    ],
)
def test_many_late_events_are_disorder(value: int, late: int, expected: bool) -> None:
    assert is_disorder(value, late) is expected


def test_record_counts_late_events_where_they_are_clean() -> None:
    record, newest = _record(), START // HOUR + 29
    after = absorbed(
        record,
        {newest: LateHour(events=5, clean=3), START // HOUR: LateHour(events=7, clean=7)},
        {newest: 40, START // HOUR: 60},
    )
    assert after.kept.value == 1800 + 3 + 7
    assert (after.kept.newest[0].value, after.kept.newest[0].clean_value) == (65, 63)
    assert after.kept.newest[1:] == record.kept.newest[1:]
    assert after.track.seasonal.day_value == 3  # the day of the first hour is over
    nothing_clean = absorbed(record, {newest: LateHour(events=5, clean=5)}, {newest: 0})
    assert nothing_clean.kept.value == 1800
