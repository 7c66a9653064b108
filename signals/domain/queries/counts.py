"""Counts beside a list."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class UnresolvedCounts:
    """How many of what a list is narrowed to are open, and how many are being investigated."""

    open: int
    investigating: int
