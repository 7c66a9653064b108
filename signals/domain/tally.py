"""What one batch of events adds up to, and how the rules judge it."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared_types import Envelope
from signals.domain.buckets import BucketRange, Series, minute_of
from signals.domain.representatives import KEPT_PER_MINUTE
from signals.domain.rules import Evaluation, error_spike, signup_drop

SeriesMinute = tuple[Series, int]
"""A series and minutes since the epoch: one bucket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """All evaluations of one series, oldest first, and the newest instant of each evaluated minute."""

    series: Series
    evaluations: Sequence[Evaluation]
    seen_at: Mapping[int, datetime]


class Tally:
    """Counts the events of one batch by bucket, and keeps a few of each to represent it."""

    def __init__(self) -> None:
        self.events: Counter[SeriesMinute] = Counter()
        self.kept: defaultdict[SeriesMinute, list[Envelope]] = defaultdict(list)
        self.newest_at: dict[SeriesMinute, datetime] = {}

    def add(self, series: Series, event: Envelope) -> None:
        """Count one event."""
        bucket = (series, minute_of(event.occurred_at))
        self.events[bucket] += 1
        newest = self.newest_at.get(bucket)
        if newest is None or event.occurred_at > newest:
            self.newest_at[bucket] = event.occurred_at
        if len(self.kept[bucket]) < KEPT_PER_MINUTE:
            self.kept[bucket].append(event)

    def touched(self) -> dict[Series, set[int]]:
        """Return the minutes of each series that got events."""
        minutes: defaultdict[Series, set[int]] = defaultdict(set)
        for series, minute in self.events:
            minutes[series].add(minute)
        return dict(minutes)

    def judge(self, reads: Sequence[BucketRange], counts: Sequence[Mapping[int, int]]) -> list[Judged]:
        """Judge each series once, by the buckets of its ranges, oldest first, after this batch.

        A series may have several ranges, and yet all of them belong to its one incident.
        """
        evaluations: defaultdict[Series, list[Evaluation]] = defaultdict(list)
        for read, found in zip(reads, counts, strict=True):
            evaluations[read.series] += self._evaluate(read, found)
        return [
            Judged(
                series=series,
                evaluations=judged,
                seen_at={e.minute: self.newest_at[series, e.minute] for e in judged},
            )
            for series, judged in evaluations.items()
        ]

    def _evaluate(self, read: BucketRange, counts: Mapping[int, int]) -> list[Evaluation]:
        """Judge each touched minute once: counts only grow within a minute.

        For events in order this says what judging after each event would have said.
        """
        if read.series.metric_name == "error_count":
            return [error_spike(counts, minute) for minute in read.minutes]
        return [
            signup_drop(counts, minute, without=self.events[read.series, minute] - 1)
            for minute in read.minutes
        ]
