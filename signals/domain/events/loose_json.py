"""Reads JSON as clients really write it, within bounds.

Clients send lone surrogates (a cut emoji), NaN and broken UTF-8. One bad character must not cost the event.
"""

import json
import re
from contextlib import suppress
from typing import Final

import orjson

from shared_types import InvalidEvent

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


def read_json(text: bytes) -> object:
    """Parse one JSON value.

    Raises InvalidEvent when it is no JSON, or holds more than `MAX_VALUES` values.
    """
    if holds_more_values(text, MAX_VALUES):
        raise InvalidEvent(
            "too_many_values", None, f"Send at most {MAX_VALUES} JSON values at once; send smaller requests."
        )
    with suppress(orjson.JSONDecodeError):  # the lenient reader below decides
        return orjson.loads(text)
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
