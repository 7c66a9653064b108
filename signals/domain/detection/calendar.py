"""A project's clock and calendar: its time zone, and the days on which its normal does not hold."""

from dataclasses import dataclass
from datetime import date
from typing import Literal
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
