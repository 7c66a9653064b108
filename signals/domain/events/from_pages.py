"""Reads what a page sends by itself: events in our own form, written by a script that anybody can read.

So the masks hold for them as for other clients, and their key alone says whose they are.
"""

import re
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from shared_types import EventType, InvalidEvent
from shared_types.envelope import LABEL_CHARS, MESSAGE_CHARS
from signals.domain.events.foreign import (
    Receipt,
    derived_id,
    environment_of,
    identifying_bytes,
    instant_of,
    occurred_at,
)
from signals.domain.events.grouping import path_of, templated, varying_masked
from signals.domain.events.loose_json import read_json
from signals.domain.events.masking import label, masked, masked_members, text_of

MAX_EVENTS: Final = 100  # guess: of one request; the snippet sends one
_LABELS: Final = ("error_code", "method", "release")
MAX_STACK_CHARS: Final = 4_096  # guess: read of a stack
_QUERY: Final = re.compile(r"\?[^\s:)]*")
_TENANT: Final = ("org_id", "project_id")


def read_page(body: bytes, receipt: Receipt) -> list[object]:
    """Read one event or a list of them, each by itself; one that is no object stays as it is.

    Raises InvalidEvent when the body is no such JSON, or holds no or too many events.
    """
    value = read_json(body)
    if isinstance(value, dict):
        value = value.get("events", [value])
    if not isinstance(value, list) or not value:
        raise InvalidEvent("not_a_batch", "events", "Send one event, or a JSON array of events.")
    if len(value) > MAX_EVENTS:
        raise InvalidEvent("too_many_events", "events", f"Send at most {MAX_EVENTS} events from a page.")
    seen: Counter[bytes] = Counter()
    events: list[object] = []
    for event in value:
        if isinstance(event, dict):
            name = identifying_bytes(event)
            seen[name] += 1
            events.append(_event(event, derived_id(receipt, "page", name, str(seen[name])), receipt))
        else:
            events.append(event)
    return events


def _event(event: Mapping[str, object], spare_id: str, receipt: Receipt) -> dict[str, object]:
    """Return an event in the envelope's input form; what is no member of it is left out."""
    message = text_of(event.get("message"))
    kind = _event_type(event.get("event_type"))
    read: dict[str, object] = {
        "event_id": event.get("event_id") or spare_id,
        "occurred_at": occurred_at(instant_of(event.get("occurred_at")), timedelta(), receipt),
        "environment": environment_of(event.get("environment"), receipt.environment)[0],
        "event_type": kind,
        "severity": event.get("severity", "error" if kind == "error" else "info"),
        "message": masked(message, MESSAGE_CHARS) or "(no message)",
        "attributes": _attributes(event.get("attributes"), message if kind == "error" else ""),
        "payload": _payload(event.get("payload")),
    }
    return read | {name: event[name] for name in _TENANT if event.get(name) is not None}


def _payload(given: object) -> dict[str, object]:
    members = given if isinstance(given, dict) else {}
    if isinstance(stack := members.get("stack"), str):  # its scripts' addresses; the snippet cuts them, too
        members = {**members, "stack": _QUERY.sub("", stack[:MAX_STACK_CHARS])}
    return {"door": "page", **masked_members(members)}


def _event_type(word: object) -> object:
    """Return the word of the contract for any spelling that it accepts: rights are those of the word."""
    try:
        return EventType.ERROR.value if word is None else EventType(str(word)).value
    except ValueError:
        return word  # the contract refuses it


def _attributes(given: object, message: str) -> dict[str, object]:
    members = given if isinstance(given, dict) else {}
    attributes: dict[str, object] = {}
    for name in _LABELS:
        text = text_of(members.get(name))
        # A release is the same text at every door: the hash of a commit looks like a token.
        if found := label(text if name == "release" else masked(text), LABEL_CHARS):
            attributes[name] = found
    route = text_of(members.get("route"))
    if route and (found := templated(path_of(route) or route)):
        attributes["route"] = found
    status_code = members.get("status_code")
    if isinstance(status_code, int) and not isinstance(status_code, bool) and 0 <= status_code <= 999:
        attributes["status_code"] = status_code
    if "error_code" not in attributes and (found := varying_masked(message)):
        attributes["error_code"] = found
    return attributes
