"""Decides whether a partition's dead letters are still exceptions, or whether its consumer must stop.

A bad release calls every record broken; without a limit it would empty the topic into the dead letters.
The memory is the offsets of the newest dead letters and nothing else: noting one twice changes nothing,
so a batch that is read again, by whomever, is judged the same.
"""

from bisect import insort
from collections.abc import Mapping, Sequence
from typing import Final

from signals.errors import TooManyDeadLetters

WINDOW: Final = 1_000  # newest offsets of a partition in the window; guess: seconds of a busy one
AT_LEAST: Final = 100  # dead letters before a share means anything; guess
MAX_SHARE: Final = 0.5  # guess: while most records are good, the others are exceptions

Windows = Mapping[int, Sequence[int]]
"""Offsets of the newest dead letters by partition, ascending."""


class DeadLetterLimits:
    """Recent dead letters of one consumer's partitions.

    `max_share` is the share of the newest `WINDOW` offsets that may be dead; 1 never stops.
    """

    def __init__(self, max_share: float) -> None:
        self._max_share = max_share
        self._dead: dict[int, Sequence[int]] = {}

    def remember(self, windows: Windows) -> None:
        """Take over what is stored of partitions gained, and what a settled batch left to store."""
        self._dead |= windows

    def admit(self, dead: Windows) -> Windows:
        """Return the windows to store when `dead` may be dead-lettered; `remember` then keeps them.

        Raises:
            TooManyDeadLetters: when somewhere in the batch most of the newest records were dead.
        """
        return {number: self._extended(number, offsets) for number, offsets in dead.items()}

    def _extended(self, partition: int, offsets: Sequence[int]) -> Sequence[int]:
        window = list(self._dead.get(partition, ()))
        for offset in offsets:
            if offset not in window:
                insort(window, offset)
            window = [known for known in window if known > offset - WINDOW]
            newest = min(WINDOW, offset + 1)
            if len(window) >= AT_LEAST and len(window) > self._max_share * newest:
                raise TooManyDeadLetters(
                    partition, dead=len(window), newest=newest, max_share=self._max_share
                )
        return window
