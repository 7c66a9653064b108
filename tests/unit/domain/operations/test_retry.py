"""The wait after a failed attempt, exact and jittered, and when a job is given up."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals.domain.operations.retry import (
    BACKOFF_CAP,
    RETRY_AFTER_CAP,
    JobFailure,
    backoff,
    decide,
    jittered,
)

FLAKY = JobFailure(reason="it answered 503")


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(1, 5), (2, 10), (3, 20), (4, 40), (5, 80), (6, 120), (7, 120), (5000, 120)]
)
def test_backoff_doubles_from_five_seconds_to_the_cap(attempt: int, seconds: int) -> None:
    assert backoff(attempt) == timedelta(seconds=seconds)


@given(chance=st.floats(0, 1, exclude_max=True), attempt=st.integers(1, 100))
def test_jitter_spreads_the_wait_over_the_whole_backoff(chance: float, attempt: int) -> None:
    assert timedelta() <= jittered(backoff(attempt), chance) <= backoff(attempt) <= BACKOFF_CAP
    assert jittered(backoff(attempt), 0.0) == backoff(attempt)


def test_third_failure_is_final() -> None:
    decisions = [decide(FLAKY, attempt_count=n, max_attempts=3, chance=0.0) for n in range(3)]
    assert [decision.attempt_count for decision in decisions] == [1, 2, 3]
    assert [decision.delay for decision in decisions] == [timedelta(seconds=5), timedelta(seconds=10), None]


def test_permanent_failure_is_final_at_once() -> None:
    refused = JobFailure(reason="set GRADIENT_API_KEY", permanent=True)
    decision = decide(refused, attempt_count=0, max_attempts=3, chance=0.0)
    assert (decision.attempt_count, decision.delay) == (1, None)


@pytest.mark.parametrize(
    ("retry_after_s", "expected_s"), [(None, 5), (2, 5), (30, 30), (86_400, RETRY_AFTER_CAP.total_seconds())]
)
def test_retry_after_is_a_bounded_lower_bound(retry_after_s: int | None, expected_s: float) -> None:
    wait = None if retry_after_s is None else timedelta(seconds=retry_after_s)
    busy = JobFailure(reason="it answered 429", retry_after=wait)
    decision = decide(busy, attempt_count=0, max_attempts=3, chance=0.0)
    assert decision.delay == timedelta(seconds=expected_s)
