"""A project's clock and calendar: its time zone, and the days on which its normal does not hold."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo

DayKind = Literal["day_off", "launch"]
"""A day off has fewer events than usual, a launch day more."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class CalendarDay:
    """One day in the project's time zone, from midnight to midnight, and its name for people."""

    day: date
    kind: DayKind
    name: str


class UnknownZone(ValueError):  # noqa: N818  # reads as the state it names
    """The text names no time zone; its message says what to write."""


def zone_named(name: str) -> ZoneInfo:
    """Return a time zone of the IANA database.

    Raises:
        UnknownZone: when there is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise UnknownZone(
            f"time zone {name[:64]!r} is unknown; write a name like Europe/Berlin or UTC"
        ) from error


@dataclass(frozen=True, slots=True)
class ProjectClock:
    """A project's time zone and special days, asked by the hour since the epoch.

    `edges` are ascending hours: the first of a special stretch, the first after it, and so on.
    """

    zone: ZoneInfo
    edges: tuple[int, ...] = ()

    @classmethod
    def of(cls, zone: ZoneInfo, days: Iterable[CalendarDay] = ()) -> "ProjectClock":
        """Build it from the days off and launches of a calendar, in any order."""
        ordered = sorted({one.day for one in days} - {date.max})  # the last one of all has no next midnight
        return cls(zone, tuple(edge for day in ordered for edge in _hours_of(day, zone)))

    def offset(self, hour: int) -> int:
        """Return whole hours from UTC; a zone of half hours has its hours of the week shifted by the half."""
        return _offset(self.zone, hour)

    def is_special(self, hour: int) -> bool:
        """Say whether the hour lies on a day off or a launch day."""
        return bool(self.edges) and bisect_right(self.edges, hour) % 2 == 1


@lru_cache(maxsize=16_384)  # closing an hour asks 18 times a series, and all series close the same hours
def _offset(zone: ZoneInfo, hour: int) -> int:
    offset = datetime.fromtimestamp(hour * 3600, UTC).astimezone(zone).utcoffset() or timedelta()
    return offset // timedelta(hours=1)


UTC_CLOCK: Final = ProjectClock(ZoneInfo("UTC"))


def _hours_of(day: date, zone: ZoneInfo) -> tuple[int, int]:
    """Return the hour of local midnight, and of the next one: 23 to 25 hours later."""
    first, last = (
        int(datetime.combine(one, time(), zone).timestamp()) // 3600 for one in (day, day + timedelta(days=1))
    )
    return first, last
