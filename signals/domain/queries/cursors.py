"""Opaque cursors: where a page ended, tied to the question it answered.

A cursor carries a position, never a permission: every page is filtered by the key's tenant again. The tie
only tells a reader who changed the question, or the key, that the cursor no longer fits.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from signals.domain.queries.parameters import InvalidQuery, instant

MAX_LENGTH: Final = 4096  # a point in time of OpenSearch is a few hundred characters
MAX_RANK: Final = 100
TIE_LENGTH: Final = 16  # hex digits: enough to notice an accident, which is all it is for

_INVALID: Final = "use next_cursor of the previous page as it is, with the same parameters and key"


def tie(*question: object) -> str:
    """Name a question, so that a cursor can be tied to it."""
    return hashlib.sha256(repr(question).encode("utf-8", "surrogatepass")).hexdigest()[:TIE_LENGTH]


def encode(position: Sequence[str | int | None], *, tied_to: str) -> str:
    """Write a position as text that is safe in a URL."""
    text = json.dumps([tied_to, *position], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode("ascii")).rstrip(b"=").decode("ascii")


def decode(cursor: str, kinds: Sequence[type], *, tied_to: str) -> list[object]:
    """Read a position whose parts have these `kinds`.

    Raises:
        InvalidQuery: when the cursor is not of ours, or belongs to another question.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise InvalidQuery("cursor", _INVALID) from error
    if not isinstance(parts, list) or len(parts) != len(kinds) + 1 or parts[0] != tied_to:
        raise InvalidQuery("cursor", _INVALID)
    position = parts[1:]
    if any(type(part) is not kind for part, kind in zip(position, kinds, strict=True)):
        raise InvalidQuery("cursor", _INVALID)
    return position


def encode_row(at: datetime, row_id: UUID, *, tied_to: str) -> str:
    """Write the position after a row that is ordered by an instant and its id."""
    return encode([at.isoformat(), str(row_id)], tied_to=tied_to)


def encode_ranked(rank: int, at: datetime, row_id: UUID, *, tied_to: str) -> str:
    """Write the position after a row that is ordered by a rank, an instant and its id."""
    return encode([rank, at.isoformat(), str(row_id)], tied_to=tied_to)


def decode_ranked(cursor: str, *, tied_to: str) -> tuple[int, datetime, UUID]:
    """Read what `encode_ranked` wrote.

    Raises:
        InvalidQuery: as `decode` does.
    """
    rank, at, row_id = decode(cursor, (int, str, str), tied_to=tied_to)
    moment, position = _row(at, row_id)
    if not 0 <= int(str(rank)) <= MAX_RANK:
        raise InvalidQuery("cursor", _INVALID)
    return int(str(rank)), moment, position


def decode_row(cursor: str, *, tied_to: str) -> tuple[datetime, UUID]:
    """Read what `encode_row` wrote.

    Raises:
        InvalidQuery: as `decode` does.
    """
    at, row_id = decode(cursor, (str, str), tied_to=tied_to)
    return _row(at, row_id)


def _row(at: object, row_id: object) -> tuple[datetime, UUID]:
    try:
        moment = datetime.fromisoformat(str(at))
        position = UUID(str(row_id))
    except ValueError as error:
        raise InvalidQuery("cursor", _INVALID) from error
    instant("cursor", str(at))  # aware, and of a year that servers can hold
    return moment, position
