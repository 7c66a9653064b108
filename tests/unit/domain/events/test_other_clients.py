"""Shapes of clients that were not recorded, written from their protocols' documents."""

from typing import Any

import orjson
import pytest

from signals.domain.events.from_otlp import read_otlp
from signals.domain.events.from_segment import parse_calls, read_calls
from signals.domain.events.from_sentry import read_envelope, read_store
from signals.domain.events.sentry_envelopes import split_envelope
from tests.support.recordings import RECEIPT

TIMES = ("2026-11-29T06:00:00.000Z", "2026-11-29T05:00:00.123Z", "2026-11-29T06:00:00.123Z")
FRAME = {"function": "pay", "filename": "/app/pay", "lineno": 7, "in_app": True}
FAULT = {"type": "PaymentDeclined", "value": "order 48213", "stacktrace": {"frames": [FRAME]}}
SENTRY: dict[str, tuple[dict[str, Any], tuple[str, str, str]]] = {
    # PHP writes an empty object as [].
    "php": (
        {
            "platform": "php",
            "sdk": {"name": "sentry.php", "version": "4.10.0"},
            "transaction": "/checkout/48213",
            "tags": [],
            "contexts": [],
            "extra": [],
            "user": [],
            "request": {"method": "POST", "url": "https://shop.example/checkout/48213", "headers": []},
            "exception": {"values": [{**FAULT, "mechanism": {"type": "generic", "data": []}}]},
        },
        ("PaymentDeclined", "/checkout/{id}", "prod"),
    ),
    "ruby": (
        {
            "platform": "ruby",
            "timestamp": "2026-11-29T06:00:00Z",
            "transaction": "CheckoutController#create",
            "transaction_info": {"source": "view"},
            "exception": {"values": [{**FAULT, "module": "Shop", "thread_id": 8}]},
        },
        ("PaymentDeclined", "CheckoutController#create", "prod"),
    ),
    "go": (
        {
            "platform": "go",
            "level": "error",
            "timestamp": "2026-11-29T06:00:00.123456789+01:00",
            "request": {"method": "POST", "url": "http://shop.example/checkout/48213"},
            "exception": [
                {"type": "*shop.PaymentDeclined"},
                {**FAULT, "type": "*fmt.wrapError"},
            ],
        },
        ("*shop.PaymentDeclined", "/checkout/{id}", "prod"),
    ),
    "java": (
        {
            "platform": "java",
            "environment": "staging",
            "exception": {"values": [{**FAULT, "module": "com.shop", "thread_id": 1}]},
            "threads": {"values": [{"id": 1, "crashed": True, "stacktrace": {"frames": [FRAME]}}]},
            "message": {"formatted": "order 48213", "message": "order {}", "params": ["48213"]},
            "transaction": "POST /checkout/{order}",
            "transaction_info": {"source": "route"},
        },
        ("PaymentDeclined", "/checkout/{id}", "staging"),
    ),
    "dotnet": (
        {
            "platform": "csharp",
            "timestamp": "2026-11-29T06:00:00.1234567+00:00",
            "transaction": "POST /Checkout/{order:int}",
            "sentry.interfaces.Exception": [FAULT],
        },
        ("PaymentDeclined", "/Checkout/{id}", "prod"),
    ),
    "react native": (
        {
            "platform": "javascript",
            "release": "com.shop@1.0+42",
            "dist": "42",
            "transaction": "CheckoutScreen",
            "exception": {"values": [{**FAULT, "mechanism": {"type": "onerror", "handled": False}}]},
        },
        ("PaymentDeclined", "CheckoutScreen", "prod"),
    ),
}


@pytest.mark.parametrize("client", SENTRY)
def test_error_of_another_sentry_sdk_is_read(client: str) -> None:
    event, (code, route, environment) = SENTRY[client]
    [read] = read_store(orjson.dumps(event), RECEIPT).events
    attributes: Any = read["attributes"]
    assert (read["event_type"], read["severity"]) == ("error", "error")
    assert (attributes["error_code"], attributes["route"], read["environment"]) == (code, route, environment)
    if "timestamp" in event:
        assert read["occurred_at"] in (
            "2026-11-29T06:00:00.000Z",
            "2026-11-29T05:00:00.123Z",
            "2026-11-29T06:00:00.123Z",
        )


@pytest.mark.parametrize("wrapper", ["RuntimeException", "System.AggregateException"])
def test_wrapper_of_another_language_names_no_fault(wrapper: str) -> None:
    for faults, code in (([FAULT, {"type": wrapper}], "PaymentDeclined"), ([{"type": wrapper}], wrapper)):
        [read] = read_store(orjson.dumps({"exception": {"values": faults}}), RECEIPT).events
        attributes: Any = read["attributes"]
        assert attributes["error_code"] == code


def test_items_of_every_sentry_sdk_are_known_by_name() -> None:
    names = (
        *("transaction", "span", "session", "sessions", "check_in", "statsd", "profile", "profile_chunk"),
        *("replay_event", "replay_recording", "replay_video", "attachment", "trace_metric", "security"),
    )
    body = b"{}" + b"".join(b"\n" + orjson.dumps({"type": name}) + b"\n{}" for name in names)
    reading = read_envelope(split_envelope(body), RECEIPT)
    assert reading.ignored == dict.fromkeys(names, 1)


def test_crash_dump_beside_its_event_is_skipped_by_its_length() -> None:
    dump = b'MDMP\x00\xff\n{"type":"event"}\n{}\n'
    header = orjson.dumps({"type": "attachment", "length": len(dump), "attachment_type": "event.minidump"})
    event = orjson.dumps({"level": "fatal", "message": "crash", "platform": "native"})
    body = b"{}\n" + header + b"\n" + dump + b"\n" + b'{"type":"event"}\n' + event
    reading = read_envelope(split_envelope(body), RECEIPT)
    assert [one["severity"] for one in reading.events] == ["critical"]
    assert reading.ignored == {"attachment": 1}


@pytest.mark.parametrize(
    ("number", "text", "severity"),
    [
        ("SEVERITY_NUMBER_ERROR2", None, "error"),
        ("SEVERITY_NUMBER_FATAL", None, "critical"),
        ("17", None, "error"),
        (17, "", "error"),
        (None, "ERROR", "error"),
        (0, "Critical", "critical"),
    ],
)
def test_severity_of_another_exporter_is_read(number: object, text: object, severity: str) -> None:
    log = {"severityNumber": number, "severityText": text, "body": {"stringValue": "failed"}}
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [log]}]}]}
    [event] = read_otlp(orjson.dumps(body), "logs", RECEIPT, is_json=True).events
    assert event["severity"] == severity


@pytest.mark.parametrize(
    "call",
    [
        {
            "type": "track",
            "event": "Signed Up",
            "messageId": "go-1",
            "timestamp": "2026-11-29T06:00:00.123456789Z",
        },
        {
            "type": "track",
            "event": "Signed Up",
            "messageId": "ruby-1",
            "timestamp": "2026-11-29T07:00:00.000+01:00",
        },
        {
            "type": "track",
            "event": "Signed Up",
            "messageId": "ajs-1",
            "_metadata": {"bundled": ["Segment.io"]},
        },
    ],
)
def test_call_of_another_segment_library_is_read(call: dict[str, object]) -> None:
    call = {"type": "track", "event": "Signed Up", **call}
    body = orjson.dumps({"batch": [call], "sentAt": None, "context": None})
    [event] = read_calls(parse_calls(body, None), RECEIPT).events
    assert event["event_type"] == "signup"
    assert str(event["occurred_at"]).startswith("2026-11-29T06:00:00")
