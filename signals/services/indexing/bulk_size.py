"""How much one bulk holds: as many documents as OpenSearch takes and answers for in good time."""

import threading
from typing import Final

FIRST: Final = 500  # two quick answers later it is all of a batch
SMALLEST: Final = 50  # guess: below this a request costs more than its documents
LARGEST: Final = 2_000  # documents of a whole batch
QUICK_S: Final = 2.5  # guess: room for a bulk of twice the size
LARGEST_BYTES: Final = 4 * 1024 * 1024  # guess: a few hundred typical events are far below
SLOW_S: Final = 10.0  # guess: a sixth of the time-out of a bulk


class BulkSize:
    """The present size; several writers share it. It doubles on quick answers, halves on failures.

    A failure is a late answer, or a refusal of most documents for overload. A bulk that was cut to fit says
    more when it fails: the next holds at most half of its documents. One that held all there was may have
    failed for another reason, so that it only halves the size.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._documents = FIRST
        self._bytes = LARGEST_BYTES

    @property
    def documents(self) -> int:
        """The most documents of the next bulk."""
        return self._documents

    @property
    def bytes(self) -> int:
        """The most bytes of the next bulk, of a single document apart."""
        return self._bytes

    def answered(self, documents: int, seconds: float, *, was_cut: bool) -> None:
        """Learn from an answer; only a full bulk shows that a larger one would do."""
        if seconds > SLOW_S:
            self.failed(documents, was_cut=was_cut)
        elif seconds < QUICK_S and documents >= self._documents:
            self._set(2 * documents)

    def failed(self, documents: int, *, was_cut: bool) -> None:
        """Learn from a bulk that came late or met overload; `was_cut` when more documents waited."""
        if documents <= self._documents:  # a larger one was sent before the size was last halved
            self._set((documents if was_cut else self._documents) // 2)

    def too_large(self, size_bytes: int) -> None:
        """Learn that so many bytes are refused, which is a limit that stays; a new session asks again."""
        with self._lock:
            self._bytes = min(self._bytes, size_bytes // 2)

    def _set(self, documents: int) -> None:
        with self._lock:
            self._documents = min(LARGEST, max(SMALLEST, documents))
