"""Which minutes are read: enough for every rule, never twice, never the time between."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_types import MetricName
from signals.domain.detection.buckets import BucketRange, Series, instant_of, minute_of, ranges, series_of
from tests.support.events import NOON, event

AT = 30_000_000
YEAR = 525_600
LENGTHS = {"error_count": 65, "signup_count": 75}


def _series(metric: MetricName = "error_count", fingerprint: str = "TIMEOUT|/checkout|prod") -> Series:
    return Series("proj_1", "prod", metric, fingerprint, "org_1")


def _spans(minutes: set[int]) -> list[tuple[int, int, tuple[int, ...]]]:
    return [(read.start, read.end, read.minutes) for read in ranges({_series(): minutes}, 65)]


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        (set(), []),
        ({AT}, [(AT - 64, AT + 1, (AT,))]),
        ({AT + 1, AT}, [(AT - 64, AT + 2, (AT, AT + 1))]),
        ({AT, AT + 64}, [(AT - 64, AT + 65, (AT, AT + 64))]),
        ({AT, AT + 65}, [(AT - 64, AT + 1, (AT,)), (AT + 1, AT + 66, (AT + 65,))]),
        ({AT, AT + YEAR}, [(AT - 64, AT + 1, (AT,)), (AT + YEAR - 64, AT + YEAR + 1, (AT + YEAR,))]),
    ],
    ids=["nothing", "one", "neighbours", "shared history", "touching histories", "a year apart"],
)
def test_minutes_share_a_range_only_when_their_histories_overlap(
    minutes: set[int], expected: list[tuple[int, int, tuple[int, ...]]]
) -> None:
    assert _spans(minutes) == expected


@given(
    minutes=st.sets(st.integers(AT, AT + 400), min_size=1, max_size=20),
    metric=st.sampled_from(["error_count", "signup_count"]),
)
def test_every_minute_has_its_whole_history_and_no_bucket_is_read_twice(
    minutes: set[int], metric: MetricName
) -> None:
    length = LENGTHS[metric]
    reads = list(ranges({_series(metric): minutes}, length))
    assert sorted(minute for read in reads for minute in read.minutes) == sorted(minutes)
    assert all(
        read.start <= minute - length + 1 and minute < read.end for read in reads for minute in read.minutes
    )
    read_minutes = [minute for read in reads for minute in range(read.start, read.end)]
    assert len(read_minutes) == len(set(read_minutes)) <= length * len(minutes)


@given(minute=st.integers(0, 2**31), metric=st.sampled_from(["error_count", "signup_count"]))
def test_one_touched_minute_reads_65_or_75_buckets(minute: int, metric: MetricName) -> None:
    (read,) = ranges({_series(metric): [minute]}, LENGTHS[metric])
    assert read.end - read.start == LENGTHS[metric]


def test_each_series_is_read_alone() -> None:
    one, other = _series(), _series(fingerprint="OTHER|/checkout|prod")
    reads = list(ranges({one: {AT}, other: {AT}}, 65))
    assert reads == [BucketRange(s, AT - 64, AT + 1, (AT,)) for s in (one, other)]


def test_only_errors_and_signups_are_counted() -> None:
    assert series_of(event("error", NOON, error_code="E", route="/r")) == _series(fingerprint="E|/r|prod")
    assert series_of(event("signup", NOON)) == _series("signup_count", "signup|prod")
    assert [series_of(event(kind, NOON)) for kind in ("http_request", "deploy", "feedback", "custom")] == [
        None
    ] * 4


def test_a_minute_begins_with_its_first_millisecond() -> None:
    last = datetime(2026, 3, 1, 12, 0, 59, 999_000, tzinfo=UTC)
    assert minute_of(last) == minute_of(NOON) == minute_of(datetime(2026, 3, 1, 12, 1, tzinfo=UTC)) - 1
    assert instant_of(minute_of(last)) == NOON
