"""Reads OTLP over HTTP: log records, and exceptions in spans, as protobuf or as JSON.

Unknown fields are ignored, as the protocol asks; metrics have no place here.
Source: https://opentelemetry.io/docs/specs/otlp/ and docs/concepts/foreign-events.md.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from signals.domain.events.foreign import ForeignReading, Receipt, count, derived_id
from signals.domain.events.log_records import event_of_record
from signals.domain.events.otlp_json import json_logs, json_spans
from signals.domain.events.otlp_protobuf import protobuf_logs, protobuf_spans
from signals.domain.events.otlp_records import Found, Signal


def read_otlp(body: bytes, signal: Signal, receipt: Receipt, *, is_json: bool) -> ForeignReading:
    """Read one request. An empty body is an empty request.

    Raises InvalidEvent when the body is no such message, or holds too many records.
    """
    reading = ForeignReading()
    if not body.strip():
        return reading
    found = _READERS[signal, is_json](body, reading)
    seen: Counter[bytes] = Counter()
    for resource, record, identity in found:
        name = b"".join(len(part).to_bytes(8, "big") + part for part in identity)
        seen[name] += 1
        event_id = derived_id(receipt, "otlp", name, str(seen[name]))
        event = event_of_record(record, resource, event_id, receipt)
        if event is None:
            count(reading.ignored, "below severity")
        else:
            reading.events.append(event)
    return reading


_READERS: Final[Mapping[tuple[Signal, bool], Callable[[bytes, ForeignReading], Iterator[Found]]]] = {
    ("logs", False): protobuf_logs,
    ("logs", True): json_logs,
    ("traces", False): protobuf_spans,
    ("traces", True): json_spans,
}
