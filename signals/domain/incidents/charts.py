"""The minutes that an incident's chart shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from signals.domain.detection.buckets import BucketRange, Series, instant_of, minute_of
from signals.domain.detection.counts import MINUTES_READ

BEFORE_MINUTES: Final = MINUTES_READ  # so that the baseline can be seen
MINUTE: Final = timedelta(minutes=1)
MAX_MINUTES: Final = 180  # guess: what fits a screen; a longer outage shows its beginning


@dataclass(frozen=True, slots=True, kw_only=True)
class MinuteCount:
    """Events in the minute that starts at `at`."""

    at: datetime
    count: int


def chart_range(series: Series, opened_at: datetime, last_seen_at: datetime) -> BucketRange:
    """Return the minutes to show: some history, then the incident as far as it was seen."""
    start = minute_of(opened_at) - BEFORE_MINUTES
    end = minute_of(max(last_seen_at, opened_at)) + 1
    return BucketRange(series, start, min(end, start + MAX_MINUTES), ())


def fill(counts: Mapping[int, int], shown: BucketRange) -> list[MinuteCount]:
    """Return every minute of the range; minutes without a bucket are zero."""
    at, minutes = instant_of(shown.start), list[MinuteCount]()
    for minute in range(shown.start, shown.end):
        minutes.append(MinuteCount(at=at, count=counts.get(minute, 0)))
        at += MINUTE  # measured: half the time of making each instant from its number
    return minutes
