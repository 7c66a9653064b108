"""Maps one event of a Sentry SDK onto our envelope's input form.

What is kept is an allow-list: locals, request bodies, headers, cookies, breadcrumbs and source lines never
are. Described in docs/concepts/foreign-events.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from shared_types.envelope import LABEL_CHARS, MESSAGE_CHARS
from signals.domain.events.foreign import (
    GROUPING,
    RawEvent,
    Receipt,
    environment_of,
    instant_of,
    member,
    occurred_at,
    person_hash,
    trace_of,
)
from signals.domain.events.masking import label, masked, masked_members, text_of
from signals.domain.events.sentry_grouping import (
    code_of,
    custom_grouping,
    main_fault,
    message_of,
    route_of,
    texts_of,
)
from signals.domain.events.sentry_opt_ins import kept_of_sentry
from signals.domain.events.sentry_stacks import faults_of, loose_frames, stack_of

TRIMMED_FROM_BYTES: Final = 1024 * 1024  # Sentry's limit of an event, where it would be refused
NO_TEXT: Final = "(no message)"

_LEVELS: Final[Mapping[str, str]] = {
    "fatal": "critical",
    "critical": "critical",
    "error": "error",
    "warning": "warn",
    "warn": "warn",
    "info": "info",
    "log": "info",
    "debug": "debug",
}
_PYTHON_LEVELS: Final = ((50, "critical"), (40, "error"), (30, "warn"), (20, "info"))  # raven sends numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Facts of an event's envelope: an id if the event has none, its size, and the clock's correction."""

    event_id: str
    size_bytes: int
    skew: timedelta


def uuid_of(value: object) -> str | None:
    """Return an id of 32 hex digits in our form, None when it is no such id."""
    try:
        return str(UUID(value)) if isinstance(value, str) and 32 <= len(value) <= 36 else None
    except ValueError:
        return None


def severity_of(level: object) -> str:
    """Map a level as text or, from old clients, as a number; absent is error."""
    if isinstance(level, (int, float)) and not isinstance(level, bool):
        return next((word for bound, word in _PYTHON_LEVELS if level >= bound), "debug")
    return _LEVELS.get(level.strip().lower(), "error") if isinstance(level, str) else "error"


def event_of(event: Mapping[str, object], origin: Origin, receipt: Receipt) -> RawEvent:
    """Map an event that is an error or a message."""
    faults, texts = faults_of(event), texts_of(event)
    main = main_fault(faults)
    severity = severity_of(event.get("level"))
    is_error = severity in ("error", "critical") or any(fault.is_typed for fault in faults)
    route, route_from, method = route_of(event, faults, main)
    attributes: dict[str, object] = {}
    payload = _payload(event, origin, receipt)
    code = code_of(main, texts) if is_error else None
    route, code = custom_grouping(event, route, code, payload)
    if route:
        attributes["route"] = route
        payload["route_from"] = route_from
    if method := label(text_of(method), LABEL_CHARS):
        attributes["method"] = method.upper()
    status_code = member(event, "contexts", "response", "status_code")
    if isinstance(status_code, int) and not isinstance(status_code, bool) and 0 <= status_code <= 999:
        attributes["status_code"] = status_code
    if code:
        attributes["error_code"] = code
    if release := label(text_of(event.get("release")), LABEL_CHARS):
        attributes["release"] = release
    frames = main.frames if main and main.frames else loose_frames(event)
    payload |= stack_of(frames) | kept_of_sentry(event, frames, receipt.settings)
    if main is not None and main.handled is not None:
        payload["handled"] = main.handled
    message = message_of(main, texts)
    if len(message) > MESSAGE_CHARS:
        payload["trimmed"] = True
    return {
        "event_id": uuid_of(event.get("event_id")) or origin.event_id,
        "occurred_at": occurred_at(instant_of(event.get("timestamp")), origin.skew, receipt),
        "environment": environment_of(event.get("environment"), receipt.environment)[0],
        "event_type": "error" if is_error else "custom",
        "severity": severity,
        "message": masked(message, MESSAGE_CHARS) or NO_TEXT,
        "attributes": attributes,
        "payload": payload,
    }


def feedback_of(event: Mapping[str, object], message: object, origin: Origin, receipt: Receipt) -> RawEvent:
    """Map what a user wrote; name and mail address are not kept."""
    attributes: dict[str, object] = {}
    if release := label(text_of(event.get("release")), LABEL_CHARS):
        attributes["release"] = release
    about = uuid_of(member(event, "contexts", "feedback", "associated_event_id"))
    payload = _payload(event, origin, receipt)
    if about:
        payload["about_event_id"] = about
    return {
        "event_id": origin.event_id,
        "occurred_at": occurred_at(instant_of(event.get("timestamp")), origin.skew, receipt),
        "environment": environment_of(event.get("environment"), receipt.environment)[0],
        "event_type": "feedback",
        "severity": "info",
        "message": masked(text_of(message), MESSAGE_CHARS) or NO_TEXT,
        "attributes": attributes,
        "payload": payload,
    }


def _payload(event: Mapping[str, object], origin: Origin, receipt: Receipt) -> dict[str, object]:
    sdk = event.get("sdk")
    environment = event.get("environment")
    kept: dict[str, object] = {
        "door": "sentry",
        "grouping": GROUPING,
        "platform": event.get("platform"),
        "sdk": " ".join(filter(None, (text_of(member(sdk, "name")), text_of(member(sdk, "version"))))),
        "logger": event.get("logger"),
        "trace_id": member(event, "contexts", "trace", "trace_id"),
        "user_hash": person_hash(receipt, member(event, "user", "id")),
    }
    if not environment_of(environment, receipt.environment)[1]:
        kept["environment_name"] = environment
    payload: dict[str, object] = {}
    for name, value in kept.items():
        found = masked(value) if isinstance(value, str) and name != "trace_id" else value
        if name == "trace_id":
            found = trace_of(value)
        if isinstance(found, (str, int)) and found != "":
            payload[name] = found
    if tags := masked_members(_tags(event.get("tags"))):
        payload["tags"] = tags
    if origin.skew:
        payload["clock_shift_s"] = round(origin.skew.total_seconds())
    if origin.size_bytes > TRIMMED_FROM_BYTES:
        payload["trimmed"] = True
    return payload


def _tags(tags: object) -> object:
    """Return tags as an object; some clients send pairs."""
    if isinstance(tags, list):
        return {
            pair[0]: pair[1]
            for pair in tags
            if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)
        }
    return tags
