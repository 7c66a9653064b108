"""Remembers the ids of a partition's newest events, so that a repeated event is counted once."""

from collections import OrderedDict
from typing import Final
from uuid import UUID

WINDOW_MS: Final = 15 * 60_000  # a client's retries end long before
MAX_RECORDS: Final = 200_000  # of the partition; bounds memory and the re-reading after a restart


def recent_key(project_id: str, event_id: UUID) -> bytes:
    """Return what stands for an event here: a project cannot hide events of another by using their ids."""
    return event_id.bytes + project_id.encode()


class RecentIds:
    """A window over one partition, bounded in record time and in offsets.

    It holds nothing that the log does not: re-reading the partition's tail rebuilds it.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, tuple[int, int]] = OrderedDict()

    def __contains__(self, key: bytes) -> bool:
        return key in self._seen

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, key: bytes, offset: int, timestamp_ms: int) -> None:
        """Remember the `recent_key` of a record's event, and forget what has left the window."""
        self._seen.setdefault(key, (offset, timestamp_ms))
        while self._seen:
            oldest_offset, oldest_ms = next(iter(self._seen.values()))
            if oldest_offset > offset - MAX_RECORDS and oldest_ms > timestamp_ms - WINDOW_MS:
                return
            self._seen.popitem(last=False)
