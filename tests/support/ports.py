"""Free ports of a parallel run: no two workers share any, and no worker gets one twice.

A test may listen on a port only a while after `free_port` gave it; until then it would be given again.
"""

from collections.abc import Mapping
from random import Random
from typing import Any


class OwnOffsets:
    """Stands in for `secrets` in `signals.local.processes.ports`: chance without repetition."""

    def __init__(self, place: int = 0, workers: int = 1) -> None:
        self._place = place
        self._workers = workers
        self._left: list[int] = []

    @classmethod
    def of(cls, worker: Mapping[str, Any] | None) -> "OwnOffsets":
        """Return those of one of pytest-xdist's workers, from its `workerinput`; all when there is none."""
        if worker is None:
            return cls()
        count = int(worker["workercount"])
        return cls(int(worker["workerid"].removeprefix("gw")) % count, count)

    def randbelow(self, below: int) -> int:
        """Return an own number that was not returned before; after all of them they come again."""
        if not self._left:
            self._left = list(range(self._place, below, self._workers))
            Random().shuffle(self._left)
        return self._left.pop()
