"""Writes instants, ages, numbers and the like as people read them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from signals.domain.summary.wording import STAMP

CITATION: Final = re.compile(r"^\[([^\]]{1,400})\]\s*(.*)", re.DOTALL)
REFERENCE: Final = re.compile(r"\b([EF]\d{1,6})(?:\s+([0-9a-f-]{36}))?")
REFERENCES: Final = re.compile(
    r"\s*\[\s*[EF]\d{1,6}(?:\s+[0-9a-f-]{36})?(?:\s*[,;]\s*[EF]\d{1,6}(?:\s+[0-9a-f-]{36})?)*\s*\]"
)
"""References inside a statement or behind it, where a model puts them as well."""
TIME_OF_DAY: Final = re.compile(r"\b([01]\d|2[0-3]):([0-5]\d) UTC\b")
"""A minute as the texts of a comparison name it."""
FOR_PROGRAMS: Final = ("Read the failing events: GET ", "See the counts by minute ")
API_CALL: Final = re.compile(r":?\s*(?:GET|PATCH|POST)\s+/v1/\S*.*$", re.DOTALL)
MAINTENANCE_LENGTHS: Final = {
    "30 minutes": timedelta(minutes=30),
    "1 hour": timedelta(hours=1),
    "2 hours": timedelta(hours=2),
    "4 hours": timedelta(hours=4),
    "8 hours": timedelta(hours=8),
    "1 day": timedelta(days=1),
    "7 days": timedelta(days=7),
}
"""The lengths that the form of maintenance offers; the longest is the longest that a window may have."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The present and the reader's time zone."""

    now: datetime
    zone: ZoneInfo

    @property
    def zone_name(self) -> str:
        """The zone as the header shows it: its city, or UTC."""
        return self.zone.key.rpartition("/")[2].replace("_", " ")

    def local(self, at: datetime) -> datetime:
        """Return an instant in the reader's zone."""
        return at.astimezone(self.zone)

    def time(self, at: datetime) -> str:
        """Write the time of day, to the second."""
        return f"{self.local(at):%H:%M:%S}"

    def minute(self, at: datetime) -> str:
        """Write the time of day, to the minute."""
        return f"{self.local(at):%H:%M}"

    def moment(self, at: datetime) -> str:
        """Write day and time, without what the reader knows: today, or the present year."""
        local, now = self.local(at), self.local(self.now)
        if local.date() == now.date():
            return f"{local:%H:%M}"
        return f"{local.day} {local:%b, %H:%M}" if local.year == now.year else f"{local:%Y-%m-%d %H:%M}"

    def full(self, at: datetime) -> str:
        """Write the whole instant with its zone."""
        return f"{self.local(at):%Y-%m-%d %H:%M:%S} {self.zone_name}"

    def ago(self, at: datetime) -> str:
        """Write how long ago, or in how long, in the largest whole unit."""
        age = self.now - at
        return f"in {duration(-age)}" if age < timedelta(seconds=-1) else f"{duration(age)} ago"

    def in_words(self, text: str, written_at: datetime | None = None) -> str:
        """Write the instants inside a text as times of the reader's zone.

        RFC 3339 stamps stand for themselves. A time of day such as `08:05 UTC` is the last one until an hour
        after `written_at`; without that instant it stays.
        """

        def stamp(match: re.Match[str]) -> str:
            try:
                at = datetime.fromisoformat(match[0])
            except ValueError:
                return match[0]
            same_day = self.local(at).date() == self.local(self.now).date()
            return self.time(at) if same_day else self.moment(at)

        def minute(match: re.Match[str]) -> str:
            assert written_at is not None
            last = written_at.astimezone(UTC)
            at = last.replace(hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0)
            return self.moment(at if at <= last + timedelta(hours=1) else at - timedelta(days=1))

        shown = STAMP.sub(stamp, text)
        return shown if written_at is None else TIME_OF_DAY.sub(minute, shown)


def duration(length: timedelta) -> str:
    """Write a length in its largest whole unit."""
    seconds = max(0, int(length.total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def number(value: float) -> str:
    """Write a number with separators, to one decimal place where it has one."""
    return f"{value:,.1f}".removesuffix(".0")


@dataclass(frozen=True, slots=True)
class CitedStatement:
    """A statement of a summary without its brackets, and the exhibits that it cites with their events."""

    text: str
    references: tuple[tuple[str, str | None], ...]


def cited(statement: str) -> CitedStatement:
    """Split `[E1 <event id>, F2] text` into text and references, wherever these stand."""
    match = CITATION.match(statement)
    head, text = (match[1], match[2]) if match else ("", statement)
    groups = " ".join([head, *REFERENCES.findall(text)])
    found = dict.fromkeys((one[1], one[2]) for one in REFERENCE.finditer(groups))
    return CitedStatement(REFERENCES.sub("", text), tuple(found))


def steps(texts: list[str]) -> Iterator[str]:
    """Yield next steps for a person: without calls of the API, for which the page has links and buttons."""
    for text in texts:
        if text.startswith(FOR_PROGRAMS) or "PATCH /v1/" in text:
            continue
        yield API_CALL.sub(".", text)


def message_of(event: Mapping[str, Any]) -> str:
    """Return the line that stands for an event in a list."""
    attributes = event.get("attributes") or {}
    return str(event.get("message") or attributes.get("message") or attributes.get("error_code") or "")


def instant_of(text: object) -> datetime:
    """Read an instant of an event as it is indexed."""
    return datetime.fromisoformat(str(text)).astimezone(UTC)


def utc_now() -> datetime:
    """Return the present."""
    return datetime.now(UTC)
