"""Loose spellings of clients, made canonical before the envelope is validated.

Values of the wrong kind pass through untouched: refusing them, by name, is the model's duty.
"""

import re
import unicodedata
from typing import Any, Final

from shared_types.envelope import ATTRIBUTE_BOUNDS, MAX_STATUS_CODE, TEXT_ATTRIBUTES, Attributes
from shared_types.errors import InvalidEvent
from shared_types.grouping import GROUPERS
from shared_types.json_bounds import INT64_MAX, INT64_MIN, check_json

_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)


def require_rfc3339(value: object, field: str) -> None:
    """Refuse text in another notation, and numbers, whose unit one would have to guess.

    An offset may still be missing: the model refuses that with its own reason.
    Raises InvalidEvent. Source: RFC 3339, section 5.6.
    """
    if isinstance(value, (int, float)) or (isinstance(value, str) and not _RFC3339.fullmatch(value)):
        raise InvalidEvent(
            "invalid_timestamp", field, f"Write {field} as RFC 3339, like 2025-12-27T10:00:00Z."
        )


def tidy_attributes(raw: object) -> object:
    """Drop nulls, normalize the texts, take ids out of the grouping ones, and keep what was sent aside.

    A sloppy status code must not lose the event. `status_code_raw`, `route_raw` and `error_code_raw` are
    stored but not indexed.
    """
    if not isinstance(raw, dict):
        return raw
    tidy = {name: value for name, value in raw.items() if value is not None}
    for name in TEXT_ATTRIBUTES:
        if name in tidy:
            label = tidy_value(name, tidy[name])
            if label is None:
                del tidy[name]
            else:
                tidy[name] = label
    for name, group in GROUPERS.items():
        text = tidy.get(name)
        if isinstance(text, str) and (grouped := group(text)) != text:
            tidy[name] = grouped
            keep_aside(tidy, name, text)
    if "status_code" in tidy:
        original = tidy.pop("status_code")
        status_code = tidy_value("status_code", original)
        if status_code is None:
            tidy["status_code_raw"] = original
        else:
            tidy["status_code"] = status_code
    return tidy


def tidy_value(name: str, value: object) -> object:
    """Return the value of an indexed attribute as events have it, its ids left in.

    None for a blank text, and for a status code that is none.
    """
    if name == "status_code":
        return _status_code(value)
    label = _label(value)
    return label.upper() if name == "method" and isinstance(label, str) and label.isascii() else label


def keep_aside(attributes: dict[str, Any], name: str, sent: str) -> None:
    """Add what was sent as `NAME_raw`, unless the sender uses that name, or the attributes have no room."""
    if f"{name}_raw" in attributes:
        return
    attributes[f"{name}_raw"] = sent
    extras = {key: value for key, value in attributes.items() if key not in Attributes.model_fields}
    try:
        check_json(extras, "attributes", ATTRIBUTE_BOUNDS)
    except InvalidEvent:  # a copy must not lose the event
        del attributes[f"{name}_raw"]


def _label(value: object) -> object:
    """Return the text in NFC and trimmed, a whole number as its digits, None for a blank text."""
    if isinstance(value, int) and not isinstance(value, bool) and INT64_MIN <= value <= INT64_MAX:
        return str(value)
    if not isinstance(value, str):
        return value
    text = value if value.isascii() else unicodedata.normalize("NFC", value)
    return text.strip() or None


def _status_code(value: object) -> int | None:
    """Return the status code that `value` means (503, "503", 503.0), or None."""
    if isinstance(value, str):
        digits = value.strip()
        return int(digits) if len(digits) <= 3 and digits.isascii() and digits.isdigit() else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if 0 <= value <= MAX_STATUS_CODE and value == int(value) else None
