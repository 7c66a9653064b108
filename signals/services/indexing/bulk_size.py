"""How many documents one bulk holds: as many as OpenSearch answers for in good time."""

import threading
from typing import Final

FIRST: Final = 500  # two quick answers later it is all of a batch
SMALLEST: Final = 50  # guess: below this a request costs more than its documents
LARGEST: Final = 4_000
QUICK_S: Final = 2.5  # guess: room for a bulk of twice the size
SLOW_S: Final = 10.0  # guess: a sixth of the time-out of a bulk


class BulkSize:
    """The present size; several writers share it. It halves on slow answers and doubles on quick ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._documents = FIRST

    @property
    def documents(self) -> int:
        """The most documents of the next bulk."""
        return self._documents

    def answered(self, documents: int, seconds: float) -> None:
        """Learn from an answer; only a full bulk shows that a larger one would do."""
        if seconds > SLOW_S:
            self.timed_out(documents)
        elif seconds < QUICK_S and documents >= self._documents:
            self._set(2 * documents)

    def timed_out(self, documents: int) -> None:
        """Halve the size of a bulk that was answered late or never."""
        if documents <= self._documents:  # a larger one was sent before the size was last halved
            self._set(documents // 2)

    def _set(self, documents: int) -> None:
        with self._lock:
            self._documents = min(LARGEST, max(SMALLEST, documents))
