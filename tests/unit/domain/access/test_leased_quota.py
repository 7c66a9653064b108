"""The states of a leased quota: leased, short, closed, exhausted, degraded."""

from datetime import UTC, datetime, timedelta

import pytest

from signals.domain.access.leased_quota import LeasedQuota, Now
from signals.domain.access.limits import DEGRADED_PARTS, Exceeded, KeyLimits, quota_lease

RATE = KeyLimits(events_per_second=100)
QUOTA = KeyLimits(events_per_day=1_000)


def now(s: float = 0.0) -> Now:
    return Now(monotonic_s=s, at=datetime(2026, 3, 1, 23, 59, tzinfo=UTC) + timedelta(seconds=s))


def with_lease(limits: KeyLimits, count: int, *, quota: int = 0, used: int = 0) -> LeasedQuota:
    """Return a quota that has leased tokens for `count` events, and spent none."""
    leased = LeasedQuota(limits)
    assert leased.reserve(count, now()) == "short"
    leased.add_lease(leased.lease_request(now()), quota, used, now())
    return leased


def test_a_short_reservation_asks_for_the_largest_missed_count() -> None:
    leased = LeasedQuota(KeyLimits(events_per_second=100, events_per_day=1_000))
    assert [leased.reserve(count, now()) for count in (5, 40, 7)] == ["short"] * 3
    request = leased.lease_request(now())
    assert (request.rate, request.quota, request.unreported) == (40, 40, 0)
    assert leased.lease_request(now()).rate == 0, "the misses are answered once"


def test_a_lease_of_the_rate_has_a_least_size() -> None:
    leased = LeasedQuota(RATE)
    leased.reserve(1, now())
    assert leased.lease_request(now()).rate == RATE.rate_lease == 10


def test_leased_tokens_are_reserved_until_they_are_spent_and_refunds_return_them() -> None:
    leased = with_lease(RATE, 10)
    assert [leased.reserve(6, now()), leased.reserve(6, now())] == ["reserved", "short"]
    leased.refund(2)
    assert leased.reserve(6, now()) == "reserved"


def test_a_closed_rate_refuses_beyond_the_leased_tokens() -> None:
    leased = with_lease(RATE, 10)
    leased.close_for(2.0, now())
    assert leased.reserve(10, now(0.5)) == "reserved"
    refused = Exceeded(limit="events_per_second", allowed=100, retry_after_s=1.5)
    assert leased.reserve(1, now(0.5)) == leased.rate_refusal(now(0.5)) == refused
    assert leased.reserve(1, now(2.0)) == "short"


def test_an_exhausted_quota_refuses_until_midnight() -> None:
    leased = with_lease(QUOTA, 10, quota=10, used=995)
    assert leased.reserve(16, now(1)) == Exceeded(limit="events_per_day", allowed=1_000, retry_after_s=59.0)
    assert leased.reserve(15, now(1)) == "short", "as many may remain"
    assert leased.reserve(10, now(1)) == "reserved"
    assert leased.reserve(6, now(1)) != "short"
    assert leased.reserve(16, now(60)) == "short", "a new day has a new quota"


def test_an_old_count_of_the_day_refuses_nothing() -> None:
    leased = with_lease(QUOTA, 10, quota=10, used=1_000)
    assert isinstance(leased.reserve(11, now(4.9)), Exceeded)
    assert leased.reserve(11, now(5.0)) == "short", "another replica may have refunded meanwhile"


def test_degraded_mode_reserves_a_part_of_the_quota_and_reports_it_with_the_next_lease() -> None:
    leased, part = LeasedQuota(QUOTA), 1_000 // DEGRADED_PARTS
    assert leased.reserve_degraded(part, now()) == "reserved"
    assert leased.reserve_degraded(1, now()) == "short"
    request = leased.lease_request(now())
    assert request.unreported == part
    leased.add_lease(request, 5, part + 5, now())
    assert leased.settle(now()) == -5, "reported, and five tokens were not spent"


def test_degraded_mode_paces_the_rate() -> None:
    leased = LeasedQuota(RATE)
    assert leased.reserve_degraded(50, now()) == "reserved"
    assert isinstance(leased.reserve_degraded(1, now(0.4)), Exceeded)
    assert leased.reserve_degraded(1, now(0.5)) == "reserved"


@pytest.mark.parametrize(("refund", "correction"), [(0, 30), (30, 0)])
def test_a_settlement_reports_degraded_events_once(refund: int, correction: int) -> None:
    leased = LeasedQuota(QUOTA)
    leased.reserve_degraded(30, now())
    leased.refund(refund)
    assert [leased.settle(now()), leased.settle(now())] == [correction, 0]
    leased.report_later(correction)
    assert leased.settle(now()) == correction


def test_a_lease_of_yesterday_gives_no_quota_today() -> None:
    leased = LeasedQuota(QUOTA)
    leased.reserve(10, now())
    request = leased.lease_request(now())
    assert leased.reserve(1, now(60)) == "short"
    leased.add_lease(request, 10, 10, now(60))
    assert leased.reserve(1, now(60)) == "short"


@pytest.mark.parametrize(
    ("used", "needed", "leased"),
    [(0, 1, 10), (0, 50, 50), (980, 1, 5), (998, 1, 1), (998, 2, 2), (998, 3, 0), (1_000, 1, 0)],
)
def test_leases_shrink_near_the_end_of_a_quota(used: int, needed: int, leased: int) -> None:
    assert quota_lease(1_000, used, needed) == leased
