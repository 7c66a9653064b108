"""What a key may send: a rate and a daily quota, and how replicas share both in leased chunks.

The rate is a token bucket that holds one second's worth. Whoever takes may overdraw it: a batch is never
refused for its size, what follows waits until it is paid for. So any T seconds see at most
rate * (T + 1) events, one batch, and a chunk a replica. The quota is never exceeded.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal, Self

from signals.domain.access.rate_limit import TokenBucket

CHUNK_S: Final = 0.1  # guess: so a replica asks ten times a second at most
QUOTA_PARTS: Final = 100  # guess: a replica that is killed loses at most this part of a day's quota
LEFT_PARTS: Final = 4  # chunks shrink towards the end, so that several replicas can use up the last events
OUTAGE_PARTS: Final = 10  # guess: a replica may accept this part of the quota without being able to ask

LimitName = Literal["events_per_second", "events_per_day"]


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
    def chunk(self) -> int:
        """How many events of the rate are leased at once, at least; the bucket opens when it holds them."""
        return max(1, int(self.events_per_second * CHUNK_S))


NO_LIMITS: Final = KeyLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exceeded:
    """Which limit says no, what it allows, and in how many seconds it will say yes."""

    limit: LimitName
    allowed: int
    retry_after_s: float


def quota_grant(quota: int, used: int, needed: int) -> int:
    """Return how many events of the day to lease when `needed` are wanted; 0 when they are not left."""
    left = quota - used
    if needed > left:
        return 0
    return max(needed, min(quota // QUOTA_PARTS, left // LEFT_PARTS))
