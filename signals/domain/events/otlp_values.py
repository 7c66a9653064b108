"""Turns OTLP's attribute values, protobuf or JSON, into plain values of bounded depth."""

from collections.abc import Iterable
from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

MAX_DEPTH: Final = 8  # guess: as deep as our payload may be
MAX_NANOSECONDS: Final = 2**64 - 1  # fixed64; the lenient reader of JSON takes numbers of any length
_TEXT_KINDS: Final = ("stringValue", "intValue", "boolValue", "doubleValue")


def nanoseconds(value: object) -> float | None:
    """Return nanoseconds since the epoch, a number or its digits, as seconds; else None."""
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) <= 20 else 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_NANOSECONDS:
        return None
    return value // 1000 / 1_000_000  # microseconds: a float holds no more


def members_of(pairs: Iterable[KeyValue]) -> dict[str, object]:
    """Return the attributes of a protobuf message."""
    return {pair.key: value_of(pair.value) for pair in pairs}


def value_of(value: AnyValue, depth: int = 1) -> object:
    """Return a protobuf value; bytes and what lies too deep are None."""
    kind = value.WhichOneof("value")
    if kind in ("string_value", "int_value", "bool_value", "double_value"):
        plain: object = getattr(value, kind)
        return plain
    if depth >= MAX_DEPTH:
        return None
    if kind == "kvlist_value":
        return {pair.key: value_of(pair.value, depth + 1) for pair in value.kvlist_value.values}
    if kind == "array_value":
        return [value_of(item, depth + 1) for item in value.array_value.values]
    return None


def json_members(pairs: object) -> dict[str, object]:
    """Return the attributes of a JSON message."""
    return _members(pairs, 1)


def _members(pairs: object, depth: int) -> dict[str, object]:
    found: dict[str, object] = {}
    for pair in pairs if isinstance(pairs, list) else ():
        if isinstance(pair, dict) and isinstance(key := pair.get("key"), str):
            found[key] = json_value(pair.get("value"), depth)
    return found


def json_value(value: object, depth: int = 1) -> object:
    """Return a JSON value; 64-bit numbers may be written as text."""
    if not isinstance(value, dict):
        return None
    for kind in _TEXT_KINDS:
        if kind in value:
            return _scalar(kind, value[kind])
    if depth >= MAX_DEPTH:
        return None
    if isinstance(kvlist := value.get("kvlistValue"), dict):
        return _members(kvlist.get("values"), depth + 1)
    if isinstance(array := value.get("arrayValue"), dict):
        items = array.get("values")
        return [json_value(item, depth + 1) for item in items] if isinstance(items, list) else []
    return None


def _scalar(kind: str, value: object) -> object:
    if kind == "intValue" and isinstance(value, str):
        digits = value.removeprefix("-")
        return int(value) if digits.isascii() and digits.isdigit() and len(digits) <= 19 else None
    if isinstance(value, (str, int, float)):
        return value
    return None
