"""Adds late events to hours that are closed, and says when a series must be learned anew.

An hour is closed once a later one was judged. A few late events change what it teaches. Many of them, or
events from before the series began, mean that it was counted out of order: its levels are wrong as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from signals.domain.detection.rule_types import FORGOTTEN_AFTER
from signals.domain.detection.season import DAY, HOUR, HourRow
from signals.domain.incidents.following import SeriesRecord

HISTORY_DAYS: Final = 35  # of hours that are kept: older events are counted and teach nothing
LATE_ERRORS: Final = 3  # standard errors of a closed hour's count, above which late events matter (guess)
LATE_SHARE: Final = 0.2  # of that count, likewise; below, the noise of any series hides it (guess)


@dataclass(frozen=True, slots=True, kw_only=True)
class LateHour:
    """Late events of one closed hour; `clean` of them lie outside of the series' newest outage."""

    events: int
    clean: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LateEvents:
    """A batch's late events of one series: by closed hour, and the first minute before its beginning."""

    hours: Mapping[int, LateHour]
    first: int | None

    def __bool__(self) -> bool:
        return bool(self.hours) or self.first is not None


def late_events(record: SeriesRecord, added: Mapping[int, int]) -> LateEvents:
    """Sort out the late ones of a batch's events by minute.

    Left out are those of more than 35 days ago, or of a fortnight before the series began: they teach
    nothing.
    """
    closed, kept = record.kept.hour * HOUR, record.kept.first
    oldest = max(record.judged - HISTORY_DAYS * DAY * HOUR, record.since - FORGOTTEN_AFTER + 1)
    season = record.track.seasonal
    hours: dict[int, LateHour] = {}
    first: int | None = None
    for minute, events in added.items():
        if minute >= closed or minute < oldest:
            continue
        if minute < record.since:
            first = minute if first is None else min(first, minute)
        elif (hour := minute // HOUR) >= kept:
            is_clean = not season.dirty_from <= minute < season.dirty_until
            before = hours.get(hour, LateHour(events=0, clean=0))
            hours[hour] = LateHour(events=before.events + events, clean=before.clean + events * is_clean)
    return LateEvents(hours=hours, first=first)


def clean_of(late: LateHour, clean_minutes: int) -> int:
    """Return how many of the late events an hour with so many clean minutes may learn from."""
    if clean_minutes == HOUR:
        return late.events
    return late.clean if clean_minutes else 0


def is_disorder(value: int, late: int) -> bool:
    """Say whether too many events of an hour or a series, of `value` in all, were late."""
    return late > LATE_SHARE * value and late * late > LATE_ERRORS**2 * value


def absorbed(
    record: SeriesRecord, late: Mapping[int, LateHour], clean_minutes: Mapping[int, int]
) -> SeriesRecord:
    """Return the record with late events added; `clean_minutes` gives those of each closed hour."""
    kept, season = record.kept, record.track.seasonal
    clean = {hour: clean_of(one, clean_minutes[hour]) for hour, one in late.items()}
    today = kept.hour // DAY
    of_today = sum(events for hour, events in clean.items() if hour // DAY == today and hour > kept.first)
    kept = replace(
        kept,
        value=kept.value + sum(clean.values()),
        newest=tuple(_with(row, late.get(row.hour), clean.get(row.hour, 0)) for row in kept.newest),
    )
    season = replace(season, day_value=season.day_value + of_today)
    return replace(record, kept=kept, track=replace(record.track, seasonal=season))


def _with(row: HourRow, late: LateHour | None, clean: int) -> HourRow:
    if late is None:
        return row
    return replace(row, value=row.value + late.events, clean_value=row.clean_value + clean)
