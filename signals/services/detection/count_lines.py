"""Reads counts from CSV lines: minute, series, count, in order of time."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec

from shared_types import Environment, EventType, Fingerprint
from shared_types.grouping import group_code, group_route
from shared_types.tidying import tidy_attributes

COLUMNS: Final = ("minute", "series", "count")
UNNAMED: Final[Mapping[str, int]] = {name: at for at, name in enumerate(COLUMNS)}  # without a header
EVENT_TYPES: Final = tuple(kind.value for kind in EventType)
ENVIRONMENTS: Final = tuple(one.value for one in Environment)
ATTRIBUTES: Final = ("event_type", "error_code", "route", "environment", "release")
# A bare name is of signups when it says so; of errors otherwise.
WANTED_WORDS: Final = ("signup", "sign-up", "sign_up", "registration", "purchase", "booking", "trip", "taxi")
MAX_COUNT: Final = 10**9  # events a minute; more is a mistake in the file


class BadLine(Exception):  # noqa: N818  # reads as the state it names
    """A line is not minute, series, count; the text names line and column, and says what to write."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line


@dataclass(frozen=True, slots=True)
class CountedSeries:
    """A series as the file names it: its text, and its attributes."""

    text: str
    attributes: tuple[tuple[str, str], ...]

    def get(self, attribute: str) -> str | None:
        """Return the value of an attribute."""
        return next((value for name, value in self.attributes if name == attribute), None)


@dataclass(frozen=True, slots=True)
class CountLine:
    """Events of one series in one minute since the epoch."""

    minute: int
    series: CountedSeries
    count: int


def read_counts(lines: Iterable[str]) -> Iterator[CountLine]:
    """Yield the counts of a CSV file; blank lines and further columns are ignored.

    A header may name the columns in any order; without one they are minute, series, count.

    Raises:
        BadLine: at the first line that cannot be read, or lies before the one above it.
    """
    rows = csv.reader(lines, strict=True)
    at: Mapping[str, int] | None = None
    known: dict[str, CountedSeries] = {}
    newest = 0
    try:
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if at is None:
                at = _columns(row, rows.line_num)
                if at is not UNNAMED:
                    continue
            line = _line(row, at, known, rows.line_num)
            if line.minute < newest:
                raise BadLine(rows.line_num, "minute is before the line above; sort the file by time")
            newest = line.minute
            yield line
    except csv.Error as error:
        raise BadLine(
            rows.line_num, f"is not CSV ({error}); quote JSON and double the quotes in it"
        ) from error
    if at is None:
        raise BadLine(1, f"is missing; the first line names the columns: {','.join(COLUMNS)}")


def _columns(row: list[str], line: int) -> Mapping[str, int]:
    """Return where the header puts each column; `UNNAMED` when the row begins with a time."""
    if row[0].lstrip("\ufeff").strip()[:1].isdigit():
        row[0] = row[0].lstrip("\ufeff")
        return UNNAMED
    names = [cell.strip().lstrip("\ufeff").lower() for cell in row]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise BadLine(
            line,
            f"the header lacks {', '.join(missing)}; the first line names the columns: {','.join(COLUMNS)}",
        )
    return {name: names.index(name) for name in COLUMNS}


def _line(row: list[str], at: Mapping[str, int], known: dict[str, CountedSeries], line: int) -> CountLine:
    if len(row) <= max(at.values()):
        raise BadLine(line, f"has {len(row)} columns; write minute, series and count")
    text = row[at["series"]].strip()
    series = known.get(text)
    if series is None:
        series = known[text] = _series(text, line)
    return CountLine(_minute(row[at["minute"]].strip(), line), series, _count(row[at["count"]].strip(), line))


@lru_cache(maxsize=1024)  # lines of many series name the same minute; an error is not kept
def _minute_of(text: str) -> int | None:
    """Return minutes since the epoch; None without an offset. Raises ValueError."""
    instant = datetime.fromisoformat(text.upper())
    return int(instant.timestamp()) // 60 if instant.tzinfo else None


def _minute(text: str, line: int) -> int:
    try:
        minute = _minute_of(text)
    except ValueError:
        raise BadLine(
            line, f"minute {text[:40]!r} is no RFC 3339 time; write it like 2026-03-02T09:30:00Z"
        ) from None
    if minute is None:
        raise BadLine(line, f"minute {text[:40]!r} has no offset; add Z for UTC, or an offset like +02:00")
    return minute


def _count(text: str, line: int) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > MAX_COUNT:
        raise BadLine(line, f"count {text[:40]!r} is no whole number from 0 to {MAX_COUNT}")
    return int(text)


def _series(text: str, line: int) -> CountedSeries:
    if not text:
        raise BadLine(line, "series is empty; write a name, or JSON with event_type and attributes")
    if not text.startswith("{"):
        if named := _fingerprint(text):
            return CountedSeries(text, named)
        lowered = text.lower()
        wanted = "error" not in lowered and any(word in lowered for word in WANTED_WORDS)
        kind = "signup" if wanted else "error"
        own = ("environment", text) if wanted else ("error_code", text)
        return CountedSeries(text, (("event_type", kind), own))
    try:
        given = msgspec.json.decode(text, type=dict[str, str | None])
    except msgspec.DecodeError as error:
        raise BadLine(line, f"series is no JSON object of texts ({error})") from error
    unknown = sorted(given.keys() - set(ATTRIBUTES))
    if unknown:
        raise BadLine(line, f"series has the unknown key {unknown[0]!r}; known are {', '.join(ATTRIBUTES)}")
    found = _as_events_have(given, line)
    return CountedSeries(
        text, tuple((name, value) for name in ATTRIBUTES if (value := found.get(name)) is not None)
    )


def _as_events_have(given: Mapping[str, str | None], line: int) -> Mapping[str, str | None]:
    """Write attributes as the product stores them: ids taken out, words by their one name."""
    tidy = tidy_attributes(dict(given))
    assert isinstance(tidy, dict)
    found: dict[str, str | None] = {name: tidy.get(name) for name in ATTRIBUTES}
    try:
        found["event_type"] = EventType(given.get("event_type") or "").value
    except ValueError:
        raise BadLine(line, f"series needs an event_type that is one of {', '.join(EVENT_TYPES)}") from None
    try:
        found["environment"] = Environment(tidy["environment"]).value if "environment" in tidy else None
    except ValueError:
        raise BadLine(line, f"series has an environment that is none of {', '.join(ENVIRONMENTS)}") from None
    return found


def instant_text(minute: int) -> str:
    """Write a minute since the epoch as RFC 3339."""
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _fingerprint(text: str) -> tuple[tuple[str, str], ...]:
    """Return the attributes of a name that is a fingerprint, ids taken out; of any other name, none."""
    try:
        found = Fingerprint.understood(text)
    except ValueError:
        return ()
    named = {
        "error_code": found.error_code and group_code(found.error_code),
        "route": found.route and group_route(found.route),
    }
    given = tuple((name, value) for name, value in named.items() if value is not None)
    return (("event_type", found.event_type), *given, ("environment", found.environment))
