"""Remembers the ids of a partition's newest events, so that a repeated event is counted once."""

from collections import OrderedDict
from typing import Final

WINDOW_MS: Final = 15 * 60_000  # a client's retries end long before
MAX_RECORDS: Final = 200_000  # of the partition; bounds memory and the re-reading after a restart


class RecentIds:
    """A window over one partition, bounded in record time and in offsets.

    It holds nothing that the log does not: re-reading the partition's tail rebuilds it.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, tuple[int, int]] = OrderedDict()

    def __contains__(self, event_id: bytes) -> bool:
        return event_id in self._seen

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, event_id: bytes, offset: int, timestamp_ms: int) -> None:
        """Remember an event id (16 bytes) of a record, and forget what has left the window."""
        self._seen.setdefault(event_id, (offset, timestamp_ms))
        while self._seen:
            oldest_offset, oldest_ms = next(iter(self._seen.values()))
            if oldest_offset > offset - MAX_RECORDS and oldest_ms > timestamp_ms - WINDOW_MS:
                return
            self._seen.popitem(last=False)
