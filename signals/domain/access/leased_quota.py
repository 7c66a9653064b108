"""Tokens that one replica has leased from the shared limits of one key, to accept events without a query.

The rate and the day's quota are each in one of these states; the stricter one decides.

| state | when | `reserve` | leaves the state by |
|---|---|---|---|
| leased | the leased tokens cover the count | takes the tokens | spending them |
| short | they do not, and nothing is known against a lease | asks for a lease | `add_lease`, `close_for` |
| closed (rate) | the shared bucket cannot lease yet | refuses what leased tokens do not cover | time |
| exhausted (quota) | fewer events remain of the day than the count | refuses until midnight | a new day |
| degraded | PostgreSQL does not answer | see `reserve_degraded` | the next lease, which reports |
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal

from signals.domain.access.limits import DEGRADED_PARTS, Exceeded, KeyLimits

REMAINING_VALID_S: Final = 5.0  # guess: so late the refund of another replica is noticed

Reservation = Literal["reserved", "short"]
"""Whether all of the events were reserved, or too few tokens are leased for an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """The present on both clocks: seconds that never run backwards, and the calendar."""

    monotonic_s: float
    at: datetime

    @property
    def today(self) -> date:
        """The UTC day."""
        return self.at.date()

    @property
    def until_midnight_s(self) -> float:
        """Seconds until the next UTC day begins."""
        midnight = datetime.combine(self.today + timedelta(days=1), time(), UTC)
        return (midnight - self.at).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRequest:
    """The tokens to lease of the rate and of the day's quota, and the events to report beside them."""

    limits: KeyLimits
    rate: int
    day: date
    quota: int
    unreported: int


@dataclass(slots=True)
class _DayLease:
    """One UTC day's quota: tokens leased and not spent, and what is known of the shared count.

    `unreported` events were accepted in degraded mode: the shared count lacks them. `remaining` is the
    quota less that count when it was read last; the figure holds until `remaining_until_s` (monotonic).
    """

    day: date = date.min
    tokens: int = 0
    unreported: int = 0
    remaining: int = 0
    remaining_until_s: float = 0.0


@dataclass(slots=True)
class LeasedQuota:
    """The leased tokens of one key; they are reserved before Kafka is asked, and refunded if it refuses."""

    limits: KeyLimits
    used_at_s: float = 0.0
    rate_tokens: int = 0
    _closed_until_s: float = 0.0
    _missed: int = 0
    """The largest count since the last lease for which tokens were short."""
    _today: _DayLease = field(default_factory=_DayLease)

    def reserve(self, count: int, now: Now) -> Exceeded | Reservation:
        """Reserve `count` events, all or none."""
        self.used_at_s = now.monotonic_s
        self._start_day(now)
        refusal = self.rate_refusal(now) if self.rate_tokens < count else None
        if refusal or (refusal := self._quota_refusal(count, now)):
            return refusal
        if (self.limits.events_per_second and self.rate_tokens < count) or (
            self.limits.events_per_day and self._today.tokens < count
        ):
            self._missed = max(self._missed, count)
            return "short"
        self._spend(count)
        return "reserved"

    def reserve_degraded(self, count: int, now: Now) -> Exceeded | Reservation:
        """Reserve without a lease: at the rate, and up to a tenth of the quota; `short` beyond that."""
        reserved = self.reserve(count, now)
        if reserved != "short":
            return reserved
        if beyond := max(0, count - self._today.tokens) if self.limits.events_per_day else 0:
            if self._today.unreported + beyond > self.limits.events_per_day // DEGRADED_PARTS:
                return "short"
            self._today.unreported += beyond
            self._today.tokens += beyond
        if self.limits.events_per_second and self.rate_tokens < count:
            paced = max(count - self.rate_tokens, self.limits.rate_lease)
            self.rate_tokens += paced
            self.close_for(paced / self.limits.events_per_second, now)
        self._spend(count)
        return "reserved"

    def refund(self, count: int) -> None:
        """Return the tokens of events that were reserved and not accepted in the end."""
        self._spend(-count)

    def rate_refusal(self, now: Now) -> Exceeded | None:
        """Return the refusal of every event that leased tokens of the rate do not cover."""
        wait_s = self._closed_until_s - now.monotonic_s
        if not self.limits.events_per_second or wait_s <= 0:
            return None
        allowed = self.limits.events_per_second
        return Exceeded(limit="events_per_second", allowed=allowed, retry_after_s=wait_s)

    def lease_request(self, now: Now) -> LeaseRequest:
        """Return the lease that would satisfy the waiting requests."""
        self._start_day(now)
        missed, self._missed = self._missed, 0
        lacks_rate = self.limits.events_per_second and self.rate_tokens < missed
        return LeaseRequest(
            limits=self.limits,
            rate=max(missed - self.rate_tokens, self.limits.rate_lease) if lacks_rate else 0,
            day=self._today.day,
            quota=max(0, missed - self._today.tokens) if self.limits.events_per_day else 0,
            unreported=self._today.unreported,
        )

    def add_lease(self, request: LeaseRequest, quota: int, used: int, now: Now) -> None:
        """Add the tokens of a lease; `used` is the day's shared count after it."""
        self.rate_tokens += request.rate
        if request.limits.events_per_day and request.day == self._today.day:
            self._today.unreported -= request.unreported
            self._today.tokens += quota
            self._today.remaining = self.limits.events_per_day - used
            self._today.remaining_until_s = now.monotonic_s + REMAINING_VALID_S

    def close_for(self, wait_s: float, now: Now) -> None:
        """Note that the shared bucket can lease in `wait_s`."""
        self._closed_until_s = now.monotonic_s + wait_s

    def replace_limits(self, limits: KeyLimits) -> None:
        """Continue with other limits; leased tokens stay."""
        self.limits, self._closed_until_s, self._today.remaining_until_s = limits, 0.0, 0.0

    def settle(self, now: Now) -> int:
        """End the day's lease; return the correction of its shared count.

        Positive: events that were not reported. Negative: tokens that were not spent.
        """
        self._start_day(now)
        correction = self._today.unreported - self._today.tokens
        self._today.unreported = self._today.tokens = 0
        return correction

    def report_later(self, events: int) -> None:
        """Keep events that a failed settlement did not report for the next lease."""
        self._today.unreported += events

    def _quota_refusal(self, count: int, now: Now) -> Exceeded | None:
        is_stale = now.monotonic_s >= self._today.remaining_until_s
        if not self.limits.events_per_day or is_stale or count <= self._today.tokens + self._today.remaining:
            return None
        allowed, wait_s = self.limits.events_per_day, now.until_midnight_s
        return Exceeded(limit="events_per_day", allowed=allowed, retry_after_s=wait_s)

    def _spend(self, count: int) -> None:
        if self.limits.events_per_second:
            self.rate_tokens -= count
        if self.limits.events_per_day:
            self._today.tokens -= count

    def _start_day(self, now: Now) -> None:
        """Begin a new day with nothing leased of it."""
        if now.today != self._today.day:
            self._today = _DayLease(day=now.today)
