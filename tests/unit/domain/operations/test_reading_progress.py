"""A stage is late behind old records, and stands still when its offset does not move either."""

from datetime import UTC, datetime, timedelta

import pytest

from signals.domain.operations.reading_progress import LATE_AFTER, ReadingProgress, reading_progress

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=2)


@pytest.mark.parametrize(
    ("next_offset", "old_until", "touched_at", "expected"),
    [
        pytest.param(10, 10, LONG_AGO, "well", id="only young records wait"),
        pytest.param(0, 0, None, "well", id="an empty partition that nobody has read"),
        pytest.param(9, 10, NOW - LATE_AFTER, "late", id="an old record waits, and the offset moves"),
        pytest.param(9, 10, LONG_AGO, "standing", id="an old record waits, and the offset does not move"),
        pytest.param(0, 10, None, "standing", id="no consumer has ever had the partition"),
    ],
)
def test_progress_follows_the_oldest_waiting_record(
    next_offset: int, old_until: int, touched_at: datetime | None, expected: ReadingProgress
) -> None:
    found = reading_progress(next_offset=next_offset, old_until=old_until, touched_at=touched_at, now=NOW)
    assert found == expected
