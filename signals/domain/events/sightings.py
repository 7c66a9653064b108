"""Reads what counting needs of a record, without building the whole event.

The fast path knows fewer events than the envelope does. Every record that it does not recognize as plain and
canonical is read strictly, so that every verdict is the envelope's. Words and limits come from the contract.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar
from uuid import UUID

import msgspec

from shared_types import (
    SCHEMA_VERSION,
    Envelope,
    Environment,
    EventType,
    InvalidEvent,
    Severity,
    parse_envelope,
)
from shared_types.envelope import ATTRIBUTE_BOUNDS, MAX_STATUS_CODE, MESSAGE_CHARS, TEXT_ATTRIBUTES
from shared_types.json_bounds import INT64_MAX, INT64_MIN, check_json
from signals.domain.detection.buckets import BUCKET_S, Series, series_of
from signals.domain.detection.recent_ids import id_of_key, recent_key
from signals.domain.detection.rule_index import Kind

MAX_LEARNED: Final = 32_768  # of each sort; a kind takes about 1 KB. Beyond it they are learned again

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DEPLOY: Final = EventType.DEPLOY.value
_MINUTE_MS: Final = BUCKET_S * 1000


class Sighting(msgspec.Struct, frozen=True, gc=False):
    """One event as counting sees it; `series` is None when Rules A and B do not count it.

    `key` stands for the event among recent ids, `occurred_ms` is since the epoch, and so are the minutes.
    `kind`, severity and status code decide which rules of the project's own count it. A batch keeps
    thousands: no member may be an object that the garbage collector tracks and that is the event's alone.
    """

    project_id: str
    series: Series | None
    key: bytes
    occurred_ms: int
    minute: int
    received_minute: int
    kind: Kind
    severity: str
    status_code: int | None
    is_deploy: bool = False

    @property
    def event_id(self) -> UUID:
        """The event's id."""
        return id_of_key(self.key)


def sighting_of(event: Envelope) -> Sighting:
    """Reduce an event to what counting needs."""
    occurred_ms = (event.occurred_at - _EPOCH) // timedelta(milliseconds=1)
    return Sighting(
        project_id=event.project_id,
        series=series_of(event),
        key=recent_key(event.project_id, event.event_id),
        occurred_ms=occurred_ms,
        minute=occurred_ms // _MINUTE_MS,
        received_minute=int(event.received_at.timestamp()) // BUCKET_S,
        kind=_kind_of(event),
        severity=event.severity.value,
        status_code=event.attributes.status_code,
        is_deploy=event.event_type is EventType.DEPLOY,
    )


def instant_of_ms(milliseconds: int) -> datetime:
    """Return the UTC instant of milliseconds since the epoch."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def _one_of(words: type[StrEnum]) -> Any:
    return Literal[tuple(word.value for word in words)]


if TYPE_CHECKING:  # a type checker cannot follow types that are made from the contract's words
    _Version = str
    _Environment = str
    _EventType = str
    _Severity = str
else:
    _Version = Literal[SCHEMA_VERSION]
    _Environment, _EventType, _Severity = map(_one_of, (Environment, EventType, Severity))

# Texts stay within the attributes' bytes, at four a character; containers, whose depth is bounded, are left
# to the envelope.
_Scalar = (
    Annotated[str, msgspec.Meta(max_length=ATTRIBUTE_BOUNDS.max_text_bytes // 4)]
    | Annotated[int, msgspec.Meta(ge=INT64_MIN, le=INT64_MAX)]
    | float
    | bool
    | None
)


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The envelope's members as far as their types say it; the reader checks the rest."""

    schema_version: _Version
    event_id: UUID
    occurred_at: str
    received_at: str
    org_id: str
    project_id: str
    environment: _Environment
    event_type: _EventType
    severity: _Severity
    message: Annotated[str, msgspec.Meta(min_length=1, max_length=MESSAGE_CHARS)]
    attributes: dict[str, _Scalar]
    payload: dict[str, _Scalar]


# Unpacked, because a loop over them costs a tenth of reading a record; it fails when the contract has more.
_LABEL_1, _LABEL_2, _LABEL_3, _LABEL_4 = TEXT_ATTRIBUTES
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_decode = msgspec.json.Decoder(_Record).decode

# The end of a canonical instant, `:SS` and `.mmmZ`, in milliseconds.
_SECONDS_MS: Final = {f":{second:02}": second * 1000 for second in range(60)}
_FRACTION_MS: Final = {f".{fraction:03}Z": fraction for fraction in range(1000)}


class SightingReader:
    """Reads one record after the other, and learns from those it had to read strictly.

    It learns kinds of events (tenant, type and labels), minutes, and names of members: few are new, and
    what the envelope has said of them holds for the next event as well.
    """

    def __init__(self) -> None:
        self._kinds: dict[Kind, tuple[Kind, Series | None]] = {}
        self._minutes: dict[str, int] = {}
        self._names: dict[tuple[str, ...], bool] = {}

    def read(self, data: bytes) -> Sighting:
        """Read a record of `signals.raw.v1`.

        Raises InvalidEvent when the bytes are no canonical envelope.
        """
        try:
            record = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return sighting_of(parse_envelope(data))
        try:
            sighting = self._known(record)
        except KeyError:  # something of it is new
            sighting = None
        # NUL stands in JSON as its escape alone; to look for one character first is ten times cheaper.
        if sighting is None or (b"\\" in data and b"\\u0000" in data):
            return self._strictly(data, record)
        return sighting

    def _known(self, record: _Record) -> Sighting | None:
        """Look the record's parts up; None when the envelope might refuse one.

        Raises KeyError when one is new, or an instant is not canonical.
        """
        attributes, occurred_at, received_at = record.attributes, record.occurred_at, record.received_at
        get = attributes.get
        kind, series = self._kinds[
            record.org_id,
            record.project_id,
            record.environment,
            record.event_type,
            get(_LABEL_1),
            get(_LABEL_2),
            get(_LABEL_3),
            get(_LABEL_4),
        ]
        minute = self._minutes[occurred_at[:16]]
        past_ms = _SECONDS_MS[occurred_at[16:19]] + _FRACTION_MS[occurred_at[19:]]
        received_minute = self._minutes[received_at[:16]]
        _SECONDS_MS[received_at[16:19]], _FRACTION_MS[received_at[19:]]
        status_code = get("status_code")
        if not (
            self._names[tuple(attributes)]
            and self._names[tuple(record.payload)]
            and (status_code is None or (type(status_code) is int and 0 <= status_code <= MAX_STATUS_CODE))
            and not record.message[0].isspace()
        ):
            return None
        return Sighting(
            record.project_id,
            series,
            recent_key(record.project_id, record.event_id),
            minute * _MINUTE_MS + past_ms,
            minute,
            received_minute,
            kind,
            record.severity,
            status_code,
            record.event_type == _DEPLOY,
        )

    def _strictly(self, data: bytes, record: _Record) -> Sighting:
        event = parse_envelope(data)
        sighting = sighting_of(event)
        _learn(self._kinds, sighting.kind, (sighting.kind, sighting.series))
        _learn(self._minutes, _prefix(event.occurred_at), sighting.minute)
        _learn(self._minutes, _prefix(event.received_at), sighting.received_minute)
        for members in (record.attributes, record.payload):
            _learn(self._names, tuple(members), _are_names(tuple(members)))
        return sighting


def _kind_of(event: Envelope) -> Kind:
    attributes = event.attributes
    return (
        event.org_id,
        event.project_id,
        event.environment.value,
        event.event_type.value,
        *(getattr(attributes, name) for name in TEXT_ATTRIBUTES),
    )


def _prefix(instant: datetime) -> str:
    """Return a canonical instant without seconds, of which each minute has one."""
    return instant.isoformat(timespec="minutes")[:16]


def _are_names(names: tuple[str, ...]) -> bool:
    try:
        check_json(dict.fromkeys(names), "names", ATTRIBUTE_BOUNDS)
    except InvalidEvent:
        return False
    return True


def _learn(memory: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    if len(memory) >= MAX_LEARNED:
        memory.clear()
    memory[key] = value
