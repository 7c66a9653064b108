"""Results of the readers of other products' payloads, and the facts that all of them share.

A reader is pure: bytes and a receipt go in, events in our envelope's input form come out, with a count of
all that is no event. It never raises anything but InvalidEvent.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from uuid import UUID

import orjson

from shared_types import MAX_AHEAD, Tenancy
from shared_types.envelope import MAX_YEAR, MIN_YEAR
from signals.domain.events.door_settings import DEFAULT_SETTINGS, DoorSettings
from signals.domain.events.masking import text_of

RawEvent = dict[str, object]

GROUPING: Final = 1  # version of the rules for code and route; a change must not split incidents unseen
OTHER: Final = "other"  # stands for every name that is not known
MAX_COUNTED_NAMES: Final = 32  # guess: distinct reasons that one request may add to the ledger
MAX_SKEW: Final = timedelta(seconds=60)  # a sender's clock that is off by more is corrected
MAX_QUANTITY: Final = 1_000_000  # guess: of one line of a client's own report of losses
MILLISECONDS_FROM: Final = 100_000_000_000  # as seconds this is the year 5138: such a number is milliseconds
_NAMESPACE: Final = UUID("6f0c8e0e-3f0b-5c63-9b62-0d6a2a3c7d41")  # of ids that readers derive
_TRACE: Final = re.compile(r"[0-9a-fA-F-]{16,64}")
_COUNTED: Final = re.compile(r"[A-Za-z0-9_.:/ +-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The payload's owner with its settings, time of arrival, and environment of events that name none."""

    tenancy: Tenancy
    received_at: datetime
    environment: str = "prod"
    settings: DoorSettings = DEFAULT_SETTINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignReading:
    """The events of one payload, and how much of it is no event, by reason.

    `ignored` is no signal here, `refused` could not be read, `lost` the client says it lost before us.
    """

    events: list[RawEvent] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)


def count(counts: Counter[str], name: object, quantity: int = 1) -> None:
    """Add to the count of `name`; what clients choose freely passes `known_word` first."""
    text = name if isinstance(name, str) and _COUNTED.fullmatch(name) else OTHER
    if text not in counts and len(counts) >= MAX_COUNTED_NAMES:
        text = OTHER
    counts[text] += min(quantity, MAX_QUANTITY)


def known_word(word: object, known: Collection[str]) -> str:
    """Return a word that a client chose if it is known: the ledger's reasons must stay few."""
    return word if isinstance(word, str) and word in known else OTHER


def identifying_bytes(value: object) -> bytes:
    """Return the bytes that a value's id is derived from: its JSON with sorted names.

    JSON that orjson refuses (a lone surrogate, or too deep) is written with escapes.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return text_of(value).encode("utf-8", "replace")


def derived_id(receipt: Receipt, *parts: str | bytes) -> str:
    """Return the id of something without one: the same parts of the same project give the same id."""
    digest = _tenant_digest(receipt.tenancy).copy()
    for part in parts:
        _add_part(digest, part)
    # uuid5(_NAMESPACE, digest), without the UUID that the standard library makes only to be written
    name = hashlib.sha1(_NAMESPACE.bytes + digest.hexdigest().encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(name[16], 16) & 3]
    return f"{name[:8]}-{name[8:12]}-5{name[13:16]}-{variant}{name[17:20]}-{name[20:32]}"


@lru_cache(maxsize=256)
def _tenant_digest(tenancy: Tenancy) -> hashlib.blake2b:
    digest = hashlib.blake2b(digest_size=16)
    for part in (tenancy.org_id, tenancy.project_id):
        _add_part(digest, part)
    return digest


def _add_part(digest: hashlib.blake2b, part: str | bytes) -> None:
    data = part.encode("utf-8", "replace") if isinstance(part, str) else part
    digest.update(len(data).to_bytes(8, "big") + data)


def person_hash(receipt: Receipt, identifier: object) -> str | None:
    """Return a short hash of a person's id, keyed by project: it tells people apart and names none."""
    if isinstance(identifier, bool) or not isinstance(identifier, (str, int)) or identifier == "":
        return None
    digest = _person_digest(receipt.tenancy).copy()
    digest.update(str(identifier).encode("utf-8", "replace"))
    return digest.hexdigest()


@lru_cache(maxsize=256)
def _person_digest(tenancy: Tenancy) -> hashlib.blake2b:
    key = hashlib.blake2b(f"{tenancy.org_id}|{tenancy.project_id}".encode()).digest()
    return hashlib.blake2b(key=key, digest_size=8)


def instant_of(value: object) -> datetime | None:
    """Read an instant as clients write it: ISO 8601 (UTC when it names no offset), seconds, milliseconds."""
    try:
        if isinstance(value, str):
            instant = datetime.fromisoformat(value.strip())
            if instant.tzinfo is None:
                instant = instant.replace(tzinfo=UTC)
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            seconds = value / 1000 if value >= MILLISECONDS_FROM else value
            instant = datetime.fromtimestamp(seconds, UTC)
        else:
            return None
        instant = instant.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return instant if MIN_YEAR <= instant.year <= MAX_YEAR else None


def skew_of(sent_at: object, receipt: Receipt) -> timedelta:
    """Return what to add to a sender's instants: zero unless its clock is off by more than a minute."""
    sent = instant_of(sent_at)
    skew = timedelta() if sent is None else receipt.received_at - sent
    return skew if abs(skew) > MAX_SKEW else timedelta()


def occurred_at(instant: datetime | None, skew: timedelta, receipt: Receipt) -> str:
    """Write when something happened, as our envelope has it; without a usable instant, the receipt's."""
    try:
        moved = receipt.received_at if instant is None else instant + skew
    except OverflowError:
        moved = receipt.received_at
    if moved - receipt.received_at > MAX_AHEAD or not MIN_YEAR <= moved.year <= MAX_YEAR:
        moved = receipt.received_at  # a clock that nobody can correct must not lose the event
    return moved.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


_PROD: Final = frozenset({"production", "prod", "live"})
_STAGING: Final = frozenset({"staging", "stage", "preprod", "qa", "uat", "test", "preview"})
_DEV: Final = frozenset({"development", "dev", "local"})


def environment_of(name: object, default: str) -> tuple[str, bool]:
    """Map a free name to one of our environments; False when the mapping is a guess that users should see."""
    if not isinstance(name, str) or not name.strip():
        return default, True
    word = name.strip().lower()
    for environment, words in (("prod", _PROD), ("staging", _STAGING), ("dev", _DEV)):
        if word in words:
            return environment, True
    is_prod = ("prod" in word or "live" in word) and not word.startswith(("non", "pre"))
    return ("prod" if is_prod else "staging"), False


def trace_of(value: object) -> str | None:
    """Return the id of a trace, None for any text that is no id."""
    return value if isinstance(value, str) and _TRACE.fullmatch(value) else None


def member(container: object, *names: str) -> object:
    """Return a member of nested objects, None where one is missing or no object."""
    for name in names:
        if not isinstance(container, dict):  # what every parser makes; asking for a Mapping is slow
            return None
        container = container.get(name)
    return container
