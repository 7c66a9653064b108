"""Judges how far a stage has read one partition: well, late, or standing still."""

from datetime import datetime, timedelta
from typing import Final, Literal

LATE_AFTER: Final = timedelta(
    minutes=1
)  # guess: a batch takes seconds, so a record waits that long only behind others

ReadingProgress = Literal["well", "late", "standing"]


def reading_progress(
    *, next_offset: int, old_until: int, touched_at: datetime | None, now: datetime
) -> ReadingProgress:
    """Judge one partition of one stage.

    The records before `old_until` are older than `LATE_AFTER`. `touched_at` is when the offset was last
    written, None when no consumer has ever had the partition. A consumer that works off a backlog is late;
    one whose offset has not moved either stands still.
    """
    if next_offset >= old_until:
        return "well"
    return "late" if touched_at is not None and now - touched_at <= LATE_AFTER else "standing"
