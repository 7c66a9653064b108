"""From what a client sent, or what a record holds, to an Envelope or a reason why not."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pydantic import ValidationError

from shared_types.envelope import SCHEMA_VERSION, Envelope
from shared_types.errors import InvalidEvent
from shared_types.tidying import require_rfc3339, tidy_attributes

MAX_AHEAD: Final = timedelta(minutes=10)  # guess: tolerate skewed clocks, refuse the future

_DEFAULTS: Final[Mapping[str, object]] = {
    "schema_version": SCHEMA_VERSION,
    "environment": "dev",
    "severity": "info",
    "attributes": {},
    "payload": {},
}
# pydantic's error type -> our code and what to do about it.
_REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "missing": ("missing", "{field} is required."),
    "extra_forbidden": (
        "unknown_field",
        "{field} is not a field of the envelope; put it under attributes or payload.",
    ),
    "enum": ("unknown_value", "{field} must be {expected}."),
    "literal_error": ("unknown_value", "{field} must be {expected}."),
    "string_type": ("invalid_type", "{field} must be a string."),
    "int_type": ("invalid_type", "{field} must be an integer."),
    "string_unicode": ("invalid_text", "Remove lone surrogates from {field}."),
    "string_pattern_mismatch": (
        "invalid_text",
        "{field} holds a character it may not; it must match {pattern}.",
    ),
    "string_too_short": ("missing", "{field} must not be blank."),
    "string_too_long": ("too_long", "{field} may have {max_length} characters at most."),
    "dict_type": ("invalid_type", "{field} must be an object."),
    "model_type": ("invalid_type", "{field} must be an object."),
    "model_attributes_type": ("invalid_type", "{field} must be an object."),
    "datetime_from_date_parsing": ("invalid_timestamp", "{field} is no instant of the calendar."),
    "datetime_parsing": ("invalid_timestamp", "{field} is no instant of the calendar."),
    "datetime_type": ("invalid_timestamp", "Write {field} as RFC 3339, like 2025-12-27T10:00:00Z."),
    "uuid_parsing": ("invalid_value", "{field} must be a UUID."),
    "uuid_type": ("invalid_value", "{field} must be a UUID."),
    "json_invalid": ("invalid_json", "The record is not JSON."),
}


@dataclass(frozen=True, slots=True)
class Tenancy:
    """The owner of an event, as the API key says."""

    org_id: str
    project_id: str


def canonicalize(
    raw: Mapping[str, object], *, tenancy: Tenancy | None, received_at: datetime, event_id: uuid.UUID
) -> Envelope:
    """Normalize one event; pure and idempotent.

    `event_id` is used when the event brings none. With `tenancy` None the event must name its own tenant.
    A field that is null counts as absent; a client's `received_at` is overwritten.
    Raises InvalidEvent naming the first field at fault.
    """
    if not isinstance(raw, Mapping):
        raise InvalidEvent("invalid_type", None, "An event must be a JSON object.")
    body = {**_DEFAULTS, **{name: value for name, value in raw.items() if value is not None}}
    body.setdefault("event_id", event_id)
    body["received_at"] = received_at
    body["attributes"] = tidy_attributes(body["attributes"])
    require_rfc3339(body.get("occurred_at"), "occurred_at")
    if tenancy is not None:
        _claim(body, "org_id", tenancy.org_id)
        _claim(body, "project_id", tenancy.project_id)
    try:
        envelope = Envelope.model_validate(body)
    except ValidationError as error:
        raise _reason(error) from error
    if envelope.occurred_at - envelope.received_at > MAX_AHEAD:
        raise InvalidEvent(
            "future_timestamp",
            "occurred_at",
            "occurred_at is more than 10 minutes ahead; set the sender's clock.",
        )
    return envelope


def parse_envelope(data: bytes) -> Envelope:
    """Read a record of `signals.raw.v1`.

    Raises InvalidEvent when the bytes are no canonical envelope.
    """
    try:
        return Envelope.model_validate_json(data, strict=True)
    except ValidationError as error:
        raise _reason(error) from error


def _claim(body: dict[str, object], field: str, owner: str) -> None:
    """Set the tenant; an event that names another one would land in another tenant's data."""
    if body.setdefault(field, owner) != owner:
        raise InvalidEvent(
            "tenancy_mismatch", field, f"{field} differs from the API key's; leave it out or use that key."
        )


def _reason(error: ValidationError) -> InvalidEvent:
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or None
    context = first.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, InvalidEvent):
        return InvalidEvent(cause.code, cause.field or field, cause.message)
    code, sentence = _REASONS.get(first["type"], ("invalid_value", "{field}: " + first["msg"]))
    return InvalidEvent(code, field, sentence.format(field=field or "The event", **context))
