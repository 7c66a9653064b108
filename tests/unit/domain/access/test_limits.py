"""A limit of requests per minute as a token bucket, and leases of a quota."""

from hypothesis import given
from hypothesis import strategies as st

from signals.domain.access.limits import RateLimit


@given(per_minute=st.integers(1, 100_000))
def test_no_minute_admits_more_requests_than_the_limit(per_minute: int) -> None:
    limit = RateLimit(per_minute=per_minute)
    just_below_a_minute_s = 60 - 1e-3
    assert limit.burst + limit.refill_per_s * just_below_a_minute_s < per_minute + 1


@given(per_minute=st.integers(1, 100_000))
def test_every_limit_lets_requests_through(per_minute: int) -> None:
    limit = RateLimit(per_minute=per_minute)
    assert limit.burst >= 1
    assert limit.refill_per_s > 0
