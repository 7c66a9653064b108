"""Token buckets, and how a limit of requests per minute becomes one."""

from dataclasses import dataclass
from typing import Final

BURST_SHARE: Final = 10  # guess: a tenth of a minute's requests may start at once


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
