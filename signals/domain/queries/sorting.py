"""The orders of lists of incidents and outages: the words, and the position where a page ends."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol, Self
from uuid import UUID

from signals.domain.queries import cursors

ListSort = Literal["opened", "last_seen", "severity"]
"""Newest opening first, last seen first, or most severe first and newest opening among equals."""
RANKS: Final = {"warn": 1, "error": 2, "critical": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class PagePosition:
    """The last row of a page in its order; `rank` is that of its severity, 0 where the order has none."""

    at: datetime
    id: UUID
    rank: int = 0

    def encode(self, *, tied_to: str) -> str:
        """Return the cursor of the next page."""
        return cursors.encode_ranked(self.rank, self.at, self.id, tied_to=tied_to)

    @classmethod
    def decode(cls, cursor: str, *, tied_to: str) -> Self:
        """Read a cursor.

        Raises:
            InvalidQuery: when the cursor is not of ours, or belongs to another question.
        """
        rank, at, row_id = cursors.decode_ranked(cursor, tied_to=tied_to)
        return cls(at=at, id=row_id, rank=rank)


class SortedRow(Protocol):
    """A row that every sort can order."""

    @property
    def id(self) -> UUID:
        """Breaks ties."""

    @property
    def severity(self) -> str:
        """`warn`, `error` or `critical`."""

    @property
    def opened_at(self) -> datetime:
        """When it began."""

    @property
    def last_seen_at(self) -> datetime:
        """Its newest event; a row that is seen again between two pages moves to the first page."""


def position_of(sort: ListSort, row: SortedRow) -> PagePosition:
    """Return the position after a row."""
    at = row.last_seen_at if sort == "last_seen" else row.opened_at
    return PagePosition(at=at, id=row.id, rank=RANKS.get(row.severity, 0) if sort == "severity" else 0)
