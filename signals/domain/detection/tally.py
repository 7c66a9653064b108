"""Totals of one batch of events, and how the rules judge them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from signals.domain.detection.buckets import BucketRange, Series
from signals.domain.detection.builtin_rules import RULE_OF_METRIC, Evaluation
from signals.domain.events.sightings import Sighting, instant_of_ms
from signals.domain.incidents.representatives import KEPT_PER_MINUTE

SeriesMinute = tuple[Series, int]
"""A series and minutes since the epoch: one bucket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """All evaluations of one series, oldest first, and the newest instant of each evaluated minute."""

    series: Series
    evaluations: Sequence[Evaluation]
    seen_at: Mapping[int, datetime]


class Bucket:
    """A batch's addition to one bucket: how many events, the newest instant, a few records for all."""

    __slots__ = ("count", "kept", "newest_ms")

    def __init__(self) -> None:
        self.count = 0
        self.newest_ms = 0
        self.kept: list[bytes] = []


class BatchTally:
    """Counts the events of one batch by bucket."""

    def __init__(self) -> None:
        self.buckets: dict[SeriesMinute, Bucket] = {}

    def add(self, series: Series, sighting: Sighting, data: bytes) -> None:
        """Count one event of a series; `data` is its record."""
        key = (series, sighting.minute)
        bucket = self.buckets.get(key)
        if bucket is None:
            bucket = self.buckets[key] = Bucket()
        bucket.count += 1
        if sighting.occurred_ms > bucket.newest_ms:
            bucket.newest_ms = sighting.occurred_ms
        if len(bucket.kept) < KEPT_PER_MINUTE:
            bucket.kept.append(data)

    def counts(self) -> dict[SeriesMinute, int]:
        """Return the events of each bucket."""
        return {key: bucket.count for key, bucket in self.buckets.items()}

    def records(self) -> dict[SeriesMinute, list[bytes]]:
        """Return the records that may represent each bucket."""
        return {key: bucket.kept for key, bucket in self.buckets.items()}

    def touched(self) -> dict[Series, set[int]]:
        """Return the minutes of each series that got events."""
        minutes: defaultdict[Series, set[int]] = defaultdict(set)
        for series, minute in self.buckets:
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
                seen_at={e.minute: instant_of_ms(self.buckets[series, e.minute].newest_ms) for e in judged},
            )
            for series, judged in evaluations.items()
        ]

    def _evaluate(self, read: BucketRange, counts: Mapping[int, int]) -> list[Evaluation]:
        """Judge each touched minute once: counts only grow within a minute.

        For events in order the verdict is that of judging after each event: a rule that fires on many
        events fires at the batch's last one if at all, a rule that fires on few at its first.
        """
        rule = RULE_OF_METRIC[read.series.metric_name]
        if rule.direction == "up":
            return [rule.evaluate(counts, minute) for minute in read.minutes]
        return [
            rule.evaluate(counts, minute, without=self.buckets[read.series, minute].count - 1)
            for minute in read.minutes
        ]
