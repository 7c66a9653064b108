"""Decides when an incident is compared: once the index has the counted events, or earlier on nearly all.

Pure: ages and counts come in.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

EARLY_AFTER: Final = timedelta(seconds=2)  # findings are due within 3 s of the opening
AGAIN_AFTER: Final = timedelta(seconds=2)  # guess: a search that failed, or an index that could not refresh
LONGEST: Final = timedelta(seconds=60)  # guess: an index that is further behind is a fault of its own
SEARCHABLE: Final = 0.9  # of the counted events; fewer are said to be a part
NEGLIGIBLE: Final = 0.1  # of the compared events; guess: rates do not turn for so few that are missing


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexProgress:
    """How many records the index lacks of those counted when the job first ran, and the job's age.

    `has_part` when a comparison of a part was stored already.
    """

    missing: int
    age: timedelta
    has_part: bool

    @property
    def is_reached(self) -> bool:
        """Whether the index has all that was counted then."""
        return self.missing == 0

    @property
    def is_over(self) -> bool:
        """Whether the job has waited long enough."""
        return self.age >= LONGEST

    @property
    def is_worth_a_search(self) -> bool:
        """Whether to compare now: while the indexer is behind, once, and not at once."""
        return self.is_reached or self.is_over or (self.age >= EARLY_AFTER and not self.has_part)

    @property
    def pause(self) -> timedelta:
        """How long to wait for the next try; the index may be ready before."""
        return EARLY_AFTER - self.age if self.age < EARLY_AFTER else AGAIN_AFTER

    def is_last(self, *, searchable: float, is_refreshed: bool) -> bool:
        """Whether no further comparison would say more: `searchable` is the share of counted events found."""
        return self.is_over or (self.is_reached and is_refreshed and searchable >= SEARCHABLE)

    def is_sound(self, events: int) -> bool:
        """Whether a comparison of so many events may be told: the missing ones could not turn it."""
        return self.missing <= NEGLIGIBLE * events
