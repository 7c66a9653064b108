"""Remembers the ids of the partitions' newest events, so that a repeated event is counted once."""

from collections import defaultdict, deque
from collections.abc import Collection, Set
from dataclasses import dataclass
from typing import Final
from uuid import UUID

WINDOW_MS: Final = 15 * 60_000  # a client's retries end long before
MAX_RECORDS: Final = 200_000  # of a partition; bounds memory and the re-reading after a restart


def recent_key(project_id: str, event_id: UUID) -> bytes:
    """Return what stands for an event here: a project cannot hide events of another by using their ids."""
    return event_id.int.to_bytes(16) + recent_key_end(project_id)


def recent_key_end(project_id: str) -> bytes:
    """Return what follows the id's bytes in a `recent_key`."""
    return project_id.encode()


def id_of_key(key: bytes) -> UUID:
    """Return the event's id of a `recent_key`."""
    return UUID(int=int.from_bytes(key[:16]))


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Ids that came together; they leave together, when the newest of them is out of the window."""

    keys: Collection[bytes]
    last_offset: int
    newest_ms: int


class RecentIds:
    """A window over each partition, bounded in record time and in offsets; an id is known to all of them.

    They hold nothing that the log does not: re-reading the partitions' tails rebuilds them.
    """

    def __init__(self) -> None:
        self._keys: set[bytes] = set()
        self._windows: defaultdict[int, deque[_Chunk]] = defaultdict(deque)

    @property
    def keys(self) -> Set[bytes]:
        """The `recent_key` of every known event, as it is now."""
        return self._keys

    def __contains__(self, key: bytes) -> bool:
        return key in self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, partition: int, keys: Collection[bytes], last_offset: int, newest_ms: int) -> None:
        """Remember the `recent_key` of events that were not known, and forget what has left the window.

        They lie in `partition` at or before `last_offset`, and the newest record is of `newest_ms`.
        """
        self._keys.update(keys)
        window = self._windows[partition]
        window.append(_Chunk(keys, last_offset, newest_ms))
        while (
            window[0].last_offset <= last_offset - MAX_RECORDS or window[0].newest_ms <= newest_ms - WINDOW_MS
        ):
            self._keys.difference_update(window.popleft().keys)

    def forget(self, partition: int) -> None:
        """Drop the window of a partition that now belongs to another consumer."""
        for chunk in self._windows.pop(partition, ()):
            self._keys.difference_update(chunk.keys)
