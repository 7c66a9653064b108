"""Until when a partition is complete: everything appended before that instant has been handled."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Barrier:
    """Where a partition's log ended at an instant: what was appended before it lies below `log_end`."""

    noted_at: datetime
    log_end: int


class Barriers:
    """The barriers of one consumer's partitions that its offsets have not reached yet."""

    def __init__(self) -> None:
        self._pending: dict[int, Barrier] = {}

    def note(self, noted_at: datetime, log_ends: Mapping[int, int]) -> None:
        """Raise a barrier for each partition that has none; an older one must be reached first."""
        for partition, log_end in log_ends.items():
            self._pending.setdefault(partition, Barrier(noted_at=noted_at, log_end=log_end))

    def take_reached(self, next_offsets: Mapping[int, int]) -> dict[int, Barrier]:
        """Remove and return the barriers that these offsets have reached, by partition."""
        reached = {
            partition: barrier
            for partition, barrier in sorted(self._pending.items())
            if next_offsets.get(partition, -1) >= barrier.log_end
        }
        self.forget(reached)
        return reached

    def forget(self, partitions: Collection[int]) -> None:
        """Drop the barriers of partitions that now belong to another consumer."""
        for partition in partitions:
            self._pending.pop(partition, None)
