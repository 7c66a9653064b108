"""Tells a slow Kafka from one that is away, by how long nothing has been acknowledged."""

from dataclasses import dataclass
from typing import Final

STALLED_S: Final = 1.0  # guess: a slow broker answers something within it


@dataclass(slots=True)
class InFlightRecords:
    """Records that wait for the brokers, and since when these are silent; instants are monotonic seconds.

    Once away, one call at a time is let through as a probe until a record is acknowledged again: what
    waits in memory while the brokers are gone is what came within the first second, and a probe.
    """

    records: int = 0
    away: bool = False
    _silent_since: float = 0.0

    def admits(self, now: float) -> bool:
        """Whether more may be queued."""
        self.away = self.away or self.silent_s(now) > STALLED_S
        return not (self.away and self.records)

    def silent_s(self, now: float) -> float:
        """How long records have been waiting without any acknowledgement; 0 when none waits."""
        return now - self._silent_since if self.records else 0.0

    def queued(self, count: int, now: float) -> None:
        """Note that `count` records were handed to the producer."""
        if not self.records:
            self._silent_since = now
        self.records += count

    def acknowledged(self, now: float) -> None:
        """Note that the brokers have one record more."""
        self.records -= 1
        self.away, self._silent_since = False, now

    def failed(self) -> None:
        """Note that one record was given up."""
        self.records -= 1
