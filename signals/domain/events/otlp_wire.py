"""Walks OTLP requests down to their records without parsing them: protobuf's outer three levels.

Parsing a hostile body at once would make millions of empty messages; walking it costs no memory, counts
records, and finds the bytes that name each one. Source: https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from shared_types import InvalidEvent

MAX_RECORDS: Final = 20_000  # guess: a Collector's default batch has 8,192
MAX_FIELDS: Final = MAX_RECORDS + 5_000  # with resources, scopes and addresses of schemas
MAX_MESSAGE_BYTES: Final = 256 * 1024  # guess: of one record or resource; parsed it may cost twenty-fold
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_SHIFT: Final = 63


class WireRecord(NamedTuple):
    """One log record or span, with what it belongs to; a `record` of None was too large."""

    resource: bytes
    scope: bytes
    record: bytes | None


def walk(body: bytes) -> list[WireRecord]:
    """Return the records of a logs or traces request; both have the same outer fields.

    Raises InvalidEvent when the bytes are no protobuf, or hold more than `MAX_RECORDS` records.
    """
    return list(_Walk(body).records())  # all of it is judged before any record is parsed


class _Walk:
    """One walk through a body; counts the fields that it passed."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._passed = 0

    def records(self) -> Iterator[WireRecord]:
        """Yield the records in order."""
        for number, start, end in self._messages(0, len(self._body)):
            if number != 1:
                continue
            resource = b""
            scopes: list[tuple[int, int]] = []
            for inner, inner_start, inner_end in self._messages(start, end):
                if inner == 1:
                    resource = self._bounded(inner_start, inner_end)
                elif inner == 2:
                    scopes.append((inner_start, inner_end))
            for scope_start, scope_end in scopes:
                yield from self._of_scope(resource, scope_start, scope_end)

    def _of_scope(self, resource: bytes, start: int, end: int) -> Iterator[WireRecord]:
        scope = b""
        for number, inner_start, inner_end in self._messages(start, end):
            if number == 1:
                scope = self._bounded(inner_start, inner_end)
            elif number == 2:
                is_large = inner_end - inner_start > MAX_MESSAGE_BYTES
                yield WireRecord(resource, scope, None if is_large else self._body[inner_start:inner_end])

    def _bounded(self, start: int, end: int) -> bytes:
        if end - start > MAX_MESSAGE_BYTES:
            raise InvalidEvent("too_large", None, f"A resource may have {MAX_MESSAGE_BYTES} bytes at most.")
        return self._body[start:end]

    def _messages(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield number, start and end of the length-delimited fields between `start` and `end`."""
        position = start
        while position < end:
            self._passed += 1
            if self._passed > MAX_FIELDS:
                raise InvalidEvent("too_many_events", None, f"Send at most {MAX_RECORDS} records a request.")
            tag, position = _varint(self._body, position, end)
            kind = tag & 7
            if kind == _BYTES:
                length, position = _varint(self._body, position, end)
                if length > end - position:
                    raise _malformed()
                yield tag >> 3, position, position + length
                position += length
            elif kind == _VARINT:
                _, position = _varint(self._body, position, end)
            elif kind in (_FIXED64, _FIXED32):
                position += 8 if kind == _FIXED64 else 4
            else:
                raise _malformed()
        if position > end:
            raise _malformed()


def _varint(body: bytes, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while position < end and shift <= _MAX_SHIFT:
        byte = body[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise _malformed()


def _malformed() -> InvalidEvent:
    return InvalidEvent(
        "malformed_protobuf", None, "The body is no OTLP protobuf message; check the exporter."
    )
