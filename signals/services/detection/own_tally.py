"""Totals of one batch of events by series of own rules and minute."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from signals.domain.detection.buckets import Series
from signals.domain.detection.own_rules import OwnRule
from signals.domain.detection.rule_index import RuleHit
from signals.domain.events.sightings import Sighting, instant_of_ms
from signals.domain.incidents.representatives import PER_MINUTE

MOST_SAMPLES: Final = 4_096  # minutes of series whose records are kept: some 12 MB of usual events


@dataclass(slots=True)
class OwnCount:
    """A batch's addition to one minute of a series: its events, of a rate's denominator, some records."""

    value: int = 0
    whole: int = 0
    newest_ms: int = 0
    kept: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class OwnSeriesCounts:
    """A batch's events of one series by minute, and the partition of the first of them."""

    own: OwnRule
    partition: int
    minutes: dict[int, OwnCount] = field(default_factory=dict)


class OwnTally:
    """Counts the events of one batch by series, in the order in which series come first."""

    def __init__(self) -> None:
        self.series: dict[Series, OwnSeriesCounts] = {}

    def add(self, hit: RuleHit, sighting: Sighting, data: bytes, partition: int) -> None:
        """Count one event in a series; `data` is its record in the partition."""
        counts = self.series.get(hit.series)
        if counts is None:
            counts = self.series[hit.series] = OwnSeriesCounts(hit.own, partition)
        count = counts.minutes.get(sighting.minute)
        if count is None:
            count = counts.minutes[sighting.minute] = OwnCount()
        count.whole += hit.is_whole
        if not hit.is_part:
            return
        count.value += 1
        count.newest_ms = max(count.newest_ms, sighting.occurred_ms)
        if len(count.kept) < PER_MINUTE:
            count.kept.append(data)

    def fold(self, series: Series, into: Series) -> None:
        """Count a series' events in another one."""
        counts = self.series.pop(series)
        held = self.series.setdefault(into, OwnSeriesCounts(counts.own, counts.partition))
        for minute, count in counts.minutes.items():
            total = held.minutes.setdefault(minute, OwnCount())
            total.value += count.value
            total.whole += count.whole
            total.newest_ms = max(total.newest_ms, count.newest_ms)
            total.kept = (total.kept + count.kept)[:PER_MINUTE]


class OwnSamples:
    """A few records of the newest minutes, of which the tick chooses those that represent an incident.

    They are lost with the process; an incident without any keeps its rule's numbers.
    """

    def __init__(self, most: int = MOST_SAMPLES) -> None:
        self._most = most
        self._kept: dict[tuple[Series, int], list[bytes]] = {}
        self._newest_ms: dict[tuple[Series, int], int] = {}

    def remember(self, tally: OwnTally) -> None:
        """Keep the records of a batch that was counted."""
        for series, counts in tally.series.items():
            for minute, count in counts.minutes.items():
                if count.kept:
                    key = series, minute
                    self._kept[key] = (self._kept.pop(key, []) + count.kept)[:PER_MINUTE]
                    self._newest_ms[key] = max(count.newest_ms, self._newest_ms.pop(key, 0))
        for key in list(self._kept)[: max(0, len(self._kept) - self._most)]:
            del self._kept[key], self._newest_ms[key]

    def records(self) -> Mapping[tuple[Series, int], list[bytes]]:
        """Return the records by series and minute."""
        return self._kept

    def seen_at(self, series: Series, minutes: Iterable[int]) -> dict[int, datetime]:
        """Return the newest event time of those minutes that it knows."""
        known = ((minute, self._newest_ms.get((series, minute))) for minute in minutes)
        return {minute: instant_of_ms(newest) for minute, newest in known if newest}
