"""Tells a slow Kafka from one that is away, by how long nothing has been acknowledged."""

from dataclasses import dataclass
from typing import Final

STALLED_S: Final = 1.0  # guess: a slow broker answers something within it
REMEMBERED_S: Final = 30.0  # guess: a machine that starves does so for minutes
LONGEST_TOLERATED_S: Final = 4.0  # most HTTP clients wait 5 s or longer; a record waits 5 s
TOLERANCE: Final = 3.0  # guess: silences of one overload differ by as much


@dataclass(slots=True)
class InFlightRecords:
    """Records that wait for the brokers, and since when these are silent; instants are monotonic seconds.

    Once away, one call at a time is let through as a probe until a record is acknowledged again: what
    waits in memory while the brokers are gone is what came within the first second, and a probe.
    """

    records: int = 0
    away: bool = False
    _silent_since: float = 0.0
    _slowest_s: float = 0.0
    _slowest_at: float = 0.0

    def admits(self, now: float) -> bool:
        """Whether more may be queued."""
        self.away = self.away or self.silent_s(now) > max(STALLED_S, self.tolerated_s(now))
        return not (self.away and self.records)

    def silent_s(self, now: float) -> float:
        """How long records have been waiting without any acknowledgement; 0 when none waits."""
        return now - self._silent_since if self.records else 0.0

    def tolerated_s(self, now: float) -> float:
        """How long a silence means nothing, by the longest one that ended lately; 0 after quick times."""
        is_recent = now - self._slowest_at <= REMEMBERED_S
        return min(TOLERANCE * self._slowest_s, LONGEST_TOLERATED_S) if is_recent else 0.0

    def queued(self, count: int, now: float) -> None:
        """Note that `count` records were handed to the producer."""
        if not self.records:
            self._silent_since = now
        self.records += count

    def acknowledged(self, now: float) -> None:
        """Note that the brokers have one record more."""
        silence_s = self.silent_s(now)
        if silence_s >= self._slowest_s or now - self._slowest_at > REMEMBERED_S:
            self._slowest_s, self._slowest_at = silence_s, now
        self.records -= 1
        self.away, self._silent_since = False, now

    def failed(self) -> None:
        """Note that one record was given up."""
        self.records -= 1
