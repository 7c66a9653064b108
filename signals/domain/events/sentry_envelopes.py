"""Splits a Sentry envelope into its items, honouring their lengths.

Source: https://develop.sentry.dev/sdk/data-model/envelopes/ (framing).
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from shared_types import InvalidEvent
from signals.domain.events.foreign import count
from signals.domain.events.loose_json import read_object

MAX_ITEMS: Final = 100  # guess: SDKs send up to 3 (recorded)
_BLANKS: Final = re.compile(rb"\s*+")
MAX_HEADER_BYTES: Final = 64 * 1024  # guess: a header line holds trace and SDK, some 500 bytes


@dataclass(frozen=True, slots=True)
class Item:
    """One item; `payload` is a view into the body."""

    type: str
    payload: memoryview

    @property
    def text(self) -> bytes:
        """The payload as bytes; the body itself when the item is all of it."""
        whole = self.payload.obj
        return whole if isinstance(whole, bytes) and len(whole) == len(self.payload) else bytes(self.payload)


@dataclass(frozen=True, slots=True)
class SentryEnvelope:
    """Header and items, and how many items could not be read, by reason."""

    header: dict[str, object] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)


def split_envelope(body: bytes) -> SentryEnvelope:
    """Split an envelope; items behind one that cannot be delimited are lost, those before it are kept.

    Raises InvalidEvent when the first line is no JSON object, or there are more than `MAX_ITEMS` items.
    """
    if not body.strip():
        return SentryEnvelope()
    header_line, position = _line(body, len(body) - len(body.lstrip()))
    envelope = SentryEnvelope(header=read_object(header_line))
    view = memoryview(body)
    while (position := _after_blanks(body, position)) < len(body):
        header, start = _item_header(body, position)
        if header is None:
            count(envelope.refused, "malformed item header")
            break
        if len(envelope.items) >= MAX_ITEMS:
            raise InvalidEvent(
                "too_many_items", None, f"An envelope may hold {MAX_ITEMS} items; send several envelopes."
            )
        end, position = _payload_end(body, start, header.get("length"))
        if end > len(body):
            count(envelope.refused, "truncated item")
            break
        kind = header.get("type")
        envelope.items.append(Item(kind if isinstance(kind, str) else "other", view[start:end]))
        if position < end:
            count(envelope.refused, "wrong item length")
            break
    return envelope


def _after_blanks(body: bytes, position: int) -> int:
    match = _BLANKS.match(body, position)
    return match.end() if match else position


def _line(body: bytes, start: int) -> tuple[bytes, int]:
    """Return the line that begins at `start`, and where the next one begins."""
    end = body.find(b"\n", start)
    end = len(body) if end < 0 else end
    if end - start > MAX_HEADER_BYTES:
        raise InvalidEvent("malformed_envelope", None, "A header line is too long; check the framing.")
    return body[start:end], end + 1


def _item_header(body: bytes, start: int) -> tuple[dict[str, object] | None, int]:
    """Return the header of an item and where its payload begins; None when the line is no header."""
    try:
        line, start = _line(body, start)
        return read_object(line), start
    except InvalidEvent:
        return None, start


def _payload_end(body: bytes, start: int, length: object) -> tuple[int, int]:
    """Return the end of a payload and of what delimits it; the latter lies before the end if nothing does."""
    if isinstance(length, int) and not isinstance(length, bool) and length >= 0:
        end = start + length
        is_delimited = end >= len(body) or body[end : end + 1] == b"\n" or body[end : end + 2] == b"\r\n"
        return end, end if is_delimited else end - 1
    end = body.find(b"\n", start)
    end = len(body) if end < 0 else end
    return end, end + 1
