"""Reads JSON as clients really write it, within bounds.

Clients send lone surrogates (a cut emoji), NaN and broken UTF-8. One bad character must not cost the event.
"""

import json
import re
from typing import Final

import orjson

from shared_types import InvalidEvent

MAX_LOOSE_BYTES: Final = 2 * 1024 * 1024  # of text that takes four bytes a character, twice: 16 MiB
WIDE_BYTES: Final = 1024 * 1024  # Python keeps a text with one emoji at four bytes a character
_WIDE_LEADS: Final = (b"\xf0", b"\xf1", b"\xf2", b"\xf3", b"\xf4")  # first bytes of such a character
MAX_VALUES: Final = 250_000  # as in our own batches: parsed they cost some 20 MB

# What stands outside strings, up to and with one comma or opening bracket. A string that is not closed ends
# with its line: no parser reads on there. Possessive throughout: flat memory, time linear in the text.
_STRING = rb'"(?:[^"\\\r\n]++|\\[^\r\n])*+(?:"|\\?+(?=[\r\n]|\Z))'
_UP_TO_MARK = rb'(?:[^",\[{]++|' + _STRING + rb")*+[,\[{]"


def holds_more_values(text: bytes, limit: int) -> bool:
    """Whether more than `limit` commas and opening brackets stand outside the strings of a JSON text.

    That many values it holds at least: the cost of its parsed form is known before it is parsed.
    """
    if text.count(b",") + text.count(b"[") + text.count(b"{") <= limit:
        return False
    return re.match(rb"(?:" + _UP_TO_MARK + rb"){%d}+" % (limit + 1), text) is not None


def _holds_wide_text(text: bytes) -> bool:
    """Whether a string of at least `WIDE_BYTES` holds a character beyond the basic plane."""
    if not any(lead in text for lead in _WIDE_LEADS):
        return False
    for start in range(0, len(text) - WIDE_BYTES + 1, WIDE_BYTES):
        if text.find(b'"', start, start + WIDE_BYTES) < 0:
            first, end = text.rfind(b'"', 0, start) + 1, text.find(b'"', start)
            string = (first, end if end >= 0 else len(text))
            if any(text.find(lead, *string) >= 0 for lead in _WIDE_LEADS):
                return True
    return False


def read_json(text: bytes) -> object:
    """Parse one JSON value.

    Raises InvalidEvent when it is no JSON, holds more than `MAX_VALUES` values, or a text of millions of
    characters that takes four bytes for each.
    """
    if len(text) > WIDE_BYTES and _holds_wide_text(text):
        raise InvalidEvent(
            "text_too_long", None, f"A text with emoji may have {WIDE_BYTES} bytes; send a shorter one."
        )
    if holds_more_values(text, MAX_VALUES):
        raise InvalidEvent(
            "too_many_values", None, f"Send at most {MAX_VALUES} JSON values at once; send smaller requests."
        )
    value: object
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = _read_loosely(text)
    return value


def _read_loosely(text: bytes) -> object:
    if len(text) > MAX_LOOSE_BYTES:
        raise InvalidEvent(
            "malformed_json", None, f"The body is no strict JSON; above {MAX_LOOSE_BYTES} bytes it must be."
        )
    try:
        value: object = json.loads(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise InvalidEvent("malformed_json", None, "The body is no JSON; send valid JSON.") from error
    return value


def read_object(text: bytes) -> dict[str, object]:
    """Parse one JSON object. Raises InvalidEvent as `read_json` does, and for any other JSON value."""
    value = read_json(text)
    if not isinstance(value, dict):
        raise InvalidEvent("not_an_object", None, "The body must be a JSON object.")
    return value
