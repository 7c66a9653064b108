"""Events of Sentry SDKs, of every age, become the events that the rules say."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from shared_types import InvalidEvent
from signals.domain.events.door_settings import DoorSettings, KeptField
from signals.domain.events.foreign import ForeignReading
from signals.domain.events.from_sentry import MAX_LOGS, key_of_dsn, read_envelope, read_store
from signals.domain.events.sentry_envelopes import split_envelope
from tests.support.recordings import RECEIPT, RECORDED_AT

EVENT_ID = "0123456789abcdef0123456789abcdef"


def _read(*lines: object) -> ForeignReading:
    body = b"\n".join(line if isinstance(line, bytes) else orjson.dumps(line) for line in lines)
    return read_envelope(split_envelope(body), RECEIPT)


def _event(**members: object) -> dict[str, Any]:
    return read_store(orjson.dumps({"event_id": EVENT_ID, **members}), RECEIPT).events[0]


def _exception(
    kind: str | None, value: str = "v", function: str = "pay", **more: object
) -> dict[str, object]:
    frames = [
        {"module": "shop.pay", "function": function, "lineno": 3, "in_app": True, "vars": {"card": "1"}}
    ]
    return {"type": kind, "value": value, "stacktrace": {"frames": frames}, **more}


def _code(*chain: dict[str, object], **members: object) -> object:
    return _event(exception={"values": list(chain)}, **members)["attributes"].get("error_code")


@pytest.mark.parametrize(
    ("chain", "code"),
    [
        ([_exception("KeyError"), _exception("PaymentDeclined")], "PaymentDeclined"),
        ([_exception("PaymentDeclined"), _exception("Error")], "PaymentDeclined"),
        ([_exception("main.Declined"), _exception("*fmt.wrapError")], "main.Declined"),
        ([_exception("*errors.errorString"), _exception("*fmt.wrapError")], "Error in pay"),
        ([_exception("Error", function="?")], "Error"),
        ([_exception("Error", function="ab")], "Error"),
        ([_exception("Error", "order 7", "?", mechanism={"synthetic": True})], "order #"),
        ([_exception(None, "order 7", "?")], "order #"),
        ([_exception(None, "order 7")], "pay"),
    ],
)
def test_error_code_names_the_fault(chain: list[dict[str, object]], code: str) -> None:
    assert _code(*chain) == code


def test_chain_as_a_plain_list_is_read() -> None:
    assert _event(exception=[_exception("KeyError")])["attributes"]["error_code"] == "KeyError"


def test_templates_name_messages_and_parameters_do_not() -> None:
    entry = {"message": "sku %s of %s", "formatted": "sku A of 9", "params": ["A", 9]}
    event = _event(logentry=entry, level="error", logger="shop.stock")
    assert event["message"] == "sku A of 9"
    assert event["attributes"] == {"route": "shop.stock", "error_code": "sku %s of %s"}
    ready = _event(logentry={"message": "sku 9", "formatted": "sku 9", "params": []}, level="error")
    assert ready["attributes"]["error_code"] == "sku #"


@pytest.mark.parametrize(
    "members",
    [
        {"message": "hello"},
        {"message": {"formatted": "hello"}},
        {"message": {"message": "hello"}},
        {"logentry": {"formatted": "hello"}},
        {"logentry": {"message": "hello"}},
        {"sentry.interfaces.Message": {"message": "hello", "formatted": None}},
    ],
)
def test_message_is_found_in_every_shape(members: dict[str, object]) -> None:
    event = _event(level="warning", **members)
    assert (event["message"], event["event_type"], event["severity"]) == ("hello", "custom", "warn")


@pytest.mark.parametrize(
    ("members", "route"),
    [
        ({"transaction": "/a/:id", "transaction_info": {"source": "route"}}, "/a/{id}"),
        ({"transaction": "POST /a/1", "request": {"url": "http://h/b", "method": "POST"}}, "/a/{id}"),
        (
            {
                "transaction": "co",
                "transaction_info": {"source": "component"},
                "request": {"url": "http://h/a/1?q"},
            },
            "/a/{id}",
        ),
        (
            {
                "transaction": "tasks.mail",
                "transaction_info": {"source": "task"},
                "request": {"url": "http://h/a"},
            },
            "tasks.mail",
        ),
        ({"transaction": "nightly"}, "nightly"),
        ({}, "shop.pay:pay"),
    ],
)
def test_route_follows_the_rules_in_order(members: dict[str, object], route: str) -> None:
    event = _event(exception={"values": [_exception("KeyError")]}, **members)
    assert event["attributes"]["route"] == route


def test_culprit_comes_from_the_next_exception_outwards() -> None:
    inner = {"type": "main.Declined", "value": "v"}
    event = _event(exception={"values": [inner, _exception("*fmt.wrapError", function="checkout")]})
    assert event["attributes"]["route"] == "shop.pay:checkout"


def test_panic_without_an_exception_takes_the_crashed_thread() -> None:
    stack = _exception(None, function="main.boom")["stacktrace"]
    event = _event(
        message="boom", level="fatal", threads={"values": [{"crashed": True, "stacktrace": stack}]}
    )
    assert (event["severity"], event["attributes"]["route"]) == ("critical", "shop.pay:main.boom")


def test_own_fingerprint_decides_the_group() -> None:
    chain = {"values": [_exception("RuntimeError")]}
    added = _event(exception=chain, transaction="/a", fingerprint=["{{ default }}", "timeout"])
    assert added["attributes"] == {"route": "/a", "error_code": "RuntimeError/timeout"}
    own = _event(exception=chain, transaction="/a", fingerprint=["db", "down"])
    assert own["attributes"] == {"error_code": "db/down"}
    assert own["payload"]["route"] == "/a"


@pytest.mark.parametrize(
    ("name", "environment", "is_noted"),
    [
        (None, "prod", False),
        ("Production", "prod", False),
        ("qa", "staging", False),
        ("local", "dev", False),
        ("eu-live-2", "prod", True),
        ("sandbox", "staging", True),
        ("non-prod", "staging", True),
        ("pre-production", "staging", True),
    ],
)
def test_environment_names_are_mapped(name: str | None, environment: str, is_noted: bool) -> None:
    event = _event(message="m", environment=name)
    assert event["environment"] == environment
    assert ("environment_name" in event["payload"]) == is_noted


def test_clock_that_is_off_is_corrected_by_sent_at() -> None:
    ahead = RECORDED_AT + timedelta(hours=2)
    header = {"sent_at": ahead.isoformat()}
    event = {"message": "m", "timestamp": (ahead - timedelta(seconds=5)).timestamp()}
    found = _read(header, {"type": "event"}, event).events[0]
    assert found["occurred_at"] == "2026-11-29T05:59:55.000Z"
    assert found["payload"]["clock_shift_s"] == -7200  # type: ignore[index]  # an event's payload is an object


def test_future_without_sent_at_becomes_the_receipt() -> None:
    event = _event(message="m", timestamp="2031-01-01T00:00:00")
    assert event["occurred_at"] == "2026-11-29T06:00:00.000Z"


def test_naive_times_are_utc_and_numbers_are_seconds() -> None:
    assert _event(message="m", timestamp="2026-11-29T05:00:00")["occurred_at"] == "2026-11-29T05:00:00.000Z"
    assert _event(message="m", timestamp=1795928400.25)["occurred_at"] == "2026-11-29T05:00:00.250Z"


def test_private_parts_of_an_event_are_not_kept() -> None:
    event = _event(
        exception={"values": [_exception("KeyError", "of jane@example.org")]},
        request={
            "url": "http://h/a?token=x",
            "data": {"card": "c1"},
            "cookies": "sid=s1",
            "headers": {"A": "h1"},
        },
        breadcrumbs=[{"message": "b1"}],
        extra={"e": "e1"},
        user={"id": "u1", "email": "jane@example.org", "ip_address": "{{auto}}"},
        server_name="host-1",
        tags={"mail": "jane@example.org", "plan": "pro"},
    )
    text = orjson.dumps(event).decode()
    assert not [
        word for word in ("jane", "c1", "sid=", "h1", "b1", 'e1"', 'u1"', "auto", "token") if word in text
    ]
    assert event["payload"]["tags"] == {"mail": "[email]", "plan": "pro"}
    assert event["payload"]["user_hash"]


def test_numbers_as_release_and_level_are_taken() -> None:
    event = _event(message="m", release=42, level=40)
    assert (event["attributes"]["release"], event["severity"]) == ("42", "error")


def test_client_report_counts_only_lost_events() -> None:
    discarded = [
        {"reason": "network_error", "category": "error", "quantity": 3},
        {"reason": "ratelimit_backoff", "category": "span", "quantity": 9},
        {"reason": "x", "category": "error", "quantity": -1},
    ]
    reading = _read({}, {"type": "client_report"}, {"discarded_events": discarded})
    assert (reading.events, reading.lost) == ([], {"network_error/error": 3})


def test_bad_item_keeps_the_others() -> None:
    reading = _read(
        {}, {"type": "event"}, b"{broken", {"type": "event"}, {"message": "m"}, {"type": "span"}, {}
    )
    assert [event["message"] for event in reading.events] == ["m"]
    assert (reading.refused, reading.ignored) == ({"event: malformed_json": 1}, {"span": 1})


def test_envelope_of_bad_items_alone_is_refused() -> None:
    with pytest.raises(InvalidEvent, match="malformed_json"):
        _read({}, {"type": "event"}, b"{broken")
    with pytest.raises(InvalidEvent, match="truncated item"):
        _read({}, {"type": "event", "length": 999}, {})


@pytest.mark.parametrize("body", [b"", b"\n", b"{}", b"{}\n", b"{}\n\n"])
def test_empty_envelope_is_empty(body: bytes) -> None:
    empty = ForeignReading(ignored=Counter({"empty envelope": 1}))
    assert read_envelope(split_envelope(body), RECEIPT) == empty


def test_feedback_and_reports_of_users_name_nobody() -> None:
    feedback = {
        "contexts": {"feedback": {"message": "I cannot pay", "name": "Jane", "contact_email": "j@x.org"}}
    }
    report = {"event_id": EVENT_ID, "comments": "broken", "email": "j@x.org", "name": "Jane"}
    events = _read({}, {"type": "feedback"}, feedback, {"type": "user_report"}, report).events
    assert [event["event_type"] for event in events] == ["feedback", "feedback"]
    assert [event["message"] for event in events] == ["I cannot pay", "broken"]
    assert b"Jane" not in orjson.dumps(events)
    assert events[1]["event_id"] != "01234567-89ab-cdef-0123-456789abcdef"


def test_store_event_without_an_id_gets_the_same_one_again() -> None:
    body = b'{"message":"m"}'
    first, second = read_store(body, RECEIPT).events[0], read_store(body, RECEIPT).events[0]
    assert first["event_id"] == second["event_id"]


def test_thousand_order_numbers_are_one_fingerprint() -> None:
    groups = set()
    for number in range(1000):
        event = _event(
            exception={"values": [_exception("PaymentDeclined", f"order {number}")]},
            transaction=f"POST /checkout/{number}",
        )
        groups.add((event["attributes"]["error_code"], event["attributes"]["route"]))
    assert groups == {("PaymentDeclined", "/checkout/{id}")}


def test_key_of_a_dsn() -> None:
    assert key_of_dsn("https://abc123@host/v1/events/sentry/7") == "abc123"
    assert key_of_dsn("http://abc:secret@host:1/7") == "abc"
    assert key_of_dsn("http://host/7") is None


def test_names_that_clients_choose_stay_few_in_the_counts() -> None:
    lines: list[object] = [{}]
    for number in range(40):
        lines += [{"type": f"own{number}"}, {}]
    discarded = [{"reason": f"r{n}", "category": "error", "quantity": 1} for n in range(40)]
    lines += [{"type": "client_report"}, {"discarded_events": discarded}]
    reading = _read(*lines)
    assert (reading.ignored, reading.lost) == ({"other": 40}, {"other/error": 40})


PRIVATE: dict[str, Any] = {
    "user": {"id": "u-17", "email": "jo@shop.example"},
    "request": {
        "url": "https://shop.example/pay",
        "query_string": "step=2&token=abcdef",
        "data": {"amount": 7, "password": "hunter2"},
        "cookies": "sid=cookie-4711",
        "headers": {"Authorization": "Bearer header-4711"},
    },
    "breadcrumbs": {
        "values": [{"category": "ui.click", "message": "pay"}, {"message": "mail jo@shop.example"}]
    },
}


def test_private_parts_are_kept_only_for_projects_that_ask() -> None:
    event = {**PRIVATE, "exception": {"values": [_exception("KeyError")]}}
    body = orjson.dumps({"event_id": EVENT_ID, **event})
    asked = {str(field) for field in KeptField if field is not KeptField.LOG_ATTRIBUTES}
    [plain] = read_store(body, RECEIPT).events
    settings = DoorSettings.of(None, list(KeptField))
    [kept] = read_store(body, replace(RECEIPT, settings=settings)).events
    assert isinstance(plain["payload"], dict)
    assert isinstance(kept["payload"], dict)
    assert not asked & plain["payload"].keys()
    assert {name: kept["payload"][name] for name in sorted(asked)} == {
        "breadcrumbs": "ui.click: pay\n: mail [email]",
        "locals": {"card": "1"},
        "request_data": {"amount": 7, "password": "[secret]"},
        "request_url": "https://shop.example/pay?step=2&token=[secret]",
        "user_id": "u-17",
    }
    for secret in ("4711", "hunter2", "jo@shop.example", "abcdef"):
        assert secret not in repr(kept["payload"])


def test_client_report_of_any_shape_keeps_the_event() -> None:
    report = {
        "discarded_events": [{"category": [], "quantity": 1}, {"category": {}, "reason": [], "quantity": 1}]
    }
    body = b'{}\n{"type":"client_report"}\n' + orjson.dumps(report) + b'\n{"type":"event"}\n{"message":"m"}'
    reading = read_envelope(split_envelope(body), RECEIPT)
    assert (len(reading.events), reading.lost) == (1, {})


def test_header_line_that_cannot_be_read_keeps_the_items_before_it() -> None:
    event = b'{}\n{"type":"event"}\n{"message":"m"}\n'
    for header in (b'{"type":"' + b"x" * 70_000 + b'"}\n{}', b"[1]\n{}", b"\xff\n{}"):
        reading = read_envelope(split_envelope(event + header), RECEIPT)
        assert (len(reading.events), reading.refused) == (1, {"malformed item header": 1})


def test_item_header_with_a_cut_emoji_is_read() -> None:
    header = b'{"type":"attachment","filename":"a\\ud83d.png","length":2}'
    body = b"{}\n" + header + b'\n{}\n{"type":"event"}\n{"message":"m"}'
    reading = read_envelope(split_envelope(body), RECEIPT)
    assert (len(reading.events), reading.ignored) == (1, {"attachment": 1})


def test_logs_of_one_envelope_are_bounded_together() -> None:
    logs = [{"level": "error", "body": f"m {number}"} for number in range(MAX_LOGS)]
    item = b'\n{"type":"log"}\n' + orjson.dumps({"items": logs})
    reading = read_envelope(split_envelope(b"{}" + 3 * item), RECEIPT)
    assert (len(reading.events), reading.refused) == (MAX_LOGS, {"log": 2 * MAX_LOGS})
    assert len({event["event_id"] for event in reading.events}) == MAX_LOGS


def test_names_of_an_event_are_masked() -> None:
    mail, frame = (
        "jo@shop.example",
        {"function": "pay jo@shop.example", "filename": "/home/jo@shop.example/a.py"},
    )
    fault = {"type": f"Fault of {mail}", "value": "v", "stacktrace": {"frames": [frame]}}
    event = {"exception": {"values": [fault]}, "logger": mail, "tags": {mail: 4111111111111111.0}}
    for members in ({}, {"transaction": f"task for {mail}"}):
        [read] = read_store(orjson.dumps({**event, **members}), RECEIPT).events
        text = orjson.dumps(read).decode()
        assert mail not in text
        assert "4111111111111111" not in text


def test_functions_of_a_module_for_passwords_are_different_places() -> None:
    def place(function: str) -> object:
        frames = [{"module": "shop.auth.password", "function": function, "lineno": 3, "in_app": True}]
        event = _event(exception={"values": [{"type": "E", "value": "v", "stacktrace": {"frames": frames}}]})
        return event["attributes"]["route"], event["payload"]["culprit"]

    assert place("check") == ("shop.auth.password:check", "shop.auth.password:check:3")
    assert place("reset") == ("shop.auth.password:reset", "shop.auth.password:reset:3")
