"""Delays before a retry: the exact bound and the jitter, tested separately."""

from datetime import UTC, datetime
from random import Random

import pytest

from producers.retry import BASE_S, CAP_S, backoff_s, retry_after_s

_NOW = datetime(2025, 12, 27, 10, 0, tzinfo=UTC)


class _Always(Random):
    """A chance that always takes the upper end."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_bound_doubles_and_is_capped() -> None:
    bounds = [backoff_s(attempt, _Always()) for attempt in (1, 2, 3, 7, 1000)]
    assert bounds == [BASE_S, 2 * BASE_S, 4 * BASE_S, CAP_S, CAP_S]


def test_waits_are_spread_between_zero_and_the_bound() -> None:
    waits = [backoff_s(4, Random(seed)) for seed in range(200)]
    assert 0 <= min(waits) < 0.1 * 8 * BASE_S
    assert 0.9 * 8 * BASE_S < max(waits) <= 8 * BASE_S


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("Sat, 27 Dec 2025 10:00:30 GMT", 30.0),
        ("Sat, 27 Dec 2025 10:00:30 -0000", 30.0),
        ("Sat, 27 Dec 2025 09:00:00 GMT", 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
    ],
)
def test_retry_after_is_read_in_both_notations(header: str | None, seconds: float) -> None:
    assert retry_after_s(header, _NOW) == seconds
