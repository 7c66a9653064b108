"""Decides which log records are events, and maps them onto our envelope's input form.

Both OTLP and Sentry's log items come here. Source: the semantic conventions of
OpenTelemetry for names of attributes, and docs/concepts/foreign-events.md.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Final

from shared_types.envelope import LABEL_CHARS, MESSAGE_CHARS, ROUTE_CHARS
from shared_types.json_bounds import MAX_NAME_CHARS
from signals.domain.events.door_settings import DoorSettings, KeptField
from signals.domain.events.foreign import (
    GROUPING,
    RawEvent,
    Receipt,
    environment_of,
    instant_of,
    occurred_at,
    trace_of,
)
from signals.domain.events.grouping import path_of, templated, varying_masked
from signals.domain.events.masking import (
    MAX_KEPT_CHARS,
    is_storable_name,
    label,
    masked,
    masked_members,
    text_of,
)

ERROR_FROM: Final = 17  # OTLP: ERROR; 13 to 16 are WARN
CRITICAL_FROM: Final = 21  # OTLP: FATAL
WARN_FROM: Final = 13
INFO_FROM: Final = 9
MAX_ATTRIBUTES: Final = 16  # guess: kept beside those that have a place of their own
MAX_STACK_CHARS: Final = 4 * MAX_KEPT_CHARS  # guess: read of a stack trace
EXCEPTION: Final = frozenset({"exception.type", "exception.message"})

_USED: Final = frozenset(
    {
        *("exception.type", "exception.message", "exception.stacktrace", "error.type", "http.route"),
        *("http.request.method", "http.method", "http.response.status_code", "http.status_code"),
        *("url.path", "code.function.name", "service.name", "service.version", "event.name"),
        *("deployment.environment.name", "deployment.environment", "sentry.release", "sentry.environment"),
    }
)
# People, requests' contents and texts of queries: never kept, whatever they look like.
_NEVER_KEPT: Final = (
    *("user.", "enduser.", "client.", "http.request.", "http.response.", "http.url", "http.target"),
    *("url.", "db.statement", "db.query", "net.", "network.", "source.", "session.", "sentry.", "process."),
    *("thread.", "telemetry.", "server.", "http.client_ip", "http.user_agent", "user_agent.", "code."),
    *("messaging.message.body", "rpc.", "gen_ai.", "host.", "os.", "peer.", "graphql."),
)
_SECRET_PARTS: Final = ("cookie", "authorization")  # never kept, even if a project asks for them
_PYTHON_LINE: Final = 'File "'
# They stand below `File "x", line 1`, deeper; in an exception group behind a bar.
_SOURCE_LINES: Final = re.compile(r'(?<=\n)[ |]{4,}+(?!File ")[^\n]*(?:\n|\Z)')
_MESSAGE_MEMBERS: Final = ("msg", "message", "event")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord:
    """A log record of any door; `timestamp` is in seconds, a severity number of 0 means unknown."""

    door: str
    timestamp: object
    severity_number: int
    body: object
    attributes: Mapping[str, object]
    event_name: str = ""
    template: object = None
    trace_id: str = ""
    scope: str = ""
    skew: timedelta = field(default_factory=timedelta)


def is_error_record(record: LogRecord) -> bool:
    """Whether severity or an exception make an error of the record."""
    return record.severity_number >= ERROR_FROM or not EXCEPTION.isdisjoint(record.attributes)


def event_of_record(
    record: LogRecord, resource: Mapping[str, object], event_id: str, receipt: Receipt
) -> RawEvent | None:
    """Map a record, None when it is below error and names no event."""
    is_error = is_error_record(record)
    name = record.event_name or text_of(record.attributes.get("event.name"), 256)
    if not is_error and not name:
        return None
    message = text_of(record.body) or text_of(record.attributes.get("exception.message")) or name
    attributes = _attributes(record, resource)
    if is_error and (code := _code(record)):
        attributes["error_code"] = code
    event_type = "error" if is_error else "signup" if receipt.settings.is_signup(name) else "custom"
    named = _first(
        (record.attributes, "sentry.environment"),
        (resource, "deployment.environment.name"),
        (resource, "deployment.environment"),
    )
    environment, is_known = environment_of(named, receipt.environment)
    payload = _payload(record, resource, name, receipt)
    if not is_known and (text := masked(text_of(named))):
        payload["environment_name"] = text
    return {
        "event_id": event_id,
        "occurred_at": occurred_at(instant_of(record.timestamp), record.skew, receipt),
        "environment": environment,
        "event_type": event_type,
        "severity": _severity(record.severity_number, is_error=is_error),
        "message": masked(message, MESSAGE_CHARS) or "(no message)",
        "attributes": attributes,
        "payload": payload,
    }


def _severity(number: int, *, is_error: bool) -> str:
    if number >= CRITICAL_FROM:
        return "critical"
    if is_error:
        return "error"
    if number >= WARN_FROM:
        return "warn"
    return "info" if number >= INFO_FROM or number <= 0 else "debug"


def _code(record: LogRecord) -> str | None:
    for name in ("exception.type", "error.type"):
        if found := label(masked(text_of(record.attributes.get(name))), LABEL_CHARS):
            return found
    if isinstance(record.template, str) and (found := label(masked(record.template), LABEL_CHARS)):
        return found
    body = record.body
    if isinstance(body, dict):
        text = next((body[name] for name in _MESSAGE_MEMBERS if isinstance(body.get(name), str)), None)
        if not isinstance(text, str):
            names = ", ".join(sorted(str(name) for name in body)[:8])
            return varying_masked(f"{{{names}}}")
        return varying_masked(text)
    return varying_masked(text_of(body)) or varying_masked(
        text_of(record.attributes.get("exception.message"))
    )


def _attributes(record: LogRecord, resource: Mapping[str, object]) -> dict[str, object]:
    own = record.attributes
    attributes: dict[str, object] = {}
    if route := _route(own, resource):
        attributes["route"] = route
    if method := label(text_of(_first((own, "http.request.method"), (own, "http.method"))), LABEL_CHARS):
        attributes["method"] = method.upper()
    status_code = _first((own, "http.response.status_code"), (own, "http.status_code"))
    if isinstance(status_code, str) and status_code.isascii() and status_code.isdigit():
        status_code = int(status_code[:4])
    if isinstance(status_code, int) and not isinstance(status_code, bool) and 0 <= status_code <= 999:
        attributes["status_code"] = status_code
    release = _first((own, "sentry.release"), (resource, "service.version"))
    if found := label(text_of(release), LABEL_CHARS):
        attributes["release"] = found
    return attributes


def _route(own: Mapping[str, object], resource: Mapping[str, object]) -> str | None:
    if (declared := own.get("http.route")) and isinstance(declared, str):
        return templated(declared, is_declared=True)
    for name in ("url.path", "http.target", "url.full", "http.url"):
        value = own.get(name)
        if isinstance(value, str) and (path := path_of(value)):
            return templated(path)
    if function := own.get("code.function.name", own.get("code.function")):
        return label(masked(text_of(function)), ROUTE_CHARS)
    service = text_of(resource.get("service.name"))
    return None if service.startswith("unknown_service") else label(masked(service), ROUTE_CHARS)


def _payload(
    record: LogRecord,
    resource: Mapping[str, object],
    name: str,
    receipt: Receipt,
) -> dict[str, object]:
    payload: dict[str, object] = {"door": record.door, "grouping": GROUPING}
    texts = {
        "service": text_of(resource.get("service.name")),
        "scope": record.scope,
        "event_name": name,
        "exception_message": text_of(record.attributes.get("exception.message")),
        "logger": text_of(record.attributes.get("logger.name")),
    }
    payload |= {key: found for key, text in texts.items() if text and (found := masked(text))}
    if stack := _stack(text_of(record.attributes.get("exception.stacktrace"))[-MAX_STACK_CHARS:]):
        payload["stack"] = stack
    if trace_id := trace_of(record.trace_id):
        payload["trace_id"] = trace_id
    if record.skew:
        payload["clock_shift_s"] = round(record.skew.total_seconds())
    keeps_all = receipt.settings.keeps(KeptField.LOG_ATTRIBUTES)
    payload |= _opted_in(record.attributes, receipt.settings)
    further = {
        key: value
        for key, value in record.attributes.items()
        if _is_kept_name(key, keeps_all=keeps_all) and key not in payload
    }
    kept = masked_members(dict(list(further.items())[:MAX_ATTRIBUTES]))
    return payload | kept


@lru_cache(maxsize=256)
def _stack(text: str) -> str:
    """Return the end of a stack trace, which names the crash, masked and without Python's source lines.

    One fault comes often: 256 of them take 1 MB, 5 at worst.
    """
    text = _SOURCE_LINES.sub("", text) if _PYTHON_LINE in text else text
    return masked(text[-MAX_KEPT_CHARS:])


def _is_kept_name(name: str, *, keeps_all: bool) -> bool:
    return len(name) <= MAX_NAME_CHARS and _is_kept(name, keeps_all)


@lru_cache(maxsize=4096)
def _is_kept(name: str, keeps_all: bool) -> bool:  # lru_cache keys named arguments slowly
    """Remember names: those of a program come with every record."""
    return (
        name not in _USED
        and (keeps_all or not name.startswith(_NEVER_KEPT))
        and not any(part in name for part in _SECRET_PARTS)
        and name != "logger.name"
        and is_storable_name(name)
    )


def _opted_in(own: Mapping[str, object], settings: DoorSettings) -> dict[str, object]:
    if not settings.kept:
        return {}
    parts = {
        KeptField.USER_ID: _first((own, "user.id"), (own, "enduser.id")),
        KeptField.REQUEST_URL: _first((own, "url.full"), (own, "http.url"), (own, "http.target")),
    }
    texts = {field: masked(text_of(part)) for field, part in parts.items() if settings.keeps(field)}
    return {str(field): text for field, text in texts.items() if text}


def _first(*places: tuple[Mapping[str, object], str]) -> object:
    """Return the first value that is there."""
    for members, name in places:
        if (found := members.get(name)) is not None:
            return found
    return None
