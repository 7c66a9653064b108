"""Counts of one series by minute: the only evidence that a rule reads."""

from collections.abc import Mapping, Sequence
from itertools import accumulate, repeat
from operator import sub
from typing import Final, Protocol, Self

MINUTES_READ: Final = 75  # minute buckets that one evaluation may read (as many as Rule B needs)


class MinuteCounts(Protocol):
    """Events a minute. Minutes are whole minutes since the epoch; an absent minute is zero."""

    def between(self, start: int, end: int) -> int:
        """Return the events of the minutes `start <= minute < end`."""

    def windows(self, length: int, first: int, last: int) -> Sequence[int]:
        """Return the events of the windows of so many minutes that end with the minutes `first` to `last`."""


class BucketCounts:
    """Counts from bucket rows, for one evaluation. The mapping is read, not copied."""

    __slots__ = ("_counts",)

    def __init__(self, counts: Mapping[int, int]) -> None:
        self._counts = counts

    def between(self, start: int, end: int) -> int:
        """Return the events of the minutes `start <= minute < end`."""
        counts = self._counts
        return sum(counts.get(minute, 0) for minute in range(start, end))

    def windows(self, length: int, first: int, last: int) -> Sequence[int]:
        """Return the events of the windows of so many minutes that end with the minutes `first` to `last`."""
        return [self.between(end - length, end) for end in range(first + 1, last + 2)]


class PrefixCounts:
    """Counts of a whole range of minutes, for many evaluations: each answer costs two lookups."""

    __slots__ = ("_end", "_start", "_sums")

    def __init__(self, start: int, counts: Sequence[int]) -> None:
        self._start = start
        self._end = start + len(counts)
        self._sums = [0, *accumulate(counts)]

    @classmethod
    def of(cls, counts: Mapping[int, int], start: int, end: int) -> Self:
        """Build it from the counts of the minutes `start <= minute < end`; an absent one is zero."""
        return cls(start, [*map(counts.get, range(start, end), repeat(0))])

    def between(self, start: int, end: int) -> int:
        """Return the events of the minutes `start <= minute < end`."""
        low, high = max(start, self._start), min(end, self._end)
        return self._sums[high - self._start] - self._sums[low - self._start] if low < high else 0

    def windows(self, length: int, first: int, last: int) -> Sequence[int]:
        """Return the events of the windows of so many minutes that end with the minutes `first` to `last`."""
        low, high = first + 1 - length, last + 1
        if low < self._start or high > self._end:
            return [self.between(end - length, end) for end in range(first + 1, last + 2)]
        sums, at = self._sums, low - self._start
        size = last - first + 1
        return [*map(sub, sums[at + length : at + length + size], sums[at : at + size])]
