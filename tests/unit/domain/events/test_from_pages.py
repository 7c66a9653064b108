"""Events that a page sends by itself."""

import json
from typing import Any
from uuid import UUID

import pytest

from shared_types import InvalidEvent, canonicalize
from signals.domain.events.from_pages import MAX_EVENTS, read_page
from tests.support.recordings import RECEIPT, recording


def _read(value: object) -> list[Any]:
    return read_page(json.dumps(value).encode(), RECEIPT)


def test_recorded_error_is_read() -> None:
    [event] = read_page(recording("snippet/001").wire, RECEIPT)
    assert isinstance(event, dict)
    assert event["attributes"] == {"error_code": "TypeError", "route": "/snippet.html"}
    assert (event["event_type"], event["severity"], event["environment"]) == ("error", "error", "prod")
    canonicalize(event, tenancy=RECEIPT.tenancy, received_at=RECEIPT.received_at, event_id=UUID(int=1))


def test_event_without_an_id_has_the_same_one_each_time() -> None:
    event = {"message": "m", "occurred_at": "2026-11-29T06:00:00Z"}
    first, second = _read([event, event])
    assert first["event_id"] != second["event_id"]
    assert [one["event_id"] for one in _read([event, event])] == [first["event_id"], second["event_id"]]


def test_masks_hold_for_pages() -> None:
    [event] = _read(
        {
            "message": "mail jo@shop.example failed \ud83d",
            "attributes": {"route": "https://x.example/orders/48213?token=abc"},
            "payload": {"password": "hunter2", "card": "4111 1111 1111 1111"},
        }
    )
    assert event["attributes"]["route"] == "/orders/{id}"
    text = repr(event)
    for secret in ("jo@shop.example", "hunter2", "4111", "abc", "\ud83d"):
        assert secret not in text


def test_message_stands_in_for_a_missing_code() -> None:
    [event] = _read({"message": "order 48213 is gone"})
    assert event["attributes"] == {"error_code": "order # is gone"}


@pytest.mark.parametrize("value", [[], "x", 7, None, [{}] * (MAX_EVENTS + 1)], ids=lambda v: repr(v)[:20])
def test_body_that_is_no_event_is_refused(value: object) -> None:
    with pytest.raises(InvalidEvent):
        _read(value)


@pytest.mark.parametrize("word", ["SIGNUP", "Signup", "signup"])
def test_event_type_is_the_word_of_the_contract(word: str) -> None:
    [event] = _read({"event_type": word, "message": "m"})
    assert event["event_type"] == "signup"


def test_stack_of_a_page_keeps_no_query() -> None:
    payload = {"stack": "pay (https://shop.example/a.js?token=t-1:1:2)"}
    [event] = _read({"message": "m", "payload": payload})
    assert event["payload"]["stack"] == "pay (https://shop.example/a.js:1:2)"


def test_release_is_the_text_of_every_door() -> None:
    release = "shop@a84d88e7554fc1fa21bcbc4efae3c782a70d2b9d"
    event = {"event_type": "error", "message": "m", "attributes": {"release": release}}
    (read,) = read_page(json.dumps(event).encode(), RECEIPT)
    assert isinstance(read, dict)
    assert read["attributes"]["release"] == release
