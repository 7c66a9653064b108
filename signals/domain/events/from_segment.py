"""Reads what Segment's libraries send: batches and single calls.

Source: https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/ and
docs/concepts/foreign-events.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NamedTuple

import orjson

from shared_types import InvalidEvent
from shared_types.envelope import LABEL_CHARS, MESSAGE_CHARS
from signals.domain.events.door_settings import IDENTIFY, KeptField
from signals.domain.events.foreign import (
    ForeignReading,
    RawEvent,
    Receipt,
    count,
    derived_id,
    instant_of,
    known_word,
    member,
    occurred_at,
    person_hash,
    skew_of,
)
from signals.domain.events.grouping import path_of, templated
from signals.domain.events.loose_json import read_json
from signals.domain.events.masking import label, masked, masked_members, text_of

NEW_PERSON: Final = timedelta(days=1)  # guess: so long after a signup its first identify may come
MAX_CALLS: Final = 1_000  # of one batch; libraries send up to 100 (recorded) and about 475 kB
CALLS: Final[Mapping[str, str]] = {
    **{name: name for name in ("track", "identify", "page", "screen", "group", "alias")},
    "t": "track",
    "i": "identify",
    "p": "page",
    "s": "screen",
    "g": "group",
    "a": "alias",
}
"""Single calls by the last part of their path; browser libraries use the short ones."""


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of one request, before anyone knows whose they are."""

    write_key: str | None
    sent_at: object
    calls: list[object]
    context: object = None
    """Of all calls: libraries for Go and Java send it once a batch."""


def parse_calls(body: bytes, call: str | None) -> Calls:
    """Parse a batch, or with `call` a single call of that kind.

    Raises InvalidEvent when the body is no such JSON, or holds too many calls.
    """
    payload = read_json(body)
    if not isinstance(payload, dict):
        raise InvalidEvent("not_an_object", None, "The body must be a JSON object.")
    key = payload.get("writeKey")
    calls: object = payload.get("batch")
    if call is not None:
        calls = [{"type": call, **payload}]
    if not isinstance(calls, list):
        raise InvalidEvent("missing", "batch", "batch is required: a list of calls.")
    if len(calls) > MAX_CALLS:
        raise InvalidEvent("too_many_events", "batch", f"Send at most {MAX_CALLS} calls a batch.")
    context = payload.get("context") if call is None else None
    return Calls(key if isinstance(key, str) and key else None, payload.get("sentAt"), calls, context)


def read_calls(calls: Calls, receipt: Receipt) -> ForeignReading:
    """Read calls, each by itself: tracks are events, everything else is ignored and counted."""
    reading = ForeignReading()
    common_skew = None if calls.sent_at is None else skew_of(calls.sent_at, receipt)
    for sent in calls.calls:
        kind = member(sent, "type")
        if not isinstance(sent, dict) or not isinstance(kind, str):
            count(reading.refused, "call without a type")
            continue
        call = {"context": calls.context, **sent} if calls.context else sent
        if kind == "identify" and receipt.settings.is_signup(IDENTIFY):
            _identify(call, _skew(common_skew, call, receipt), receipt, reading)
        elif kind != "track":
            count(reading.ignored, known_word(kind, CALLS))
        elif not isinstance(call.get("event"), str) or not str(call["event"]).strip():
            count(reading.refused, "track without an event")
        else:
            name = str(call["event"])
            kind = "signup" if receipt.settings.is_signup(name) else "custom"
            identity = _id(call, receipt)
            skew = _skew(common_skew, call, receipt)
            reading.events.append(_event(call, _Named(name, kind, identity), skew, receipt))
    return reading


def _skew(common: timedelta | None, call: Mapping[str, object], receipt: Receipt) -> timedelta:
    return skew_of(call.get("sentAt"), receipt) if common is None else common


def _identify(call: Mapping[str, object], skew: timedelta, receipt: Receipt, reading: ForeignReading) -> None:
    """Take the first identify of a person for a signup: its id is the person's, so later ones count once.

    A person who was created more than a day before the call is known.
    """
    person = call.get("userId")
    created = instant_of(member(call, "traits", "createdAt") or member(call, "traits", "created_at"))
    called = instant_of(call.get("timestamp")) or receipt.received_at
    if not isinstance(person, (str, int)) or person == "":
        count(reading.ignored, "identify without a user")
    elif created is not None and called - created > NEW_PERSON:
        count(reading.ignored, "identify of a known user")
    else:
        identity = derived_id(receipt, "segment identify", str(person))
        reading.events.append(_event(call, _Named(IDENTIFY, "signup", identity), skew, receipt))


class _Named(NamedTuple):
    """Name, event type and id of the event that a call becomes."""

    name: str
    event_type: str
    event_id: str


def _event(call: Mapping[str, object], named: _Named, skew: timedelta, receipt: Receipt) -> RawEvent:
    context = call.get("context")
    attributes: dict[str, object] = {}
    page = member(context, "page", "path")
    if isinstance(page, str) and (path := path_of(page)) and (route := templated(path)):
        attributes["route"] = route
    if release := label(text_of(member(context, "app", "version")), LABEL_CHARS):
        attributes["release"] = release
    instant = instant_of(call.get("timestamp")) or instant_of(call.get("originalTimestamp"))
    return {
        "event_id": named.event_id,
        "occurred_at": occurred_at(instant, skew, receipt),
        "environment": receipt.environment,
        "event_type": named.event_type,
        "severity": "info",
        "message": masked(named.name, MESSAGE_CHARS) or "(no name)",
        "attributes": attributes,
        "payload": _payload(call, named.name, skew, receipt),
    }


def _id(call: Mapping[str, object], receipt: Receipt) -> str:
    """Return the id of a call: repeated bodies differ, their messageIds do not."""
    message_id = call.get("messageId")
    if isinstance(message_id, str) and message_id.strip():
        return derived_id(receipt, "segment", message_id)
    plain = {name: value for name, value in call.items() if name not in ("sentAt", "writeKey")}
    try:
        content = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError):  # a lone surrogate, or too deep
        known = ("event", "userId", "anonymousId", "timestamp", "originalTimestamp")
        content = "|".join(text_of(call.get(name)) for name in known).encode("utf-8", "replace")
    return derived_id(receipt, "segment call", content)


def _payload(call: Mapping[str, object], name: str, skew: timedelta, receipt: Receipt) -> dict[str, object]:
    payload: dict[str, object] = {"door": "segment", "event": masked(name)}
    library = member(call, "context", "library")
    sdk = " ".join(filter(None, (text_of(member(library, "name")), text_of(member(library, "version")))))
    if sdk := masked(sdk):
        payload["sdk"] = sdk
    if user := person_hash(receipt, call.get("userId") or call.get("anonymousId")):
        payload["user_hash"] = user
    settings = receipt.settings
    if settings.keeps(KeptField.USER_ID) and (own := masked(text_of(call.get("userId")))):
        payload["user_id"] = own
    if settings.keeps(KeptField.REQUEST_URL) and (
        url := masked(text_of(member(call, "context", "page", "url")))
    ):
        payload["request_url"] = url
    if properties := masked_members(call.get("properties")):
        payload["properties"] = properties
    if skew:
        payload["clock_shift_s"] = round(skew.total_seconds())
    return payload
