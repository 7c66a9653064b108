"""The event envelope as pydantic models: the source of truth for types, limits and the JSON Schema.

Source: docs/requirements.md, R12 and R13. Limits are guesses unless a comment says otherwise.
"""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
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

MESSAGE_CHARS: Final = 8192
# A fingerprint of route and error code must fit PostgreSQL's 2,704 bytes for a row of a unique index.
ROUTE_CHARS: Final = 256
LABEL_CHARS: Final = 128
MAX_STATUS_CODE: Final = 999  # three digits, as HTTP has them
TENANT_ID_PATTERN: Final = r"^[A-Za-z0-9_.-]{1,64}$"  # no `|`: it separates the parts of a partition key

_NO_NUL: Final = r"^[^\x00]*$"  # PostgreSQL cannot store it


def _utc_milliseconds(value: datetime) -> datetime:
    """Convert to UTC and cut (not round: the minute must not change) to milliseconds."""
    offset = value.utcoffset()
    if offset is None:
        raise InvalidEvent("naive_timestamp", message="Add an offset to the timestamp, like Z or +02:00.")
    if not MIN_YEAR <= value.year <= MAX_YEAR:
        raise InvalidEvent(
            "timestamp_out_of_range", message=f"The year must lie between {MIN_YEAR} and {MAX_YEAR}."
        )
    surplus = value.microsecond % 1000
    if surplus:
        value = value.replace(microsecond=value.microsecond - surplus)
    return value if value.tzinfo is UTC else value.astimezone(UTC)


def _rfc3339(value: datetime) -> str:
    return value.isoformat(timespec="milliseconds")[:-6] + "Z"


def _bounded_payload(value: dict[str, object]) -> dict[str, object]:
    if value:
        check_json(value, "payload", PAYLOAD_BOUNDS)
    return value


Timestamp = Annotated[
    datetime,
    AfterValidator(_utc_milliseconds),
    PlainSerializer(_rfc3339, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
TenantId = Annotated[str, StringConstraints(pattern=TENANT_ID_PATTERN)]
Message = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MESSAGE_CHARS, pattern=_NO_NUL)
]
Payload = Annotated[dict[str, object], AfterValidator(_bounded_payload)]
Route = Annotated[str, StringConstraints(max_length=ROUTE_CHARS, pattern=_NO_NUL)]
Label = Annotated[str, StringConstraints(max_length=LABEL_CHARS, pattern=_NO_NUL)]
StatusCode = Annotated[int, Field(ge=0, le=MAX_STATUS_CODE)]


class Attributes(BaseModel):
    """The indexed facts of an event; further names are kept but not indexed, null counts as absent."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    route: Route | None = None
    method: Label | None = None
    status_code: StatusCode | None = None
    error_code: Label | None = None
    release: Label | None = None

    @model_validator(mode="after")
    def _check_extras(self) -> Self:
        if self.__pydantic_extra__:
            check_json(self.__pydantic_extra__, "attributes", ATTRIBUTE_BOUNDS)
        return self


TEXT_ATTRIBUTES: Final[Mapping[str, int]] = {
    name: constraint.max_length
    for name, field in Attributes.model_fields.items()
    for kind in get_args(field.annotation)
    for constraint in getattr(kind, "__metadata__", ())
    if isinstance(constraint, StringConstraints) and constraint.max_length
}
"""The indexed attributes that are text, and how many characters each may have; the others are numbers."""


class EventInput(BaseModel):
    """An event from a client: three fields are required, the rest has defaults or comes from the key."""

    # An error's text reaches logs with its traceback; an event's text must not.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

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
        """Serialize compactly, keys in the order of requirement R12, absent attributes left out."""
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)
