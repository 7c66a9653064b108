"""A pattern that repeats at an hour is told twice, then usual; an outage never is."""

from collections.abc import Callable

import pytest

from benchmarks.detection.drawing import drawn
from signals.domain.detection.calendar import UTC_CLOCK
from signals.domain.detection.counts import PrefixCounts
from signals.domain.detection.default_rules import DEFAULT_RULES
from signals.domain.detection.repeats import RepeatedHour, repeated_hour
from signals.domain.detection.season import DAY, HOUR, WEEK, HourRow
from signals.domain.incidents.episode import Episode
from signals.domain.incidents.following import SeriesFollower, Surroundings, begin_series
from signals.domain.incidents.record_codec import MAX_BYTES, decode_record, encode_record
from signals.domain.incidents.series_replay import Stretch, replay
from signals.domain.incidents.watch import watches

START = 29_541_600  # a Monday, 00:00 UTC, in minutes since the epoch
DAY_MINUTES = DAY * HOUR
WEEK_MINUTES = WEEK * HOUR
ERRORS, SIGNUPS = watches(DEFAULT_RULES)

Rate = Callable[[int], float]


def _told(rate: Rate, days: float, seed: int = 1, *, signups: bool = False) -> list[Episode]:
    """Return the confirmed incidents of a drawn series whose project is older."""
    stretch = Stretch(since=START, counts=drawn(seed, days, rate))
    watch = SIGNUPS if signups else ERRORS
    episodes = replay(watch, stretch, project_since=START - DAY_MINUTES, clock=UTC_CLOCK)
    return [episode for episode in episodes if episode.is_confirmed]


def _days(told: list[Episode]) -> list[int]:
    return [(episode.opened_at - START) // DAY_MINUTES for episode in told]


def _nightly(minute: int, height: float = 10.0) -> float:
    return height if 120 <= minute % DAY_MINUTES < 150 else 0.2


def _office(minute: int) -> float:
    is_open = 540 <= minute % DAY_MINUTES < 1080 and minute // DAY_MINUTES % 7 < 5
    return 10.0 if is_open else 0.2


def _hourly(minute: int) -> float:
    return 40.0 if minute % 60 < 2 else 0.1


def _weekends(minute: int) -> float:
    return 6.0 * (0.2 if minute // DAY_MINUTES % 7 >= 5 else 1.0)


def test_nightly_job_is_told_twice() -> None:
    assert _days(_told(_nightly, 21)) == [0, 1]


def test_weekly_job_is_told_twice() -> None:
    told = _told(lambda minute: _nightly(minute) if minute % WEEK_MINUTES < DAY_MINUTES else 0.2, 35)
    assert _days(told) == [0, 7]


def test_office_hours_are_told_on_two_days() -> None:
    assert _days(_told(_office, 28)) == [0, 1]


def test_quiet_weekend_is_told_twice_and_no_weekday() -> None:
    assert _days(_told(_weekends, 35, signups=True)) == [5, 12]


def test_outage_on_a_saturday_at_the_height_of_office_hours_is_told() -> None:
    saturday = 19 * DAY_MINUTES + 600
    told = _told(lambda minute: 10.0 if saturday <= minute < saturday + 60 else _office(minute), 21)
    assert _days(told) == [0, 1, 19]


@pytest.mark.parametrize("later", [1, 7])
def test_second_outage_at_the_same_hour_is_told(later: int) -> None:
    starts = [10 * DAY_MINUTES + 840, (10 + later) * DAY_MINUTES + 840]

    def rate(minute: int) -> float:
        return 12.0 if any(start <= minute < start + 45 for start in starts) else 0.5

    assert _days(_told(rate, 20)) == [10, 10 + later]


def test_single_outage_leaves_the_normal_of_its_hour_alone() -> None:
    start = 10 * DAY_MINUTES + 840
    counts = drawn(3, 12, lambda minute: 30.0 if start <= minute < start + 60 else 0.5)
    around = Surroundings(
        counts=PrefixCounts(START, counts), hours={}, project_since=START - DAY_MINUTES, clock=UTC_CLOCK
    )
    follower = SeriesFollower(ERRORS, begin_series(START), around)
    for _ in follower.advance(START + 11 * DAY_MINUTES + 850):
        pass
    kept = follower.record().kept
    assert not any(kept.repeats)
    assert all(rate is not None and rate < 1 for rate in kept.rates)


def test_nightly_job_of_three_times_its_height_is_told_again() -> None:
    told = _told(lambda minute: _nightly(minute, 30.0 if minute >= 12 * DAY_MINUTES else 10.0), 13)
    assert _days(told) == [0, 1, 12]


def test_bursts_of_an_hourly_job_end_as_usual_and_hide_no_outage() -> None:
    outage = 15 * DAY_MINUTES + 100
    told = _told(lambda minute: _hourly(minute) + (60 if outage <= minute < outage + 60 else 0), 18, seed=7)
    assert _days(told) == [0, 15]
    first, second = told
    assert first.reason == "became_usual"
    assert first.resolved_at is not None
    assert first.resolved_at - first.opened_at <= 26 * HOUR
    assert START + outage <= second.opened_at <= START + outage + 5
    assert second.reason == "quiet"
    assert second.resolved_at is not None
    assert second.resolved_at <= START + outage + 60 + 75


def test_sudden_and_clearly_worse_outage_in_an_open_incident_is_told_on_its_own() -> None:
    def rate(minute: int) -> float:
        if minute < 5 * DAY_MINUTES:
            return 0.2
        return 80.0 if minute >= 5 * DAY_MINUTES + 240 else 10.0

    told = _told(rate, 5.3)
    assert [(one.opened_at - START - 5 * DAY_MINUTES) // 10 for one in told] == [0, 24]
    assert told[0].reason == "superseded"


def test_growing_outage_is_told_once() -> None:
    def rate(minute: int) -> float:
        since = minute - 5 * DAY_MINUTES
        return 0.2 if since < 0 else 5.0 * 1.02 ** min(since, 180)

    assert len(_told(rate, 5.3)) == 1


def test_new_level_is_told_once_and_becomes_the_history_after_a_week() -> None:
    step = 10 * DAY_MINUTES
    counts = drawn(12, 20, lambda minute: 2.0 if minute < step else 20.0)
    around = Surroundings(
        counts=PrefixCounts(START, counts), hours={}, project_since=START - DAY_MINUTES, clock=UTC_CLOCK
    )
    follower = SeriesFollower(ERRORS, begin_series(START), around)
    closed = [one for found in follower.advance(START + len(counts) - 1) for one in found.closed]
    assert [one.reason for one in closed if one.is_confirmed] == ["became_usual"]
    assert follower.forgotten_before == (START + step) // HOUR + 1  # the first whole hour
    assert follower.track.seasonal.moved is None


def _outages(starts: list[int], height: float, rate: Rate) -> Rate:
    return lambda minute: height if any(start <= minute < start + 30 for start in starts) else rate(minute)


def test_outage_in_the_incident_of_a_new_level_is_not_usual_itself() -> None:
    step = 10 * DAY_MINUTES
    starts = [
        step + 720,
        step + DAY_MINUTES + 1000,
        step + 2 * DAY_MINUTES + 300,
        step + 4 * DAY_MINUTES + 200,
    ]
    told = _told(_outages(starts, 120.0, lambda minute: 2.0 if minute < step else 20.0), 15)
    assert [one.opened_at - START - start for one, start in zip(told, [step, *starts], strict=True)] == [
        pytest.approx(3, abs=5)
    ] * 5
    assert [one.reason for one in told] == ["superseded", "became_usual", "quiet", "quiet", "quiet"]


def test_outage_between_the_first_bursts_of_a_job_is_not_usual_itself() -> None:
    starts = [730, 2 * DAY_MINUTES + 910]
    told = _told(_outages(starts, 60.0, _hourly), 3)
    assert [one.opened_at - START >= start for one, start in zip(told[-2:], starts, strict=True)] == [
        True,
        True,
    ]
    assert len(told) == 3


@pytest.mark.parametrize("length", [40, 50])
def test_weekly_job_of_a_part_of_an_hour_stays_usual(length: int) -> None:
    start = 6 * DAY_MINUTES + 180
    told = _told(
        lambda minute: 12.0 if start <= minute % WEEK_MINUTES < start + length else 0.3, 63, seed=101
    )
    assert _days(told) == [6, 13]


@pytest.mark.parametrize(("begins", "length"), [(120, 60), (120, 360), (1260, 600)])
def test_nightly_stop_from_the_first_day_on_is_told_three_times(begins: int, length: int) -> None:
    told = _told(
        lambda minute: 0.0 if (minute - begins) % DAY_MINUTES < length else 4.0, 12, seed=601, signups=True
    )
    assert len(told) == 3
    assert _days(told) == [0, 1, 2]


def test_nightly_stop_that_ends_within_an_hour_is_told_three_times() -> None:
    told = _told(lambda minute: 0.0 if 120 <= minute % DAY_MINUTES < 210 else 4.0, 21, seed=119, signups=True)
    assert _days(told) == [0, 1, 2]


def test_shop_that_opens_and_closes_slowly_is_told_three_times() -> None:
    def rate(minute: int) -> float:
        hour = minute % DAY_MINUTES / HOUR
        return 4.0 * max(0.0, min(1.0, (hour - 7) / 1.5, (21 - hour) / 1.5))

    assert _days(_told(rate, 16, seed=605, signups=True)) == [0, 1, 2]


def test_stop_outside_of_the_usual_nightly_one_is_told() -> None:
    outage = 9 * DAY_MINUTES + 840

    def rate(minute: int) -> float:
        return 0.0 if 120 <= minute % DAY_MINUTES < 210 or outage <= minute < outage + 60 else 4.0

    assert _days(_told(rate, 10, seed=119, signups=True)) == [0, 1, 2, 9]


def test_outages_between_usual_bursts_are_told_before_and_after_their_hours_are_known() -> None:
    starts = [day * DAY_MINUTES + 130 for day in (3, 6, 10)]

    def rate(minute: int) -> float:
        outage = 30.0 if any(start <= minute < start + 60 for start in starts) else 0.0
        return _hourly(minute) + outage

    told = _told(rate, 12, seed=206)
    assert _days(told) == [0, 3, 6, 10]
    assert all(
        START + start <= one.opened_at < START + start + 60
        for one, start in zip(told[1:], starts, strict=True)
    )


def test_record_keeps_the_peaks_of_its_newest_hours() -> None:
    counts = drawn(7, 0.6, _hourly)
    around = Surroundings(
        counts=PrefixCounts(START, counts), hours={}, project_since=START - DAY_MINUTES, clock=UTC_CLOCK
    )
    follower = SeriesFollower(ERRORS, begin_series(START), around)
    for _ in follower.advance(START + len(counts) - 1):
        pass
    record = follower.record()
    peaks = [row.peak for row in record.kept.newest]
    assert min(peaks) >= 50
    again = decode_record(encode_record(record))
    assert again is not None
    assert [row.peak for row in again.kept.newest] == peaks


def test_record_on_trial_with_repeated_hours_is_read_as_it_was_written() -> None:
    counts = drawn(91, 6.9, _weekends)
    around = Surroundings(
        counts=PrefixCounts(START, counts), hours={}, project_since=START - DAY_MINUTES, clock=UTC_CLOCK
    )
    follower = SeriesFollower(SIGNUPS, begin_series(START), around)
    for _ in follower.advance(START + len(counts) - 1):
        pass
    record = follower.record()
    assert record.track.seasonal.moved is not None
    data = encode_record(record)
    assert len(data) <= MAX_BYTES
    again = decode_record(data)
    assert again is not None
    assert again.track.seasonal == record.track.seasonal
    assert again.kept.repeats == record.kept.repeats


def _row(value: int, peak: int) -> HourRow:
    return HourRow(hour=0, value=value, expected=0.0, clean_minutes=HOUR, clean_value=value, peak=peak)


QUIET, HIGH = _row(12, 3), _row(300, 60)


@pytest.mark.parametrize(
    ("days", "weeks", "repeated"),
    [
        ([HIGH, HIGH, QUIET], [], RepeatedHour(value=300, peak=60)),
        ([HIGH, QUIET, QUIET, HIGH], [], RepeatedHour(value=300, peak=60)),
        ([HIGH, QUIET, QUIET, QUIET, HIGH], [], None),
        ([HIGH, QUIET], [HIGH, QUIET], None),
        ([QUIET] * 7, [HIGH, QUIET, QUIET, HIGH], RepeatedHour(value=300, peak=60)),
        # Yesterday and the day before were so a week ago as well, today's day of the week was not.
        ([HIGH, HIGH, QUIET, QUIET, QUIET, QUIET, QUIET, HIGH, HIGH], [QUIET], None),
    ],
)
def test_rise_repeats_once_two_of_the_same_hours_had_it(
    days: list[HourRow], weeks: list[HourRow], repeated: RepeatedHour | None
) -> None:
    assert repeated_hour(days, weeks, (0.2, 0.2), "up") == repeated


UNEVEN, EVEN = _row(120, 28), _row(240, 30)


@pytest.mark.parametrize(
    ("days", "repeated"),
    [
        ([UNEVEN, UNEVEN, UNEVEN], RepeatedHour(value=120, peak=28)),
        ([UNEVEN, EVEN, UNEVEN], None),
        ([EVEN, EVEN, EVEN], None),
    ],
)
def test_hour_that_is_half_a_stop_stays_a_fall_once_the_shape_knows_its_mean(
    days: list[HourRow], repeated: RepeatedHour | None
) -> None:
    assert repeated_hour(days, [], (4.0, 2.0), "down") == repeated
