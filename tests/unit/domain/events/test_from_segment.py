"""Calls of Segment's libraries: tracks become events, the rest is counted."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from shared_types import InvalidEvent
from signals.domain.events.door_settings import DoorSettings
from signals.domain.events.foreign import ForeignReading, Receipt
from signals.domain.events.from_segment import parse_calls, read_calls
from tests.support.recordings import RECEIPT


def _read(*calls: object, **members: object) -> ForeignReading:
    return read_calls(parse_calls(orjson.dumps({"batch": calls, **members}), None), RECEIPT)


def _track(**members: object) -> dict[str, Any]:
    return _read({"type": "track", "event": "Order Completed", "messageId": "m-1", **members}).events[0]


@pytest.mark.parametrize("name", ["Signed Up", "signed_up", "SIGN UP", "User Signed Up", "account-created"])
def test_names_in_the_signup_list_are_signups(name: str) -> None:
    assert _track(event=name)["event_type"] == "signup"


@pytest.mark.parametrize("name", ["Order Completed", "Error", "Signed Up For Newsletter"])
def test_other_names_are_custom(name: str) -> None:
    event = _track(event=name)
    assert (event["event_type"], event["message"]) == ("custom", name)


def test_calls_that_are_no_track_are_ignored_and_counted() -> None:
    reading = _read({"type": "page"}, {"type": "identify"}, {"type": "identify"}, {"event": "x"}, 7)
    assert reading.ignored == {"page": 1, "identify": 2}
    assert reading.refused == {"call without a type": 2}


def test_repeated_call_keeps_its_id_though_sent_at_differs() -> None:
    call = {"type": "track", "event": "x", "messageId": "node-next-1-2"}
    first, second = _read(call, sentAt="2026-11-29T06:00:00Z"), _read(call, sentAt="2026-11-29T06:00:09Z")
    assert first.events[0]["event_id"] == second.events[0]["event_id"]
    other = {"type": "track", "event": "x", "userId": "u"}
    assert _read(other).events[0]["event_id"] == _read({**other, "sentAt": "1"}).events[0]["event_id"]


def test_clock_is_corrected_by_sent_at() -> None:
    call = {"type": "track", "event": "x", "timestamp": "2026-11-29T03:59:50Z"}
    event = _read(call, sentAt="2026-11-29T04:00:00Z").events[0]
    assert event["occurred_at"] == "2026-11-29T05:59:50.000Z"


def test_original_timestamp_stands_in_and_the_past_is_kept() -> None:
    event = _track(originalTimestamp="2026-11-01T00:00:00.000Z")
    assert event["occurred_at"] == "2026-11-01T00:00:00.000Z"


def test_release_and_route_come_from_the_context() -> None:
    event = _track(context={"app": {"version": "2.4.1"}, "page": {"path": "/orders/17"}})
    assert event["attributes"] == {"release": "2.4.1", "route": "/orders/{id}"}


def test_people_and_secrets_are_not_kept() -> None:
    event = _track(
        userId="u-77",
        properties={"plan": "pro", "email": "jane@example.org", "card": "4111111111111111", "password": "x"},
        context={"traits": {"email": "joe@example.org"}, "ip": "203.0.113.9"},
    )
    text = orjson.dumps(event).decode()
    assert not [word for word in ("u-77", "jane", "joe", "4111", "203.0") if word in text]
    assert event["payload"]["properties"]["plan"] == "pro"


def test_single_call_takes_its_kind_from_the_path() -> None:
    body = orjson.dumps({"event": "Signed Up", "messageId": "m", "writeKey": "k"})
    calls = parse_calls(body, "track")
    assert calls.write_key == "k"
    assert read_calls(calls, RECEIPT).events[0]["event_type"] == "signup"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"batch":{}}', b'{"batch":[' + b"1," * 1000 + b"1]}"])
def test_body_that_is_no_batch_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidEvent):
        parse_calls(body, None)


def _settings(*names: str) -> Receipt:
    return replace(RECEIPT, settings=DoorSettings.of(list(names), None))


def _call(kind: str, **members: object) -> dict[str, object]:
    return {"type": kind, "userId": "u-1", "timestamp": "2026-11-29T06:00:00Z", **members}


def _types(calls: list[dict[str, object]], receipt: Receipt) -> list[object]:
    body = orjson.dumps({"batch": calls})
    return [event["event_type"] for event in read_calls(parse_calls(body, None), receipt).events]


def test_signup_list_of_the_project_replaces_the_built_in_one() -> None:
    calls = [_call("track", event="Signed Up"), _call("track", event="trial_started")]
    assert _types(calls, RECEIPT) == ["signup", "custom"]
    assert _types(calls, _settings("Trial Started")) == ["custom", "signup"]
    assert _types(calls, _settings()) == ["custom", "custom"]


def test_first_identify_is_a_signup_when_the_project_says_so() -> None:
    receipt = _settings("identify")
    old = _call("identify", traits={"createdAt": "2026-10-01T06:00:00Z"})
    nameless = _call("identify", userId=None, anonymousId="a")
    calls = [_call("identify"), _call("identify", traits={"plan": "pro"}), old, nameless]
    reading = read_calls(parse_calls(orjson.dumps({"batch": calls}), None), receipt)
    assert [event["event_type"] for event in reading.events] == ["signup", "signup"]
    assert len({event["event_id"] for event in reading.events}) == 1  # counted once
    assert reading.ignored == {"identify of a known user": 1, "identify without a user": 1}
    assert _types(calls, RECEIPT) == []


def test_opt_ins_keep_the_user_and_the_address() -> None:
    page = {"page": {"url": "https://shop.example/pay?step=2&password=hunter2", "path": "/pay"}}
    calls = parse_calls(orjson.dumps({"batch": [_call("track", event="Paid", context=page)]}), None)
    plain = read_calls(calls, RECEIPT).events[0]["payload"]
    assert isinstance(plain, dict)
    assert not {"user_id", "request_url"} & plain.keys()
    receipt = replace(RECEIPT, settings=DoorSettings.of(None, ["user_id", "request_url"]))
    payload = read_calls(calls, receipt).events[0]["payload"]
    assert isinstance(payload, dict)
    assert payload["user_id"] == "u-1"
    assert payload["request_url"].startswith("https://shop.example/pay?step=2")
    assert "hunter2" not in payload["request_url"]


def test_context_of_a_batch_holds_for_calls_without_one() -> None:
    own = {"app": {"version": "2.0"}}
    batch = {
        "context": {"app": {"version": "1.0"}, "library": {"name": "analytics-go", "version": "3.3.0"}},
        "batch": [{"type": "track", "event": "x"}, {"type": "track", "event": "x", "context": own}],
    }
    events = read_calls(parse_calls(orjson.dumps(batch), None), RECEIPT).events
    assert [event["attributes"] for event in events] == [{"release": "1.0"}, {"release": "2.0"}]
    assert [event["payload"] for event in events] == [
        {"door": "segment", "event": "x", "sdk": "analytics-go 3.3.0"},
        {"door": "segment", "event": "x"},
    ]
