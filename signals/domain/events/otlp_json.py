"""Reads OTLP requests in JSON: logs, and exceptions in spans. Unknown members are ignored.

Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding.
"""

from collections.abc import Iterator
from typing import Final

from signals.domain.events.foreign import ForeignReading, count, identifying_bytes
from signals.domain.events.log_records import LogRecord
from signals.domain.events.loose_json import read_object
from signals.domain.events.masking import text_of
from signals.domain.events.otlp_records import (
    FAILED,
    SERVER,
    Found,
    Members,
    Signal,
    Where,
    is_kept,
    severity_of,
    span_records,
)
from signals.domain.events.otlp_values import json_members, json_value, nanoseconds

_JSON_LISTS: Final = {
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
    "traces": ("resourceSpans", "scopeSpans", "spans"),
}
UNREADABLE: Final = "no known field: send lowerCamelCase OTLP JSON"


def _json_records(
    body: bytes, signal: Signal, reading: ForeignReading
) -> Iterator[tuple[Members, str, Members]]:
    """Yield resource, scope and record of a JSON request; ignore all else."""
    request = read_object(body)
    outer, middle, inner = _JSON_LISTS[signal]
    if request and outer not in request:
        count(reading.ignored, UNREADABLE)
    for group in _objects(request.get(outer)):
        resource = json_members(_object(group.get("resource")).get("attributes"))
        for scope_group in _objects(group.get(middle)):
            scope = text_of(_object(scope_group.get("scope")).get("name"), 256)
            for record in _objects(scope_group.get(inner)):
                yield resource, scope, record


def json_logs(body: bytes, reading: ForeignReading) -> Iterator[Found]:
    """Yield the records that may be events, and count the others. Raises InvalidEvent."""
    for resource, scope, log in _json_records(body, "logs", reading):
        attributes = json_members(log.get("attributes"))
        severity = severity_of(_integer(log.get("severityNumber")), log.get("severityText"))
        event_name = text_of(log.get("eventName"), 256)
        if not is_kept(severity, set(attributes), event_name):
            count(reading.ignored, "below severity")
            continue
        record = LogRecord(
            door="otlp",
            timestamp=nanoseconds(log.get("timeUnixNano")) or nanoseconds(log.get("observedTimeUnixNano")),
            severity_number=severity,
            body=json_value(log.get("body")),
            attributes=attributes,
            event_name=event_name,
            trace_id=text_of(log.get("traceId"), 64),
            scope=scope,
        )
        yield Found(
            resource,
            record,
            (identifying_bytes(resource), scope.encode("utf-8", "replace"), identifying_bytes(log)),
        )


def json_spans(body: bytes, reading: ForeignReading) -> Iterator[Found]:
    """Yield the exceptions in spans, and failed server spans. Raises InvalidEvent."""
    for resource, scope, span in _json_records(body, "traces", reading):
        events = [event for event in _objects(span.get("events")) if event.get("name") == "exception"]
        status = _object(span.get("status"))
        is_failed = status.get("code") in FAILED and span.get("kind") in SERVER
        if not events and not is_failed:
            count(reading.ignored, "span")
            continue
        trace_id, span_id = text_of(span.get("traceId"), 64), text_of(span.get("spanId"), 64)
        where = Where(
            json_members(span.get("attributes")),
            trace_id,
            scope,
            text_of(span.get("name"), 256),
            text_of(status.get("message")),
        )
        faults = [(nanoseconds(e.get("timeUnixNano")), json_members(e.get("attributes"))) for e in events]
        for index, record in enumerate(span_records(where, faults, nanoseconds(span.get("endTimeUnixNano")))):
            identity = f"{scope}|{trace_id}|{span_id}|{index}".encode("utf-8", "replace")
            yield Found(resource, record, (identifying_bytes(resource), identity))


def _objects(value: object) -> list[Members]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _object(value: object) -> Members:
    return value if isinstance(value, dict) else {}


def _integer(value: object) -> object:
    return (
        int(value)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 4
        else value
    )
