"""The event envelope as pydantic models: the source of truth for types, limits and the JSON Schema.

Source: specification, "Event Envelope". Limits are guesses unless a comment says otherwise.
"""

import re
import unicodedata
import uuid
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from shared_types.errors import InvalidEvent
from shared_types.json_bounds import JsonBounds, check_json
from shared_types.vocabulary import Environment, EventType, Severity

SCHEMA_VERSION: Final = "1.0"

MIN_YEAR: Final = 2000  # older is a clock at its epoch, not history
MAX_YEAR: Final = 9998  # the last year that any offset can be converted from

ATTRIBUTE_BOUNDS: Final = JsonBounds(max_depth=4, max_values=64, max_text_bytes=4096)
# flat_object indexes path and text as one term of at most 32,766 bytes (Lucene): 24 KiB leaves room for both.
PAYLOAD_BOUNDS: Final = JsonBounds(max_depth=8, max_values=1000, max_text_bytes=24 * 1024)

_HOW_TO_WRITE_INSTANTS = "Write an existing instant as RFC 3339, like 2025-12-27T10:00:00Z."
_NO_NUL = r"^[^\x00]*$"
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)


def _instant(value: object) -> datetime:
    """Read an RFC 3339 text or an aware datetime, cut (not rounded: the minute must not change) to ms."""
    if isinstance(value, str):
        value = _parsed(value)
    if not isinstance(value, datetime):
        raise InvalidEvent("invalid_timestamp", message=_HOW_TO_WRITE_INSTANTS)
    if value.tzinfo is None:
        raise InvalidEvent("naive_timestamp", message="Add an offset to the timestamp, like Z or +02:00.")
    if not MIN_YEAR <= value.year <= MAX_YEAR:
        raise InvalidEvent("timestamp_out_of_range", message=f"The year must be {MIN_YEAR} or later.")
    utc = value.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def _parsed(text: str) -> datetime | None:
    if not _RFC3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError as error:  # the 30th of February, an offset of 25 hours, a leap second
        raise InvalidEvent("invalid_timestamp", message=_HOW_TO_WRITE_INSTANTS) from error


def _rfc3339(value: datetime) -> str:
    return value.isoformat(timespec="milliseconds")[:-6] + "Z"


def _label(value: object) -> object:
    """Normalize a grouping text: NFC, trimmed, whole numbers as their digits, blank as absent."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        return value
    text = value if value.isascii() else unicodedata.normalize("NFC", value)
    return text.strip() or None


def _method(value: object) -> object:
    label = _label(value)
    return label.upper() if isinstance(label, str) and label.isascii() else label


def _bounded_payload(value: dict[str, object]) -> dict[str, object]:
    check_json(value, "payload", PAYLOAD_BOUNDS)
    return value


Timestamp = Annotated[
    datetime,
    PlainValidator(_instant),
    PlainSerializer(_rfc3339, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
TenantId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Message = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=8192, pattern=_NO_NUL)
]
Payload = Annotated[dict[str, object], AfterValidator(_bounded_payload)]
# Together the two below stay under 2,704 bytes, PostgreSQL's limit for a row of the buckets' unique index.
Route = Annotated[str, StringConstraints(max_length=256, pattern=_NO_NUL)]
ErrorCode = Annotated[str, StringConstraints(max_length=128, pattern=_NO_NUL)]
Release = Annotated[str, StringConstraints(max_length=128, pattern=_NO_NUL)]
Method = Annotated[str, StringConstraints(max_length=32, pattern=_NO_NUL)]
StatusCode = Annotated[int, Field(ge=0, le=999)]


class Attributes(BaseModel):
    """The indexed facts of an event; further names are kept but not indexed, null counts as absent."""

    model_config = ConfigDict(frozen=True, extra="allow")

    route: Annotated[Route | None, BeforeValidator(_label)] = None
    method: Annotated[Method | None, BeforeValidator(_method)] = None
    status_code: StatusCode | None = None
    error_code: Annotated[ErrorCode | None, BeforeValidator(_label)] = None
    release: Annotated[Release | None, BeforeValidator(_label)] = None

    @model_validator(mode="before")
    @classmethod
    def _set_malformed_status_aside(cls, raw: object) -> object:
        """Keep what is no status code as `status_code_raw`: a sloppy field must not lose the event."""
        if not isinstance(raw, dict):
            return raw
        present = {name: value for name, value in raw.items() if value is not None}
        if "status_code" in present:
            code = _status_code(present["status_code"])
            if code is None:
                present["status_code_raw"] = present.pop("status_code")
            else:
                present["status_code"] = code
        return present

    @model_validator(mode="after")
    def _check_extras(self) -> Self:
        if self.__pydantic_extra__:
            check_json(self.__pydantic_extra__, "attributes", ATTRIBUTE_BOUNDS)
        return self


def _status_code(value: object) -> int | None:
    """Return the status code that `value` means (503, "503", 503.0), or None."""
    if isinstance(value, str):
        digits = value.strip()
        return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 3 else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= 999 and value == int(value) else None


class EventInput(BaseModel):
    """What a client may send: three fields are required, the rest has defaults or comes from the key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    event_id: uuid.UUID | None = Field(None, description="Repeat it when you retry; made up when absent.")
    occurred_at: Timestamp = Field(description="RFC 3339 with an offset, at most 10 minutes ahead.")
    received_at: Timestamp | None = Field(None, description="Overwritten by ingest-api.")
    org_id: TenantId | None = Field(None, description="Known from the API key; must agree with it.")
    project_id: TenantId | None = Field(None, description="Known from the API key; must agree with it.")
    environment: Environment = Environment.DEV
    event_type: EventType
    severity: Severity = Severity.INFO
    message: Message
    attributes: Attributes = Attributes()
    payload: Payload = Field(default_factory=dict, description="Anything else, kept as it is.")


class Envelope(EventInput):
    """The canonical event as it stands in Kafka: every field present, instants in UTC milliseconds."""

    schema_version: Literal["1.0"]
    event_id: uuid.UUID
    occurred_at: Timestamp
    received_at: Timestamp
    org_id: TenantId
    project_id: TenantId
    environment: Environment
    event_type: EventType
    severity: Severity
    message: Message
    attributes: Attributes
    payload: Payload

    def to_json(self) -> bytes:
        """Serialize compactly, keys in the specification's order, absent attributes left out."""
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)
