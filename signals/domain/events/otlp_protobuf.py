"""Reads OTLP requests in protobuf: logs, and exceptions in spans."""

from collections.abc import Iterator

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as LogMessage
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from shared_types import InvalidEvent
from signals.domain.events.foreign import ForeignReading, count
from signals.domain.events.log_records import ERROR_FROM, LogRecord
from signals.domain.events.otlp_records import (
    FAILED,
    SERVER,
    Found,
    Members,
    Where,
    is_kept,
    severity_of,
    span_records,
)
from signals.domain.events.otlp_values import members_of, nanoseconds, value_of
from signals.domain.events.otlp_wire import walk


class _Parsed:
    """Parses resource and scope bytes, each once in a row of records that share them."""

    def __init__(self) -> None:
        self._resource: tuple[bytes, Members] = (b"", {})
        self._scope: tuple[bytes, str] = (b"", "")

    def resource(self, data: bytes) -> Members:
        """Return the attributes of a resource."""
        if data != self._resource[0]:
            self._resource = data, members_of(Resource.FromString(data).attributes)
        return self._resource[1]

    def scope(self, data: bytes) -> str:
        """Return the name of a scope."""
        if data != self._scope[0]:
            self._scope = data, InstrumentationScope.FromString(data).name
        return self._scope[1]


def protobuf_logs(body: bytes, reading: ForeignReading) -> Iterator[Found]:
    """Yield the records that may be events, and count the others. Raises InvalidEvent."""
    parsed = _Parsed()
    try:
        for resource, scope, data in walk(body):
            if data is None:
                count(reading.refused, "record too large")
                continue
            log = LogMessage.FromString(data)
            severity = log.severity_number or severity_of(0, log.severity_text)
            if severity < ERROR_FROM and not is_kept(
                severity, {a.key for a in log.attributes}, log.event_name
            ):
                count(reading.ignored, "below severity")
                continue
            record = LogRecord(
                door="otlp",
                timestamp=nanoseconds(log.time_unix_nano or log.observed_time_unix_nano),
                severity_number=severity,
                body=value_of(log.body),
                attributes=members_of(log.attributes),
                event_name=log.event_name,
                trace_id=log.trace_id.hex(),
                scope=parsed.scope(scope),
            )
            yield Found(parsed.resource(resource), record, (resource, scope, data))
    except DecodeError as error:
        raise InvalidEvent("malformed_protobuf", None, "The body is no OTLP protobuf message.") from error


def protobuf_spans(body: bytes, reading: ForeignReading) -> Iterator[Found]:
    """Yield the exceptions in spans, and failed server spans. Raises InvalidEvent."""
    parsed = _Parsed()
    try:
        for resource, scope, data in walk(body):
            if data is None:
                count(reading.refused, "span too large")
                continue
            span = SpanMessage.FromString(data)
            events = [event for event in span.events if event.name == "exception"]
            is_failed = span.status.code == FAILED[0] and span.kind == SERVER[0]
            if not events and not is_failed:
                count(reading.ignored, "span")
                continue
            attributes = members_of(span.attributes)
            faults = [(nanoseconds(e.time_unix_nano), members_of(e.attributes)) for e in events]
            where = Where(
                attributes, span.trace_id.hex(), parsed.scope(scope), span.name, span.status.message
            )
            for index, record in enumerate(span_records(where, faults, nanoseconds(span.end_time_unix_nano))):
                identity = (resource, scope, span.trace_id, span.span_id, str(index).encode())
                yield Found(parsed.resource(resource), record, identity)
    except DecodeError as error:
        raise InvalidEvent("malformed_protobuf", None, "The body is no OTLP protobuf message.") from error
