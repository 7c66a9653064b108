"""Makes foreign text fit to be kept: storable, short, and without cards, mail addresses and tokens."""

import json
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Final

import orjson

from shared_types.json_bounds import INT64_MAX, INT64_MIN, MAX_NAME_CHARS
from signals.domain.events.secret_search import without_secrets
from signals.domain.events.secrets import is_secret_name

MAX_KEPT_CHARS: Final = 1_000  # of one text in payload: within what the quick readers take
MAX_MEMBERS: Final = 32  # guess: of tags, properties and lists
MAX_DEPTH: Final = 3  # guess: of properties that are kept
MARK_CHARS: Final = 9  # a cut text ends with `~` and a hash
MAX_READ_CHARS: Final = 32_768  # guess: read of one text, so that time is bounded
SHORT_CHARS: Final = 64  # of a text that is remembered: 4,096 of them take 0.5 MB
_MARGIN_CHARS: Final = 512  # guess: longer than most tokens
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


def clean(text: str) -> str:
    """Return text that every store takes: lone surrogates and NUL become U+FFFD, edges are trimmed."""
    if text.isascii() and "\x00" not in text:  # almost always
        return text.strip()
    return _UNSTORABLE.sub("\ufffd", text).strip()


def masked(text: str, limit: int = MAX_KEPT_CHARS) -> str:
    """Return cleaned text without what looks like a secret or a person's data, at most `limit` long."""
    return _masked_short(text, limit) if len(text) <= SHORT_CHARS else _masked(text, limit)


@lru_cache(maxsize=4096)
def _masked_short(text: str, limit: int) -> str:
    """Remember short texts: names of events, libraries and plans come with every request."""
    return _masked(text, limit)


def _masked(text: str, limit: int) -> str:
    text = clean(text[: 2 * limit + _MARGIN_CHARS])  # beyond what is kept: half a token looks like none
    return without_secrets(text, _mask)[:limit].strip()


def _mask(kind: str, _: str) -> str:
    return f"[{kind}]"


def label(text: str, limit: int) -> str | None:
    """Return a label of at most `limit` characters, None when blank; two long ones stay two."""
    return _short_label(text, limit) if len(text) <= SHORT_CHARS else _label(text, limit)


@lru_cache(maxsize=4096)
def _short_label(text: str, limit: int) -> str | None:
    """Remember short labels: methods, releases and services come with every request."""
    return _label(text, limit)


def _label(text: str, limit: int) -> str | None:
    text = clean(text[:MAX_READ_CHARS])
    if len(text) > limit:
        mark = blake2b(text.encode(), digest_size=(MARK_CHARS - 1) // 2).hexdigest()
        text = f"{text[: limit - MARK_CHARS].strip()}~{mark}"
    return text or None


def masked_members(members: object) -> dict[str, object]:
    """Return the members of an object that may be kept: masked, few, short and not deep."""
    return _members(members, 1) if isinstance(members, dict) else {}


def _members(members: Mapping[object, object], depth: int) -> dict[str, object]:
    kept: dict[str, object] = {}
    for name, value in members.items():
        if len(kept) >= MAX_MEMBERS:
            break
        if not isinstance(name, str) or value is None:
            continue
        plain = name if name.isidentifier() else masked(name, MAX_NAME_CHARS)
        if not is_storable_name(plain):
            continue
        found = "[secret]" if is_secret_name(name) and not isinstance(value, bool) else _value(value, depth)
        if found is not None:
            kept[plain] = found
    return kept


def is_storable_name(name: str) -> bool:
    """Whether our stores take this as the name of a member. Source: shared_types.json_bounds."""
    if name.isidentifier() and len(name) <= MAX_NAME_CHARS:
        return True
    parts = name.split(".")
    return len(name) <= MAX_NAME_CHARS and not _UNSTORABLE.search(name) and all(p.strip() for p in parts)


def _value(value: object, depth: int) -> object:
    match value:
        case bool():
            return value
        case str():
            return masked(value)
        case int():
            return _number(value) if INT64_MIN <= value <= INT64_MAX else None
        case float():
            return _number(value) if math.isfinite(value) else None
        case dict() if depth < MAX_DEPTH:
            return _members(value, depth + 1)
        case list() if depth < MAX_DEPTH:
            items = (_value(item, depth + 1) for item in value[:MAX_MEMBERS])
            return [item for item in items if item is not None]
        case _:
            return None


def _number(value: float) -> object:
    text = str(int(value)) if value == int(value) else str(value)
    found = masked(text)
    return value if found == text else found


def text_of(value: object, limit: int = MAX_READ_CHARS) -> str:
    """Return a value as text: as it is, or as JSON; empty for null."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value[:limit]
    try:
        return orjson.dumps(value).decode()[:limit]
    except TypeError:  # a lone surrogate, 65 bits, or too deep: the slower writer takes more
        return _slowly(value)[:limit]


def _slowly(value: object) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return ""
