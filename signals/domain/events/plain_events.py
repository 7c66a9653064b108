"""The quick way of the common event into Kafka: the same bytes as through the models, or none.

It knows events that need little tidying and are surely valid. Whatever else comes is for
`shared_types.canonicalize`, which alone says what is acceptable and why not; a property test holds the two
together.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from shared_types import Environment, EventType, InvalidEvent, Severity, Tenancy
from shared_types.canonical import MAX_AHEAD
from shared_types.envelope import (
    ATTRIBUTE_BOUNDS,
    LABEL_CHARS,
    MAX_YEAR,
    MESSAGE_CHARS,
    MIN_YEAR,
    PAYLOAD_BOUNDS,
    ROUTE_CHARS,
    SCHEMA_VERSION,
    EventInput,
)
from shared_types.identity import escape
from shared_types.json_bounds import INT64_MAX, INT64_MIN, MAX_NAME_CHARS, JsonBounds, check_json

_FIELDS: Final = frozenset(EventInput.model_fields)
_INSTANT: Final = re.compile(
    r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_CANONICAL_CHARS: Final = len("2026-03-01T12:00:00.000Z")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TENANT: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_FEW, _SHORT = 32, 1_000  # members, characters: within all bounds of attributes and payload
_NUL: Final = b"\\u0000"  # as orjson writes it


def _forms(words: type[StrEnum]) -> dict[str | None, str]:
    return {form: w.value for w in words for form in (w.value, w.value.upper(), w.value.capitalize())}


_EVENT_TYPES: Final = _forms(EventType)
_ENVIRONMENTS: Final = _forms(Environment) | {None: Environment.DEV.value}
_SEVERITIES: Final = _forms(Severity) | {None: Severity.INFO.value}


class PlainRecord(NamedTuple):
    """A canonical event as it goes to Kafka."""

    event_id: str
    key: bytes
    value: bytes


class PlainEvents:
    """Makes records of the events that one tenant sent at one instant."""

    def __init__(self, tenancy: Tenancy, received_at: datetime) -> None:
        self._tenancy = tenancy
        self._is_valid = all(_TENANT.fullmatch(name) for name in (tenancy.org_id, tenancy.project_id))
        self._prefix = f"{tenancy.org_id}|{tenancy.project_id}|"
        self._received_at = _milliseconds(received_at)
        self._latest = datetime.fromisoformat(self._received_at) + MAX_AHEAD

    def record(self, event: object, spare_id: UUID) -> PlainRecord | None:
        """Return the record of parsed JSON, None when it is no common event.

        `spare_id` is used when the event brings none.
        """
        if type(event) is not dict:
            return None
        get, tenancy = event.get, self._tenancy
        event_type = _word(_EVENT_TYPES, get("event_type"))
        environment = _word(_ENVIRONMENTS, get("environment"))
        severity = _word(_SEVERITIES, get("severity"))
        occurred_at = self._occurred_at(get("occurred_at"))
        message = get("message")
        if (
            not (event_type and environment and severity and occurred_at and self._is_valid)
            or type(message) is not str
            or not 0 < len(message) <= MESSAGE_CHARS
            or message.strip() != message
            or not event.keys() <= _FIELDS
            or get("schema_version") not in (None, SCHEMA_VERSION)
            or get("org_id") not in (None, tenancy.org_id)
            or get("project_id") not in (None, tenancy.project_id)
        ):
            return None
        event_id = get("event_id")
        if event_id is None:
            event_id = str(spare_id)
        elif type(event_id) is not str or not _UUID.fullmatch(event_id):
            return None
        try:
            attributes = _attributes(get("attributes"))
            payload = _payload(get("payload"))
        except InvalidEvent:
            return None
        if attributes is None or payload is None:
            return None
        body = {
            "schema_version": SCHEMA_VERSION,
            "event_id": event_id,
            "occurred_at": occurred_at,
            "received_at": self._received_at,
            "org_id": tenancy.org_id,
            "project_id": tenancy.project_id,
            "environment": environment,
            "event_type": event_type,
            "severity": severity,
            "message": message,
            "attributes": attributes,
            "payload": payload,
        }
        value = orjson.dumps(body)
        if _NUL in value:  # or a text that only looks like it: the models will tell
            return None
        tail = event_type
        if event_type == "error":
            tail = f"{escape(attributes.get('error_code'))}|{escape(attributes.get('route'))}"
        return PlainRecord(event_id, f"{self._prefix}{tail}".encode(), value)

    def _occurred_at(self, text: object) -> str | None:
        if type(text) is not str or not _INSTANT.fullmatch(text):
            return None
        try:
            instant = datetime.fromisoformat(text)
        except ValueError:  # no day of the calendar
            return None
        if instant > self._latest or not MIN_YEAR <= instant.year <= MAX_YEAR:
            return None
        return text if len(text) == _CANONICAL_CHARS else _milliseconds(instant)


def _milliseconds(instant: datetime) -> str:
    """Write an instant as records have it; digits beyond milliseconds are cut."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _word(words: Mapping[str | None, str], value: object) -> str | None:
    return words.get(value) if value is None or type(value) is str else None


def _attributes(raw: object) -> dict[str, Any] | None:
    """Return the attributes in the record's order, None when one is not as it will be stored."""
    if raw is None:
        return {}
    if type(raw) is not dict:
        return None
    extras = raw.copy()
    attributes = {}
    for name, limit in _KNOWN:
        value = extras.pop(name, None)
        if value is None:
            continue
        if name == "status_code":
            if type(value) is not int or not 0 <= value <= 999:
                return None
        elif type(value) is not str or not _is_tidy(value, limit):
            return None
        elif name == "method":
            value = value.upper()
        attributes[name] = value
    if extras:
        if None in extras.values():
            extras = {name: value for name, value in extras.items() if value is not None}
        _check(extras, "attributes", ATTRIBUTE_BOUNDS)
        attributes |= extras
    return attributes


_KNOWN: Final = (
    ("route", ROUTE_CHARS),
    ("method", LABEL_CHARS),
    ("status_code", 0),
    ("error_code", LABEL_CHARS),
    ("release", LABEL_CHARS),
)


def _is_tidy(text: str, limit: int) -> bool:
    return 0 < len(text) <= limit and text.isascii() and text.strip() == text


def _payload(raw: object) -> dict[str, object] | None:
    if raw is None:
        return {}
    if type(raw) is not dict:
        return None
    _check(raw, "payload", PAYLOAD_BOUNDS)
    return raw


def _check(members: dict[str, object], field: str, bounds: JsonBounds) -> None:
    """Accept members within `bounds`, quickly when they are few, flat and short; raise InvalidEvent else."""
    if len(members) > _FEW:
        check_json(members, field, bounds)
        return
    for name, value in members.items():
        kind = type(value)
        if not (
            name.isidentifier()
            and len(name) <= MAX_NAME_CHARS
            and (
                len(value) <= _SHORT  # type: ignore[arg-type]  # mypy does not follow kind
                if kind is str
                else INT64_MIN <= value <= INT64_MAX  # type: ignore[operator]
                if kind is int
                else kind is float or kind is bool
            )
        ):
            check_json(members, field, bounds)
            return
