"""The fast path of an event gives the same bytes as the models, or leaves the event to them."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import shared_types
from producers.scenarios import open_shop
from shared_types import InvalidEvent, Tenancy, canonicalize, partition_key
from signals.domain.events.plain_events import PlainEvents, PlainRecord
from tests.support.raw_events import EVENT, JSON, LABEL

NOW = datetime(2025, 12, 27, 10, 0, 30, 123_456, tzinfo=UTC)
TENANCY = Tenancy("org_123", "proj_123")
SPARE_ID = uuid.UUID(int=1)
PLAIN: dict[str, Any] = {
    "event_type": "error",
    "occurred_at": "2025-12-27T10:00:00.250Z",
    "message": "m",
    "attributes": {"route": "/a|b%", "method": "post", "status_code": 503, "error_code": "-", "shop": "x"},
    "payload": {"trace_id": "a", "n": 1, "share": 1.5, "list": [1, None], "none": None},
}
# Whatever JSON can hold, also where it does not belong, and texts that are nearly right.
ANYTHING = st.one_of(
    st.none(),
    JSON,
    LABEL,
    st.text("\x00\x1c \n\u00a0é\u0301\\u0m", max_size=6),
    st.integers(-(2**70), 2**70),
    st.sampled_from(
        [
            "production", "Warning", "FATAL", "/orders/48213", "/v2/x?y", "7f3A9xQ2zB81", "/1" * 128,
            "ERROR", "Error", "eRRor", "1.0", "org_123", "proj_123", "503", " 503", 503.0, 999, 1000, -0.0,
            1e22, 1e-7, "0190D4D2-8C1A-7CC0-8000-000000000001", "0190d4d2-8c1a-7cc0-8000-000000000001",
            "2025-12-27t10:00:00z", "2025-12-27T24:00:00Z", "2025-02-30T10:00:00Z", "2025-12-27T10:00:60Z",
            "2025-12-27T10:00:00.1239999Z", "2025-12-27T10:00:00,123Z", "2025-W52-6T10:00:00.000Z",
            "2025-12-27T10:10:30.123Z", "2025-12-27T10:10:30.124Z", "2025-12-27T12:10:30.123999+02:00",
            "1999-12-31T23:59:59.000Z", "1999-12-31T23:59:59-05:00", "9998-12-31T23:59:59.000Z",
            "2000-01-01T00:00:00+23:59", "x" * 128, "x" * 129, "x" * 256, "x" * 257, "x" * 8192, "x" * 8193,
        ]
    ),
)  # fmt: skip
PLACES = st.sampled_from(
    [
        *("schema_version", "event_id", "occurred_at", "received_at", "org_id", "project_id", "environment"),
        *("event_type", "severity", "message", "attributes", "payload", "other", "payload.x", "payload.a..b"),
        *("attributes.route", "attributes.method", "attributes.status_code", "attributes.error_code"),
        *("attributes.release", "attributes.extra", "attributes.", "attributes.status_code_raw"),
        *("attributes.route_raw", "attributes.error_code_raw"),
    ]
)
_property = settings(
    derandomize=True, deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow]
)


def _strict(raw: dict[str, Any]) -> PlainRecord | InvalidEvent:
    try:
        envelope = canonicalize(raw, tenancy=TENANCY, received_at=NOW, event_id=SPARE_ID)
    except InvalidEvent as error:
        return error
    return PlainRecord(str(envelope.event_id), partition_key(envelope).encode(), envelope.to_json())


def _agrees(raw: object) -> bool:
    """Compare both ways for one JSON text; return whether the quick one took it."""
    return _texts_agree(json.dumps(raw).encode())


def _texts_agree(text: bytes) -> bool:
    try:
        event = orjson.loads(text)
    except orjson.JSONDecodeError:  # refused before either way
        return False
    quick = PlainEvents(TENANCY, NOW).record(event, SPARE_ID)
    assert quick is None or quick == _strict(event)
    return quick is not None


def _with(changes: list[tuple[str, object]]) -> dict[str, Any]:
    event = json.loads(json.dumps(PLAIN))
    for place, value in changes:
        outer, _, inner = place.partition(".")
        if not inner:
            event[outer] = value
        elif isinstance(event[outer], dict):
            event[outer][inner] = value
    return dict(event)


@_property
@given(EVENT)
def test_acceptable_events_give_the_same_record(raw: dict[str, object]) -> None:
    _agrees(raw)


@_property
@given(st.lists(st.tuples(PLACES, ANYTHING), max_size=3))
def test_a_plain_event_with_anything_anywhere_gives_the_same_record_or_none(
    changes: list[tuple[str, object]],
) -> None:
    _agrees(_with(changes))


@pytest.mark.parametrize("path", sorted((Path(shared_types.__file__).parent / "vectors").glob("*.json")))
def test_every_vector_gives_the_same_record_or_none(path: Path) -> None:
    for vector in json.loads(path.read_text(encoding="utf-8"))["vectors"]:
        _agrees(vector["input"])


@pytest.mark.parametrize("text", [b'"a\\u0000"', b'"\\\\u0000"', b"18446744073709551616", b"1E400", b"-0"])
@pytest.mark.parametrize("field", ["payload", "attributes"])
def test_edge_cases_of_json_give_the_same_record_or_none(text: bytes, field: str) -> None:
    _texts_agree(orjson.dumps(PLAIN | {field: {"edge": "MARK"}}).replace(b'"MARK"', text))


def test_common_events_take_the_fast_path() -> None:
    """Else everything above would hold for a function that always returns None."""
    shop = open_shop(NOW - timedelta(minutes=1), seed=3)
    assert all(_agrees(shop.visit(0.0)) for _ in range(200))
    assert _agrees(PLAIN)
    chance = Random(3)
    for place, value in [
        ("event_type", "SIGNUP"),
        ("severity", "ERROR"),
        ("environment", "prod"),
        ("schema_version", "1.0"),
        ("org_id", "org_123"),
        ("project_id", "proj_123"),
        ("received_at", "2025-12-27T10:00:00.250Z"),
        ("occurred_at", "2025-12-27T10:00:00Z"),
        ("occurred_at", "2025-12-27T12:00:00.123456+02:00"),
        ("event_id", str(uuid.UUID(int=chance.getrandbits(128), version=4))),
        ("attributes.release", "2026.1"),
        ("payload", None),
    ]:
        assert _agrees(_with([(place, value)])), (place, value)
