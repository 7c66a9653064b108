"""Log records and exceptions in spans become errors; what is below is counted."""

import json
from dataclasses import replace
from typing import Any

import orjson
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from shared_types import InvalidEvent
from signals.domain.events.door_settings import DoorSettings, KeptField
from signals.domain.events.foreign import ForeignReading
from signals.domain.events.from_otlp import read_otlp
from signals.domain.events.otlp_wire import MAX_MESSAGE_BYTES, MAX_RECORDS
from tests.support.recordings import RECEIPT

NOW_NS = 1795931505162000000
RESOURCE = {"service.name": "shop", "service.version": "2.4.1", "deployment.environment.name": "production"}


def _pairs(members: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in members.items()]


def _value(value: Any) -> dict[str, Any]:
    match value:
        case dict():
            return {"kvlistValue": {"values": _pairs(value)}}
        case int():
            return {"intValue": str(value)}
        case _:
            return {"stringValue": value}


def _json_logs(*records: dict[str, Any], resource: dict[str, Any] = RESOURCE) -> ForeignReading:
    scopes = [{"scope": {"name": "shop.pay"}, "logRecords": list(records)}]
    body = {"resourceLogs": [{"resource": {"attributes": _pairs(resource)}, "scopeLogs": scopes}]}
    return read_otlp(orjson.dumps(body), "logs", RECEIPT, is_json=True)


def _log(text: Any = "failed", **members: Any) -> dict[str, Any]:
    attributes = _pairs(members.pop("attributes", {}))
    return {"timeUnixNano": str(NOW_NS), "body": _value(text), "attributes": attributes, **members}


def _event(*arguments: Any, **members: Any) -> dict[str, Any]:
    return _json_logs(_log(*arguments, **{"severityNumber": 17, **members})).events[0]


@pytest.mark.parametrize(
    ("severity", "kept"),
    [
        ({"severityNumber": 17}, "error"),
        ({"severityNumber": "21"}, "critical"),
        ({"severityText": "ERROR"}, "error"),
        ({"severityText": "Fatal"}, "critical"),
        ({"severityNumber": 16}, None),
        ({"severityText": "warning"}, None),
        ({}, None),
    ],
)
def test_severity_decides_what_is_kept(severity: dict[str, Any], kept: str | None) -> None:
    reading = _json_logs(_log(**severity))
    assert [event["severity"] for event in reading.events] == ([kept] if kept else [])
    assert reading.ignored == ({} if kept else {"below severity": 1})


def test_exception_makes_an_error_of_any_severity() -> None:
    event = _event(
        severityNumber=9, attributes={"exception.type": "java.io.IOException", "exception.message": "m"}
    )
    assert (event["event_type"], event["attributes"]["error_code"]) == ("error", "java.io.IOException")


def test_named_events_are_kept_below_error() -> None:
    reading = _json_logs(
        _log(severityNumber=9, eventName="user.login"),
        _log(severityNumber=9, attributes={"event.name": "Signed Up"}),
    )
    assert [event["event_type"] for event in reading.events] == ["custom", "signup"]


@pytest.mark.parametrize(
    ("body", "attributes", "code"),
    [
        ("order 7 failed", {"exception.type": "KeyError", "error.type": "x"}, "KeyError"),
        ("order 7 failed", {"error.type": "timeout"}, "timeout"),
        ("order 7 failed", {}, "order # failed"),
        ({"msg": "order 7 failed", "n": 7}, {}, "order # failed"),
        ({"b": 1, "a": 2}, {}, "{a, b}"),
    ],
)
def test_error_code_names_the_fault(body: Any, attributes: dict[str, Any], code: str) -> None:
    assert _event(body, attributes=attributes)["attributes"]["error_code"] == code


@pytest.mark.parametrize(
    ("attributes", "route"),
    [
        ({"http.route": "/checkout/:id", "url.path": "/x"}, "/checkout/{id}"),
        ({"url.path": "/checkout/48213"}, "/checkout/{id}"),
        ({"http.target": "/checkout/48213?c=1"}, "/checkout/{id}"),
        ({"code.function.name": "emit"}, "emit"),
        ({}, "shop"),
    ],
)
def test_route_follows_the_rules_in_order(attributes: dict[str, Any], route: str) -> None:
    assert _event(attributes=attributes)["attributes"]["route"] == route


def test_unknown_service_is_no_route_and_absent_environment_is_the_keys() -> None:
    event = _json_logs(_log(severityNumber=17), resource={"service.name": "unknown_service:node"}).events[0]
    assert (event["environment"], event["attributes"].get("route")) == ("prod", None)  # type: ignore[attr-defined]


def test_people_and_contents_of_requests_are_not_kept() -> None:
    attributes = {
        "card": "4111111111111111",
        "user.email": "jane@example.org",
        "enduser.id": "u-77",
        "http.request.header.cookie": "sid",
        "url.query": "token=1",
        "note": "of joe@example.org",
        "cart.size": 3,
    }
    payload = _event(attributes=attributes)["payload"]
    kept = {name: payload[name] for name in attributes if name in payload}
    assert kept == {"card": "[card]", "note": "of [email]", "cart.size": 3}


@pytest.mark.parametrize("body", [b"", b"  ", b"{}", b'{"resourceLogs":[]}', b'{"resourceLogs":null,"x":1}'])
def test_empty_json_request_is_empty(body: bytes) -> None:
    assert read_otlp(body, "logs", RECEIPT, is_json=True) == ForeignReading()


def test_json_in_snake_case_says_so() -> None:
    reading = read_otlp(b'{"resource_logs":[{}]}', "logs", RECEIPT, is_json=True)
    assert "lowerCamelCase" in next(iter(reading.ignored))


def test_record_that_is_too_large_is_refused_alone() -> None:
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    records.add(severity_number=17).body.string_value = "x" * MAX_MESSAGE_BYTES
    records.add(severity_number=17).body.string_value = "kept"
    reading = read_otlp(request.SerializeToString(), "logs", RECEIPT, is_json=False)
    assert [event["message"] for event in reading.events] == ["kept"]
    assert reading.refused == {"record too large": 1}


def test_too_many_records_are_refused() -> None:
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for _ in range(MAX_RECORDS + 6_000):
        records.add()
    with pytest.raises(InvalidEvent, match="at most"):
        read_otlp(request.SerializeToString(), "logs", RECEIPT, is_json=False)


def test_equal_records_of_a_request_stay_apart() -> None:
    reading = _json_logs(*[_log(severityNumber=17)] * 3)
    assert len({event["event_id"] for event in reading.events}) == 3


def _traces() -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    failed = spans.add(trace_id=b"t" * 16, span_id=b"a" * 8, kind=2, name="GET /a")
    failed.status.code = 2
    failed.attributes.add(key="url.path").value.string_value = "/checkout/48213"
    event = failed.events.add(name="exception", time_unix_nano=NOW_NS)
    event.attributes.add(key="exception.type").value.string_value = "PaymentDeclined"
    event.attributes.add(key="exception.message").value.string_value = "declined"
    spans.add(trace_id=b"t" * 16, span_id=b"b" * 8, kind=3, name="inner").status.code = 2
    server = spans.add(trace_id=b"t" * 16, span_id=b"c" * 8, kind=2, name="GET /b", end_time_unix_nano=NOW_NS)
    server.status.code = 2
    server.attributes.add(key="error.type").value.string_value = "503"
    spans.add(trace_id=b"t" * 16, span_id=b"d" * 8, kind=2, name="GET /c")
    return request


def test_exceptions_and_failed_server_spans_are_errors() -> None:
    reading = read_otlp(_traces().SerializeToString(), "traces", RECEIPT, is_json=False)
    found = [(event["message"], event["attributes"]) for event in reading.events]
    assert found == [
        ("declined", {"route": "/checkout/{id}", "error_code": "PaymentDeclined"}),
        ("GET /b", {"error_code": "503"}),
    ]
    assert reading.ignored == {"span": 2}


def test_spans_in_json_are_read_alike() -> None:
    span = {
        "traceId": "74" * 16,
        "spanId": "61" * 8,
        "kind": "SPAN_KIND_SERVER",
        "name": "GET /a",
        "endTimeUnixNano": str(NOW_NS),
        "status": {"code": "STATUS_CODE_ERROR", "message": "upstream"},
        "attributes": _pairs({"http.route": "/a"}),
    }
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [span, {"name": "quiet"}]}]}]}
    reading = read_otlp(orjson.dumps(body), "traces", RECEIPT, is_json=True)
    assert [event["message"] for event in reading.events] == ["upstream"]
    assert reading.ignored == {"span": 1}


def test_private_attributes_are_kept_only_for_projects_that_ask() -> None:
    attributes = {
        "user.id": "u-17",
        "url.full": "https://shop.example/pay?step=2",
        "db.query.text": "SELECT 1",
        "http.request.header.cookie": "sid=4711",
    }
    scopes = [{"logRecords": [_log(severityNumber=17, attributes=attributes)]}]
    body = orjson.dumps({"resourceLogs": [{"scopeLogs": scopes}]})
    receipt = replace(RECEIPT, settings=DoorSettings.of(None, list(KeptField)))
    [plain], [kept] = (read_otlp(body, "logs", one, is_json=True).events for one in (RECEIPT, receipt))
    assert isinstance(plain["payload"], dict)
    assert isinstance(kept["payload"], dict)
    assert not {"user_id", "user.id", "request_url", "db.query.text"} & plain["payload"].keys()
    assert kept["payload"]["user_id"] == kept["payload"]["user.id"] == "u-17"
    assert kept["payload"]["request_url"] == "https://shop.example/pay?step=2"
    assert kept["payload"]["db.query.text"] == "SELECT 1"
    assert "4711" not in repr(kept["payload"])


def test_number_of_any_length_is_no_instant() -> None:
    """The lenient reader of JSON takes numbers that no float holds."""
    log = {"timeUnixNano": 10**400, "severityNumber": 17, "body": {"stringValue": "cut \ud83d"}}
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [log]}]}]}
    [event] = read_otlp(json.dumps(body).encode(), "logs", RECEIPT, is_json=True).events
    assert event["occurred_at"] == "2026-11-29T06:00:00.000Z"


@pytest.mark.parametrize(
    ("text", "severity"), [("CRIT", "critical"), ("PANIC", "critical"), ("SEVERE", "error")]
)
def test_words_of_loggers_name_the_severity(text: str, severity: str) -> None:
    log = {"severityText": text, "body": {"stringValue": "m"}}
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [log]}]}]}
    [event] = read_otlp(json.dumps(body).encode(), "logs", RECEIPT, is_json=True).events
    assert event["severity"] == severity


def test_source_lines_of_a_stack_trace_are_not_kept() -> None:
    python = (
        'Traceback (most recent call last):\n  File "/srv/a.py", line 3, in pay\n    charge(card="x-1")\n'
        "    ~~~~~~^^^^^\n  | ExceptionGroup: two\n"
        '  |   File "/srv/b.py", line 4, in charge\n  |     raise Declined("x-1")\nDeclined: no'
    )
    other = "Error: no\n    at charge (/srv/pay.js:6:27)\n    (app 0.1) lib/x.ex:3: Shop.pay/1"
    stacks = []
    for trace in (python, other):
        attribute = {"key": "exception.stacktrace", "value": {"stringValue": trace}}
        log = {"severityNumber": 17, "body": {"stringValue": "m"}, "attributes": [attribute]}
        body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [log]}]}]}
        [event] = read_otlp(json.dumps(body).encode(), "logs", RECEIPT, is_json=True).events
        stacks.append(event["payload"]["stack"])  # type: ignore[index]  # an event's payload is an object
    assert "x-1" not in stacks[0]
    assert [line for line in ("/srv/a.py", "/srv/b.py", "Declined: no") if line not in stacks[0]] == []
    assert stacks[1] == other
