"""Token buckets, and the limits of an API key: a rate and a daily quota, which replicas share by leases.

The rate of a key is a token bucket that holds one second's worth. A lease may overdraw it: a batch is never
refused for its size, and the next one waits until the debt is paid. So any T seconds see at most
rate * (T + 1) events, one batch, and a lease a replica. The quota is never exceeded.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal, Self

BURST_SHARE: Final = 10  # guess: a tenth of a minute's requests may start at once
RATE_LEASE_S: Final = 0.1  # guess: so a replica leases ten times a second at most
QUOTA_LEASE_PARTS: Final = 100  # guess: a replica that is killed loses at most this part of a day's quota
FINAL_LEASE_PARTS: Final = 4  # leases shrink near the end, so that several replicas can use the last events
DEGRADED_PARTS: Final = 10  # guess: a replica may accept this part of the quota while PostgreSQL is away

LimitName = Literal["events_per_second", "events_per_day"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBucket:
    """Holds up to `burst` tokens and gains `refill_per_s` each second."""

    burst: float
    refill_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """At most `per_minute` requests in any half-open minute, a full bucket included.

    A window of T < 60 s sees fewer than burst + refill_per_s * T < per_minute + 1 requests.
    """

    per_minute: int

    @property
    def burst(self) -> int:
        """Tokens of a full bucket."""
        return max(1, self.per_minute // BURST_SHARE)

    @property
    def refill_per_s(self) -> float:
        """Tokens that come back each second."""
        return (self.per_minute - self.burst + 1) / 60

    @property
    def bucket(self) -> TokenBucket:
        """The bucket itself."""
        return TokenBucket(burst=self.burst, refill_per_s=self.refill_per_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLimits:
    """Limits of one key; 0 is none."""

    events_per_second: int = 0
    events_per_day: int = 0

    def __bool__(self) -> bool:
        return bool(self.events_per_second or self.events_per_day)

    def overridden(self, events_per_second: int | None, events_per_day: int | None) -> Self:
        """Return these limits where a key has none of its own."""
        return replace(
            self,
            events_per_second=self.events_per_second if events_per_second is None else events_per_second,
            events_per_day=self.events_per_day if events_per_day is None else events_per_day,
        )

    @property
    def bucket(self) -> TokenBucket:
        """The rate as a token bucket."""
        return TokenBucket(burst=self.events_per_second, refill_per_s=self.events_per_second)

    @property
    def rate_lease(self) -> int:
        """The fewest tokens of the rate that are leased at once; the bucket leases when it holds them."""
        return max(1, int(self.events_per_second * RATE_LEASE_S))


NO_LIMITS: Final = KeyLimits()
PUBLIC_LIMITS: Final = KeyLimits(events_per_second=50, events_per_day=1_000_000)
"""Limits of a public key that has none of its own; a guess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exceeded:
    """The limit that refuses, what it allows, and in how many seconds it will accept."""

    limit: LimitName
    allowed: int
    retry_after_s: float


def quota_lease(quota: int, used: int, needed: int) -> int:
    """Return how many events of the day to lease when `needed` are wanted; 0 when fewer remain."""
    remaining = quota - used
    if needed > remaining:
        return 0
    return max(needed, min(quota // QUOTA_LEASE_PARTS, remaining // FINAL_LEASE_PARTS))
