"""Reads what counting needs of a record, without building the whole event.

The fast path knows fewer events than the envelope does. Every record that it does not recognize as plain and
canonical is read strictly, so that every verdict is the envelope's. Words and limits come from the contract.
"""

from collections.abc import Mapping
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
from signals.domain.detection.recent_ids import id_of_key, recent_key, recent_key_end
from signals.domain.detection.rule_index import Kind

MAX_LEARNED: Final = 32_768  # of each sort; a kind takes about 1 KB. Beyond it they are learned again
MAX_REPEATED: Final = 8_192  # attributes that are remembered with their bytes: 3 MB of usual ones
MAX_REPEATED_BYTES: Final = 512  # longer ones are seldom repeated, and read each time

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DEPLOY: Final = EventType.DEPLOY.value
_MINUTE_MS: Final = BUCKET_S * 1000
_BACKSLASH: Final = ord("\\")
_SHORT_BYTES: Final = 640  # half of it is the envelope's own: a level takes two
_ID_BYTES: Final = 16
_ID_CHARS: Final = 36  # 32 digits and four hyphens


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
    event_id: str  # a UUID object costs as much as all instants together
    occurred_at: str
    received_at: str
    org_id: str
    project_id: str
    environment: _Environment
    event_type: _EventType
    severity: _Severity
    message: Annotated[str, msgspec.Meta(min_length=1, max_length=MESSAGE_CHARS)]
    attributes: msgspec.Raw  # most events repeat those of an earlier one, byte by byte
    payload: dict[str, _Scalar]


_KnownKind = tuple[Kind, Series | None, str, bytes, bool]
"""The kind and its series, the project, the end of its `recent_key`, and whether it is a deploy."""
_KnownEvent = tuple[_KnownKind, int | None]
"""The kind and the status code."""
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_decode = msgspec.json.Decoder(_Record).decode
_decode_attributes = msgspec.json.Decoder(dict[str, _Scalar]).decode

# The end of a canonical instant: `:SS`, and `.mmmZ`, in milliseconds.
_SECONDS_MS: Final = {f":{second:02}": second * 1000 for second in range(60)}
_FRACTION_MS: Final = {f".{fraction:03}Z": fraction for fraction in range(1000)}


class _Seconds(dict[str, int]):
    """Milliseconds since the epoch of canonical instants without their fraction, as far as minutes are known.

    Looking one up raises KeyError when its minute is not known, or it is not canonical.
    """

    __slots__ = ("_minutes",)

    def __init__(self, minutes: Mapping[str, int]) -> None:
        super().__init__()
        self._minutes = minutes

    def __missing__(self, instant: str) -> int:
        found = self._minutes[instant[:16]] * _MINUTE_MS + _SECONDS_MS[instant[16:]]
        _learn(self, instant, found)
        return found


class SightingReader:
    """Reads one record after the other, and learns from those it had to read strictly.

    It learns kinds of events (tenant, type and labels), minutes, and names of members: few are new, and
    what the envelope has said of them holds for the next event as well. Attributes that come again, byte
    by byte, are not read again.
    """

    def __init__(self) -> None:
        self._repeated: dict[tuple[str, str, str, str, bytes], _KnownEvent] = {}
        self._kinds: dict[Kind, _KnownKind] = {}
        self._minutes: dict[str, int] = {}
        self._seconds = _Seconds(self._minutes)
        self._names: dict[tuple[str, ...], bool] = {}

    def read(self, data: bytes) -> Sighting:
        """Read a record of `signals.raw.v1`.

        Raises InvalidEvent when the bytes are no canonical envelope.
        """
        try:
            record = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return sighting_of(parse_envelope(data))
        try:
            sighting = self._known(record)
        except (KeyError, ValueError, msgspec.DecodeError):  # something of it is new, or not canonical
            sighting = None
        # NUL stands in JSON as its escape alone; to look for one character first is ten times cheaper.
        if sighting is None or (_BACKSLASH in data and b"\\u0000" in data) or not _is_read_whole(data):
            return self._strictly(data, record)
        return sighting

    def _known(self, record: _Record) -> Sighting | None:
        """Look the record's parts up; None when the envelope might refuse one.

        Raises KeyError when one is new, or an instant is not canonical, ValueError when the id is not,
        and msgspec.DecodeError when attributes are not plain.
        """
        occurred_at, received_at, seconds = record.occurred_at, record.received_at, self._seconds
        attributes = bytes(record.attributes)
        key = record.org_id, record.project_id, record.environment, record.event_type, attributes
        known = self._repeated.get(key) or self._of_attributes(key)
        if known is None or not self._names[tuple(record.payload)] or record.message[0].isspace():
            return None
        # What is known of a kind holds its texts, which have their hash: the record's are new objects.
        (kind, series, project_id, key_end, is_deploy), status_code = known
        occurred_ms = seconds[occurred_at[:19]] + _FRACTION_MS[occurred_at[19:]]
        received_ms = seconds[received_at[:19]] + _FRACTION_MS[received_at[19:]]
        return Sighting(
            project_id,
            series,
            _id_bytes(record.event_id) + key_end,
            occurred_ms,
            occurred_ms // _MINUTE_MS,
            received_ms // _MINUTE_MS,
            kind,
            record.severity,
            status_code,
            is_deploy,
        )

    def _of_attributes(self, key: tuple[str, str, str, str, bytes]) -> _KnownEvent | None:
        """Read attributes, and learn what they say; None when the envelope might refuse them.

        Raises KeyError when their kind or names are new, and msgspec.DecodeError when they are not plain.
        """
        *tenancy_and_type, data = key
        attributes = _decode_attributes(data)
        known = self._kinds[*tenancy_and_type, *map(attributes.get, TEXT_ATTRIBUTES)]
        code = attributes.get("status_code")
        if code is not None and not (type(code) is int and 0 <= code <= MAX_STATUS_CODE):
            return None
        if not self._names[tuple(attributes)]:
            return None
        if len(data) <= MAX_REPEATED_BYTES:
            _learn(self._repeated, key, (known, code), MAX_REPEATED)
        return known, code

    def _strictly(self, data: bytes, record: _Record) -> Sighting:
        event = parse_envelope(data)
        sighting = sighting_of(event)
        known = (
            sighting.kind,
            sighting.series,
            sighting.project_id,
            recent_key_end(sighting.project_id),
            sighting.is_deploy,
        )
        _learn(self._kinds, sighting.kind, known)
        _learn(self._minutes, _prefix(event.occurred_at), sighting.minute)
        _learn(self._minutes, _prefix(event.received_at), sighting.received_minute)
        try:
            attributes = _decode_attributes(record.attributes)
        except (msgspec.DecodeError, UnicodeDecodeError):  # containers: these are always read strictly
            return sighting
        for members in (attributes, record.payload):
            _learn(self._names, tuple(members), _are_names(tuple(members)))
        return sighting


def _is_read_whole(data: bytes) -> bool:
    """Say whether no member of a decoded record was skipped unread, because a second one replaced it.

    What is skipped must be JSON, but may hold invalid UTF-8, 200 levels or 4,300 digits, which the envelope
    refuses. A short record of ASCII has no room for them.
    """
    if len(data) <= _SHORT_BYTES and data.isascii():
        return True
    return data.count(b'"attributes"') == 1 and b"\\u" not in data


def _id_bytes(text: str) -> bytes:
    """Return the bytes of a canonical UUID.

    Raises ValueError for other texts; the envelope knows more forms.
    """
    found = bytes.fromhex(text.replace("-", ""))  # it would skip blanks, but then there are fewer bytes
    if len(found) != _ID_BYTES or len(text) != _ID_CHARS or text[8:24:5] != "----":
        raise ValueError("not canonical")
    return found


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


def _learn(memory: dict[_Key, _Value], key: _Key, value: _Value, most: int | None = None) -> None:
    if len(memory) >= (most or MAX_LEARNED):
        memory.clear()
    memory[key] = value
