"""Bounds on free-form JSON (extra attributes, payload), so that every store downstream can hold it.

PostgreSQL text has no NUL, UTF-8 has no lone surrogates, JSON has no NaN, OpenSearch's long has 64 bits,
and its document parser refuses blank or dot-edged names.
"""

import math
import re
from collections.abc import Collection
from dataclasses import dataclass

from shared_types.errors import InvalidEvent

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
MAX_NAME_CHARS = 128  # guess: long enough for dotted telemetry names

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonBounds:
    """How large one free-form object may be."""

    max_depth: int
    """Nested containers, the object itself counted as 1."""
    max_values: int
    """Members of all objects and arrays together."""
    max_text_bytes: int
    """UTF-8 bytes of one string."""


def check_json(root: dict[str, object], field: str, bounds: JsonBounds) -> None:
    """Accept `root` when it is plain JSON within `bounds`.

    Raises InvalidEvent naming the member at fault by its dotted path below `field`.
    """
    containers: list[tuple[Collection[object], str, int]] = [(root, field, 1)]
    values = 0
    for container, path, depth in containers:  # grows while it is walked
        values += len(container)
        if depth > bounds.max_depth:
            raise InvalidEvent("too_deep", field, f"{field} may be nested {bounds.max_depth} levels at most.")
        if values > bounds.max_values:
            raise InvalidEvent(
                "too_many_fields", field, f"{field} may hold {bounds.max_values} values at most."
            )
        if isinstance(container, dict):
            for name in container:
                # An identifier has neither dots nor anything that cannot be stored: the quick way out.
                if not (isinstance(name, str) and name.isidentifier() and len(name) <= MAX_NAME_CHARS):
                    _check_name(name, path)
        for key, value in container.items() if isinstance(container, dict) else enumerate(container):
            if isinstance(value, (dict, list)):  # a tuple: building a union at each call is slow
                containers.append((value, f"{path}.{key}", depth + 1))
            elif value is not None:
                _check_scalar(value, path, key, bounds.max_text_bytes)


def _check_name(name: object, path: str) -> None:
    if not isinstance(name, str) or _UNSTORABLE.search(name):
        raise InvalidEvent("invalid_name", path, f"Names in {path} must be text without NUL or surrogates.")
    if len(name) > MAX_NAME_CHARS:
        raise InvalidEvent("invalid_name", path, f"Names in {path} may have {MAX_NAME_CHARS} characters.")
    # A blank part between dots is ambiguous to OpenSearch's parser.
    if not all(part.strip() for part in name.split(".")):
        raise InvalidEvent("invalid_name", path, f"Names in {path} must not be blank between or beside dots.")


def _check_scalar(value: object, path: str, key: object, max_text_bytes: int) -> None:
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            raise InvalidEvent(
                "invalid_text", f"{path}.{key}", f"Remove NUL and surrogate characters from {path}.{key}."
            )
        # A character has at most 4 bytes, so short texts need no encoding to be measured.
        if len(value) * 4 > max_text_bytes and len(value.encode()) > max_text_bytes:
            raise InvalidEvent(
                "too_long", f"{path}.{key}", f"{path}.{key} may have {max_text_bytes} bytes at most."
            )
    elif isinstance(value, int):
        if not INT64_MIN <= value <= INT64_MAX:
            raise InvalidEvent(
                "invalid_number", f"{path}.{key}", f"{path}.{key} exceeds 64 bits; send it as text."
            )
    elif not isinstance(value, float):
        raise InvalidEvent("invalid_type", f"{path}.{key}", f"{path}.{key} is not a JSON value.")
    elif not math.isfinite(value):
        raise InvalidEvent("invalid_number", f"{path}.{key}", f"{path}.{key} must be a finite number.")
