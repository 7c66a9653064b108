"""Totals of one batch of events by series and minute."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from signals.clients.kafka.consumer import Record
from signals.domain.detection.buckets import Series
from signals.domain.events.sightings import Sighting, instant_of_ms
from signals.domain.incidents.representatives import KEPT_PER_MINUTE

SeriesMinute = tuple[Series, int]
"""A series and minutes since the epoch: one bucket."""


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
        self.partitions: dict[Series, int] = {}
        self._received: dict[Series, int] = {}

    def add_all(self, sightings: Iterable[Sighting], records: Iterable[Record], partition: int) -> None:
        """Count events of one partition; those without a series are left out."""
        buckets = self.buckets
        for sighting, record in zip(sightings, records, strict=True):
            series = sighting.series
            if series is None:
                continue
            key = (series, sighting.minute)
            bucket = buckets.get(key)
            if bucket is None:
                bucket = buckets[key] = Bucket()
                self.partitions[series] = partition
                self._received.setdefault(series, sighting.received_minute)
            bucket.count += 1
            if sighting.occurred_ms > bucket.newest_ms:
                bucket.newest_ms = sighting.occurred_ms
            if bucket.count <= KEPT_PER_MINUTE:
                bucket.kept.append(record.value)

    def received_hour(self, series: Series) -> int:
        """Return the hour since the epoch in which the series' first event of the batch was received."""
        return self._received[series] // 60

    def fold(self, into: Mapping[Series, Series]) -> None:
        """Let other series count the events of some."""
        for series, minute in [key for key in self.buckets if key[0] in into]:
            moved = self.buckets.pop((series, minute))
            bucket = self.buckets.setdefault((into[series], minute), moved)
            if bucket is not moved:
                bucket.count += moved.count
                bucket.newest_ms = max(bucket.newest_ms, moved.newest_ms)
                bucket.kept = [*bucket.kept, *moved.kept][:KEPT_PER_MINUTE]
        for series, other in into.items():
            self.partitions[other] = self.partitions.pop(series)
            self._received.setdefault(other, self._received.pop(series))

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

    def seen_at(self, series: Series, minutes: Iterable[int]) -> dict[int, datetime]:
        """Return the newest event time of each of a series' minutes in the batch."""
        return {minute: instant_of_ms(self.buckets[series, minute].newest_ms) for minute in minutes}
