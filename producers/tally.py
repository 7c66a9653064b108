"""Counts of one run: accepted, rejected and unsettled events, latencies."""

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

_LATENCIES_KEPT: Final = 20_000  # enough for the 99th percentile; bounds memory on long runs


class Rejection(NamedTuple):
    """Why ingest-api refused an event."""

    code: str
    field: str | None
    message: str


@dataclass(slots=True, kw_only=True)
class SendTally:
    """Counts of events and latencies of requests; grows while the run goes on."""

    sent: int = 0
    """Events handed to HTTP at least once."""
    accepted: int = 0
    rejected: int = 0
    """Events that ingest-api refused by name, with a reason."""
    malformed: int = 0
    """Malformed lines, which were never sent."""
    retries: int = 0
    """Requests repeated."""
    rejections: Counter[Rejection] = field(default_factory=Counter)
    trouble: str | None = None
    """Message of the latest failed attempt, None without one."""
    latencies_s: deque[float] = field(default_factory=lambda: deque(maxlen=_LATENCIES_KEPT))
    began_s: float = field(default_factory=time.monotonic)
    ended_s: float | None = None

    def reject(self, rejection: Rejection, events: int = 1) -> None:
        """Count `events` as refused for one reason."""
        self.rejected += events
        self.rejections[rejection] += events

    @property
    def unsettled(self) -> int:
        """Events without a verdict: still under way, or lost once the run has ended."""
        return self.sent - self.accepted - self.rejected

    @property
    def is_complete(self) -> bool:
        """Whether every event was accepted."""
        return not (self.unsettled or self.rejected or self.malformed)

    @property
    def duration_s(self) -> float:
        """Seconds since the run began, or that it took."""
        return (self.ended_s or time.monotonic()) - self.began_s

    @property
    def rate(self) -> float:
        """Accepted events per second over the whole run."""
        return self.accepted / self.duration_s if self.duration_s > 0 else 0.0

    def latency_ms(self, share: float) -> float | None:
        """Return the request latency that `share` of the latest requests stayed under."""
        ordered = sorted(self.latencies_s)
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 1) if ordered else None
