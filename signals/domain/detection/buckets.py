"""Minute buckets: which series an event counts towards, and which ranges a rule must read."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from shared_types import Envelope, fingerprint, metric_name

BUCKET_S = 60  # requirement R19


class Series(msgspec.Struct, frozen=True, order=True, cache_hash=True):
    """One counter of one project. Orders like the unique index of the buckets, so writers never deadlock.

    `metric_name` is the counter of Rule A or B, or that of a rule that people wrote.
    """

    project_id: str
    environment: str
    metric_name: str
    fingerprint: str
    org_id: str


@dataclass(frozen=True, slots=True, order=True)
class BucketRange:
    """The minutes `start <= minute < end` of a series, to be read at once for evaluating `minutes`."""

    series: Series
    start: int
    end: int
    minutes: tuple[int, ...]


def series_of(event: Envelope) -> Series | None:
    """Return the series that `event` counts towards, None when it is not counted."""
    metric, print_ = metric_name(event), fingerprint(event)
    if metric is None or print_ is None:
        return None
    return Series(event.project_id, event.environment.value, metric, print_, event.org_id)


def minute_of(instant: datetime) -> int:
    """Return whole minutes since the epoch."""
    return int(instant.timestamp()) // BUCKET_S


def instant_of(minute: int) -> datetime:
    """Return the UTC start of a minute."""
    return datetime.fromtimestamp(minute * BUCKET_S, UTC)


def ranges(touched: Mapping[Series, Iterable[int]], length: int) -> Iterator[BucketRange]:
    """Yield the ranges that rules need, `length` minutes long for a single minute.

    Touched minutes nearer to each other than a history share one range, so no bucket is read twice
    and two events a year apart do not read the year.
    """
    for series, minutes in touched.items():
        group: list[int] = []
        for minute in sorted(minutes):
            if group and minute - group[-1] >= length:
                yield BucketRange(series, group[0] - length + 1, group[-1] + 1, tuple(group))
                group = []
            group.append(minute)
        if group:
            yield BucketRange(series, group[0] - length + 1, group[-1] + 1, tuple(group))
