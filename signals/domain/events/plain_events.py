"""The fast path of a common event into Kafka: the same bytes as through the models, or none.

It knows events that are surely valid and need little tidying. Every other event is left to
`shared_types.canonicalize`, which alone decides what is acceptable; a property test compares the two. Words
and limits come from the contract.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from shared_types import Attributes, Environment, EventInput, EventType, InvalidEvent, Severity, Tenancy
from shared_types.canonical import MAX_AHEAD
from shared_types.envelope import (
    ATTRIBUTE_BOUNDS,
    MAX_STATUS_CODE,
    MAX_YEAR,
    MESSAGE_CHARS,
    MIN_YEAR,
    PAYLOAD_BOUNDS,
    SCHEMA_VERSION,
    TENANT_ID_PATTERN,
    TEXT_ATTRIBUTES,
)
from shared_types.fingerprints import key_prefix, key_tail
from shared_types.grouping import GROUPERS, may_hold_id
from shared_types.json_bounds import INT64_MAX, INT64_MIN, MAX_NAME_CHARS, check_json
from shared_types.tidying import keep_aside

_FIELDS: Final = frozenset(EventInput.model_fields)
_VERSIONS: Final = (None, SCHEMA_VERSION)
_INSTANT: Final = re.compile(
    r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_CANONICAL_CHARS: Final = len("2026-03-01T12:00:00.000Z")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TENANT: Final = re.compile(TENANT_ID_PATTERN)
_FEW, _SHORT = 32, 1_000  # members, characters: within all bounds of attributes and payload
_NUL: Final = b"\\u0000"  # as orjson writes it
_ATTRIBUTES: Final = tuple(
    (name, TEXT_ATTRIBUTES.get(name), GROUPERS.get(name)) for name in Attributes.model_fields
)
"""The indexed attributes in the record's order: the longest text of each (None for the
status code), and how ids are taken out of it."""


def _forms(field: str, words: type[Environment | EventType | Severity]) -> dict[str | None, str]:
    """Map the spellings of a closed list to its words, and an absent value to the field's default."""
    names = {**words.other_names(), **{word.value: word.value for word in words}}
    forms: dict[str | None, str] = {
        form: word for name, word in names.items() for form in (name, name.upper(), name.capitalize())
    }
    definition = EventInput.model_fields[field]
    return forms if definition.is_required() else forms | {None: definition.default.value}


_EVENT_TYPES: Final = _forms("event_type", EventType)
_ENVIRONMENTS: Final = _forms("environment", Environment)
_SEVERITIES: Final = _forms("severity", Severity)


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
        self._org_ids = (None, tenancy.org_id)
        self._project_ids = (None, tenancy.project_id)
        self._prefix = key_prefix(tenancy.org_id, tenancy.project_id)
        self._received_at = _milliseconds(received_at)
        self._latest = datetime.fromisoformat(self._received_at) + MAX_AHEAD

    def record(self, event: object, spare_id: UUID) -> PlainRecord | None:
        """Return the record of parsed JSON, None when the event needs full validation.

        `spare_id` is used when the event brings none.
        """
        if type(event) is not dict or not self._is_plain(event):
            return None
        get = event.get
        words, occurred_at = _words(event), self._occurred_at(get("occurred_at"))
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
        if words is None or occurred_at is None or attributes is None or payload is None:
            return None
        event_type, environment, severity = words
        body = {
            "schema_version": SCHEMA_VERSION,
            "event_id": event_id,
            "occurred_at": occurred_at,
            "received_at": self._received_at,
            "org_id": self._tenancy.org_id,
            "project_id": self._tenancy.project_id,
            "environment": environment,
            "event_type": event_type,
            "severity": severity,
            "message": event["message"],
            "attributes": attributes,
            "payload": payload,
        }
        value = orjson.dumps(body)
        if _NUL in value:  # or a text that only looks like it: the models decide
            return None
        tail = key_tail(event_type, attributes.get("error_code"), attributes.get("route"))
        return PlainRecord(event_id, f"{self._prefix}{tail}".encode(), value)

    def _is_plain(self, event: dict[str, object]) -> bool:
        """Whether version, tenant and message need no tidying, and every field is the contract's."""
        get = event.get
        message = get("message")
        return (
            type(message) is str
            and 0 < len(message) <= MESSAGE_CHARS
            and message.strip() == message
            and event.keys() <= _FIELDS
            and get("schema_version") in _VERSIONS
            and get("org_id") in self._org_ids
            and get("project_id") in self._project_ids
            and self._is_valid
        )

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


def _words(event: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Return event type, environment and severity; None when one is not a known spelling of a word."""
    get = event.get
    try:
        return (
            _EVENT_TYPES[get("event_type")],
            _ENVIRONMENTS[get("environment")],
            _SEVERITIES[get("severity")],
        )
    except (KeyError, TypeError):  # TypeError: an array or an object cannot be looked up
        return None


def _attributes(raw: object) -> dict[str, Any] | None:
    """Return the attributes in the record's order, None when one is not as it will be stored."""
    if raw is None:
        return {}
    if type(raw) is not dict:
        return None
    extras = raw.copy()
    attributes = {}
    sent: dict[str, str] = {}
    for name, longest, group in _ATTRIBUTES:
        value = extras.pop(name, None)
        if value is None:
            continue
        if longest is None:
            if type(value) is not int or not 0 <= value <= MAX_STATUS_CODE:
                return None
        elif type(value) is not str or not _is_tidy(value, longest):
            return None
        elif name == "method":
            value = value.upper()
        elif group is not None and may_hold_id(value) and (grouped := group(value)) != value:
            sent[name], value = value, grouped
        attributes[name] = value
    if extras or sent:
        attributes |= _extras(extras, sent)
    return attributes


def _extras(extras: dict[str, Any], sent: Mapping[str, str]) -> dict[str, Any]:
    """Return what is not indexed: what the client named, and what `sent` holds of grouped texts."""
    if None in extras.values():
        extras = {name: value for name, value in extras.items() if value is not None}
    for name, text in sent.items():
        keep_aside(extras, name, text)
    if not _are_simple(extras):
        check_json(extras, "attributes", ATTRIBUTE_BOUNDS)
    return extras


def _is_tidy(text: str, longest: int) -> bool:
    return 0 < len(text) <= longest and text.isascii() and text.strip() == text


def _payload(raw: object) -> dict[str, object] | None:
    if raw is None:
        return {}
    if type(raw) is not dict:
        return None
    if not _are_simple(raw):
        check_json(raw, "payload", PAYLOAD_BOUNDS)
    return raw


def _are_simple(members: dict[str, object]) -> bool:
    """Whether members are surely within bounds: few, named by identifiers, their values flat and short."""
    if len(members) > _FEW:
        return False
    for name, value in members.items():
        if not name.isidentifier() or len(name) > MAX_NAME_CHARS:
            return False
        if type(value) is str:
            if len(value) > _SHORT:
                return False
        elif type(value) is int:
            if not INT64_MIN <= value <= INT64_MAX:
                return False
        elif type(value) is not float and type(value) is not bool:
            return False
    return True
