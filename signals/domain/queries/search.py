"""Reads and writes an event search: free text, `key:value` filters with ranges, a time range.

`filters` is a list of pairs between commas or blanks: `severity:error route:"/a b" status_code:>=500
occurred_at:[2025-12-27T10:00:00Z TO *]`. Values of one key are alternatives; different keys must all hold.
A pair that begins with a minus excludes: `-route:/health`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from shared_types import Environment, EventType, RuleFingerprint, SeriesFingerprint, Severity
from signals.domain.queries.parameters import InvalidQuery, checked_text, instant

MAX_TEXT: Final = 512  # characters of q; guess: a sentence, not a document
MAX_WORDS: Final = 32  # times the fields searched, this stays far below OpenSearch's 1,024 clauses
MAX_FILTERS_TEXT: Final = 4096  # characters of one filters= value; a route alone may have 256
MAX_PAIRS: Final = 32  # guess

Scalar = str | int | datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf:
    """The field equals one of the values."""

    field: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """The field lies between two bounds; None is open, and each bound says whether it is included."""

    field: str
    low: Scalar | None = None
    high: Scalar | None = None
    low_included: bool = True
    high_included: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """The event does not meet the condition; one without the field passes."""

    condition: AnyOf | Between


Filter = AnyOf | Between | Excluded


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """A checked search; `since <= occurred_at < until`. It names no tenant: that comes from the key."""

    text: str | None
    filters: tuple[Filter, ...]
    since: datetime | None
    until: datetime | None


def event_query(
    *, text: str | None, filters: Sequence[str], since: str | None, until: str | None
) -> EventQuery:
    """Check and read what a client sent.

    Raises:
        InvalidQuery: naming the parameter, and the filter, at fault.
    """
    words = checked_text("q", text, max_length=MAX_TEXT).strip() if text else ""
    if len(words.split()) > MAX_WORDS:
        raise InvalidQuery("q", f"it may have {MAX_WORDS} words at most")
    start = instant("since", since) if since else None
    end = instant("until", until) if until else None
    if start and end and start >= end:
        raise InvalidQuery("until", "it must be later than since")
    return EventQuery(text=words or None, filters=parse_filters(filters), since=start, until=end)


def parse_filters(texts: Sequence[str]) -> tuple[Filter, ...]:
    """Read every `filters=` value; pairs of one key become alternatives, ranges and exclusions must all hold.

    Raises:
        InvalidQuery: naming the filter at fault and what would be right.
    """
    values: dict[str, list[Scalar]] = {}
    others: list[Between | Excluded] = []
    pairs = [pair for text in texts for pair in _pairs(text)]
    if len(pairs) > MAX_PAIRS:
        raise InvalidQuery("filters", f"{MAX_PAIRS} pairs at most")
    for key, value in pairs:
        parsed = _filter(key.removeprefix("-"), value)
        if key.startswith("-"):
            others.append(Excluded(condition=parsed))
        elif isinstance(parsed, Between):
            others.append(parsed)
        else:
            values.setdefault(parsed.field, []).extend(parsed.values)
    terms = [AnyOf(field=field, values=tuple(dict.fromkeys(found))) for field, found in values.items()]
    return (*terms, *others)


def written_filter(key: str, value: str | int, *, excludes: bool = False) -> str:
    """Write one pair; quotes only where the value needs them."""
    text = str(value)
    return f"{'-' if excludes else ''}{key}:{text if _PLAIN.fullmatch(text) else _quoted(text)}"


def search_filters(events_of: SeriesFingerprint) -> str:
    """Write the `filters=` text that finds a fingerprint's events.

    A missing component is left out, so that events which do have one are found as well.
    """
    if isinstance(events_of, RuleFingerprint):
        named = [(name, value) for name, value in events_of.values if name != "environment"]
    else:
        named = [("error_code", events_of.error_code), ("route", events_of.route)]
    quoted = [f"{key}:{_quoted(value)}" for key, value in named if value is not None]
    environment = [f"environment:{events_of.environment}"] if events_of.environment else []
    return " ".join([f"event_type:{events_of.event_type}", *environment, *quoted])


def working_filters(events_of: SeriesFingerprint) -> str:
    """Write the `filters=` text that finds requests of a fingerprint's route that worked."""
    environment = [f"environment:{events_of.environment}"] if events_of.environment else []
    route = [f"route:{_quoted(events_of.route)}"] if events_of.route is not None else []
    return " ".join(["event_type:http_request", *environment, *route, "status_code:<400"])


_PLAIN: Final = re.compile(r"[\w/.@-][\w/.:@%?=&+-]*")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


# A value: "quoted with \" escapes", a range in brackets, or anything up to a blank or a comma.
PAIR: Final = re.compile(
    r"""(?P<key>-?[A-Za-z_.]+):(?:
          "(?P<quoted>(?:[^"\\]|\\.)*)"
        | (?P<range>[\[{]\s*[^\s,\[\]{}]+\s+TO\s+[^\s,\[\]{}]+\s*[\]}])
        | (?P<bare>[^\s,"]+)
    )(?=[\s,]|$)""",
    re.VERBOSE,
)
"""One pair of a `filters=` text, up to the separator behind it."""
_SEPARATOR: Final = re.compile(r"[\s,]*")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_RANGE: Final = re.compile(r"([\[{])\s*(\S+)\s+TO\s+(\S+?)\s*([\]}])")
_COMPARISON: Final = re.compile(r"(>=|<=|>|<)(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Value:
    text: str
    quoted: bool


def _pairs(text: str) -> list[tuple[str, _Value]]:
    checked_text("filters", text, max_length=MAX_FILTERS_TEXT)
    pairs = []
    at = _SEPARATOR.match(text).end()  # type: ignore[union-attr]  # the pattern matches the empty text
    while at < len(text):
        match = PAIR.match(text, at)
        if match is None:
            near = text[at : at + 40]
            raise InvalidQuery("filters", f"write key:value pairs; not understood from {near!r} on")
        quoted = match["quoted"]
        if quoted is not None:
            value = _Value(_ESCAPE.sub(r"\1", quoted), quoted=True)
        else:
            value = _Value(match["range"] or match["bare"], quoted=False)
        pairs.append((match["key"], value))
        at = _SEPARATOR.match(text, match.end()).end()  # type: ignore[union-attr]  # likewise
    return pairs


def _filter(key: str, value: _Value) -> AnyOf | Between:
    field = FIELDS.get(filter_name(key))
    if field is None:
        raise InvalidQuery("filters", f"{key} is not a filter; there are {', '.join(FIELDS)}")
    if not value.quoted and field.ranged:
        bounds = _range(key, field, value.text)
        if bounds is not None:
            return bounds
    return AnyOf(field=field.path, values=(_scalar(key, field, value.text),))


def filter_name(key: str) -> str:
    """Return the name of the filter that a key stands for, if there is one of that name."""
    name = key.lower().removeprefix("attributes.")
    return _ALIASES.get(name, name)


def _range(key: str, field: "_Field", text: str) -> Between | None:
    compared = _COMPARISON.fullmatch(text)
    if compared:
        sign, bound = compared[1], _scalar(key, field, compared[2])
        if sign[0] == ">":
            return Between(field=field.path, low=bound, low_included=sign == ">=")
        return Between(field=field.path, high=bound, high_included=sign == "<=")
    bracketed = _RANGE.fullmatch(text)
    if not bracketed:
        return None
    opening, low, high, closing = bracketed.groups()
    return Between(
        field=field.path,
        low=None if low == "*" else _scalar(key, field, low),
        high=None if high == "*" else _scalar(key, field, high),
        low_included=opening == "[",
        high_included=closing == "]",
    )


def _scalar(key: str, field: "_Field", text: str) -> Scalar:
    try:
        return field.read(text)
    except InvalidQuery as error:
        raise InvalidQuery("filters", f"{key}: {error.message}") from error


def _word(vocabulary: type[StrEnum]) -> Callable[[str], Scalar]:
    def read(text: str) -> Scalar:
        try:
            return vocabulary(text).value
        except ValueError as error:
            raise InvalidQuery("filters", f"it is one of {', '.join(vocabulary)}") from error

    return read


def _status_code(text: str) -> Scalar:
    if not (text.isascii() and text.isdigit() and len(text) <= 3):
        raise InvalidQuery("filters", "write a number up to 999, >=500, or [500 TO 599]")
    return int(text)


def _instant(text: str) -> Scalar:
    return instant("filters", text)


@dataclass(frozen=True, slots=True)
class _Field:
    """Where a filter's values live in the index, and how to read one."""

    path: str
    read: Callable[[str], Scalar] = str
    ranged: bool = False


FIELDS: Final[Mapping[str, _Field]] = {
    "event_id": _Field("event_id", str.lower),
    "event_type": _Field("event_type", _word(EventType)),
    "severity": _Field("severity", _word(Severity)),
    "environment": _Field("environment", _word(Environment)),
    "occurred_at": _Field("occurred_at", _instant, ranged=True),
    "route": _Field("attributes.route"),
    "method": _Field("attributes.method", str.upper),
    "status_code": _Field("attributes.status_code", _status_code, ranged=True),
    "error_code": _Field("attributes.error_code"),
    "release": _Field("attributes.release"),
    "label": _Field("labels"),
}
_ALIASES: Final = {"env": "environment"}
