"""No payload makes a reader fail with anything but InvalidEvent, or cost much."""

import json
import time
import tracemalloc
import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, TypeGuard

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared_types import InvalidEvent, canonicalize
from signals.domain.events.door_settings import DoorSettings, KeptField
from signals.domain.events.foreign import ForeignReading, RawEvent
from signals.domain.events.from_deploys import read_deploy, read_github, read_gitlab, read_vercel
from signals.domain.events.from_otlp import read_otlp
from signals.domain.events.from_pages import read_page
from signals.domain.events.from_segment import parse_calls, read_calls
from signals.domain.events.from_sentry import read_envelope, read_store
from signals.domain.events.sentry_envelopes import split_envelope
from tests.support.recordings import RECEIPT, recording, recordings

MAX_CPU_S = 0.25  # five times the goal of 50 ms, for machines under load and this test's tracing
WORK_S = 0.02  # of `_slowness`, where the goal was set
MAX_MEMORY_BYTES = 20 * 1024 * 1024

ALL_KEPT = replace(RECEIPT, settings=DoorSettings.of(["identify"], list(KeptField)))

Read = Callable[[bytes], ForeignReading]
READERS: dict[str, Read] = {
    "envelope": lambda body: read_envelope(split_envelope(body), RECEIPT),
    "store": lambda body: read_store(body, RECEIPT),
    "segment batch": lambda body: read_calls(parse_calls(body, None), RECEIPT),
    "segment call": lambda body: read_calls(parse_calls(body, "track"), RECEIPT),
    "otlp logs": lambda body: read_otlp(body, "logs", RECEIPT, is_json=False),
    "otlp traces": lambda body: read_otlp(body, "traces", RECEIPT, is_json=False),
    "otlp json logs": lambda body: read_otlp(body, "logs", RECEIPT, is_json=True),
    "otlp json traces": lambda body: read_otlp(body, "traces", RECEIPT, is_json=True),
    "deploy": lambda body: read_deploy(body, RECEIPT),
    "github": lambda body: read_github(body, "deployment_status", "", RECEIPT),
    "gitlab": lambda body: read_gitlab(body, RECEIPT),
    "vercel": lambda body: read_vercel(body, RECEIPT),
    "page": lambda body: ForeignReading(events=[e for e in read_page(body, RECEIPT) if _is_acceptable(e)]),
    "envelope, all kept": lambda body: read_envelope(split_envelope(body), ALL_KEPT),
    "segment batch, all kept": lambda body: read_calls(parse_calls(body, None), ALL_KEPT),
    "otlp json logs, all kept": lambda body: read_otlp(body, "logs", ALL_KEPT, is_json=True),
}


def _is_acceptable(event: object) -> TypeGuard[RawEvent]:
    """Whether an event of a page is one of ours: pages choose its type themselves, so each is judged."""
    try:
        _canonical(event)
    except (InvalidEvent, TypeError):
        return False
    return True


def _read(read: Read, body: bytes) -> None:
    """Read a body; each result must be an event of our envelope."""
    try:
        reading = read(body)
    except InvalidEvent:
        return
    for event in reading.events:
        _canonical(event)


def _canonical(event: Any) -> None:
    canonicalize(event, tenancy=RECEIPT.tenancy, received_at=RECEIPT.received_at, event_id=uuid.UUID(int=0))


TEXT = st.text(max_size=12) | st.sampled_from(
    [
        "\ud83d",
        "\x00",
        " ",
        "error",
        "track",
        "Signed Up",
        "/a/1?b",
        "{{ default }}",
        "http://[::1",
        "-",
        "|",
        "%",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@st.composite
def _spoilt(draw: st.DrawFn, sample: Any) -> Any:
    """Replace some parts of a real payload by other JSON values."""
    if draw(st.integers(0, 9)) == 0:
        return draw(JSON)
    if isinstance(sample, dict):
        return {
            (draw(TEXT) if draw(st.integers(0, 30)) == 0 else name): draw(_spoilt(value))
            for name, value in sample.items()
        }
    if isinstance(sample, list):
        return [draw(_spoilt(value)) for value in sample[-2:]]
    return sample


def _small(value: Any) -> Any:
    """Leave out what makes a sample long and readers never look at."""
    if isinstance(value, dict):
        noise = ("pre_context", "post_context", "vars", "modules", "breadcrumbs", "integrations", "device")
        return {name: _small(item) for name, item in value.items() if name not in noise}
    return [_small(item) for item in value[-2:]] if isinstance(value, list) else value


SAMPLES: dict[str, Any] = {
    "store": _small(json.loads(recording("py2-flask/000").body.split(b"\n")[2])),
    "segment batch": _small(json.loads(recording("seg-node/000").body)),
    "otlp json logs": json.loads(recording("otlp-node-json-gzip/000").body),
    "github": {
        "action": "created",
        "deployment_status": {"state": "success", "environment": "production", "created_at": "2026-11-29"},
        "deployment": {"sha": "a" * 40, "environment": "production"},
    },
    "gitlab": {
        "object_kind": "deployment",
        "status": "failed",
        "status_changed_at": "2021-04-28 21:50:00 +0200",
    },
    "vercel": {"type": "deployment.error", "payload": {"target": "production", "deployment": {"id": "d"}}},
    "deploy": {"release": "1.2", "status": "success", "environment": "prod", "url": "https://ci/1"},
}
ITEMS: dict[str, Any] = {
    "event": SAMPLES["store"],
    "client_report": {"discarded_events": [{"reason": "network_error", "category": "error", "quantity": 2}]},
    "feedback": {"contexts": {"feedback": {"message": "m", "associated_event_id": "a" * 32}}, "release": "1"},
    "user_report": {"event_id": "a" * 32, "comments": "m", "name": "n"},
    "log": {"items": [{"level": "error", "body": "m", "attributes": {"a": {"value": 1, "type": "integer"}}}]},
    "span": {},
    "x" * 99: {},
}
JSON_BODY = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=25, deadline=None)
@given(body=st.binary(max_size=64) | JSON.map(lambda value: json.dumps(value).encode()))
def test_reader_refuses_arbitrary_bytes_by_name(name: str, body: bytes) -> None:
    _read(READERS[name], body)


@pytest.mark.parametrize("name", SAMPLES)
@JSON_BODY
@given(data=st.data())
def test_reader_takes_or_refuses_spoilt_payloads(name: str, data: st.DataObject) -> None:
    body = json.dumps(data.draw(_spoilt(SAMPLES[name]))).encode()
    _read(READERS[name], body)


@JSON_BODY
@given(data=st.data())
def test_reader_takes_or_refuses_spoilt_recordings(data: st.DataObject) -> None:
    one = data.draw(st.sampled_from([one for one in recordings() if one.door and len(one.body) < 100_000]))
    body = bytearray(one.body)
    for _ in range(data.draw(st.integers(1, 6))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    name = {"segment": "segment batch", "otlp": "otlp logs"}.get(str(one.door), "envelope")
    _read(READERS[name], bytes(body[: data.draw(st.integers(1, len(body)))]))


@JSON_BODY
@given(
    items=st.lists(
        st.sampled_from(list(ITEMS)).flatmap(
            lambda kind: st.tuples(
                st.just(kind), st.none() | st.integers(-2, 80) | TEXT, _spoilt(ITEMS[kind]) | JSON
            )
        ),
        max_size=4,
    )
)
def test_envelope_of_arbitrary_items_is_read_or_refused(items: list[tuple[str, object, object]]) -> None:
    lines = [b"{}"]
    for kind, length, payload in items:
        lines += [json.dumps({"type": kind, "length": length}).encode(), json.dumps(payload).encode()]
    _read(READERS["envelope"], b"\n".join(lines))


MIB = 1024 * 1024


def _field(number: int, data: bytes) -> bytes:
    """Write a length-delimited field of protobuf."""
    length, size = b"", len(data)
    while size > 0x7F:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + data


HOSTILE: dict[str, tuple[str, bytes]] = {
    "envelope of 10,000 items": ("envelope", b"{}\n" + b'{"type":"event"}\n{}\n' * 10_000),
    "blank lines before garbage": ("envelope", b"{}" + b"\n" * MIB + b"["),
    "protobuf of unknown numbers": ("otlp logs", b"\x10\x00" * 4 * MIB),
    "endless header line": ("envelope", b'{"a":"' + b"a" * 8 * MIB),
    "event of empty objects": ("envelope", b'{}\n{"type":"event"}\n[' + b"{}," * 2_000_000 + b"{}]"),
    "deeply nested event": ("store", b"[" * 8 * MIB),
    "segment batch of empty calls": ("segment batch", b'{"batch":[' + b"{}," * 2_000_000 + b"{}]}"),
    "protobuf of empty resources": ("otlp logs", b"\x0a\x00" * 4 * MIB),
    "protobuf of empty records": ("otlp logs", _field(1, _field(2, b"\x12\x00" * 2 * MIB))),
    "wide text without an end": ("store", '{"message":"\U0001f600'.encode() + b"a" * (8 * MIB - 32)),
    "protobuf garbage": ("otlp logs", b"\xff" * 8 * MIB),
    "json logs of empty records": ("otlp json logs", b'{"resourceLogs":[' + b"{}," * 2_000_000 + b"{}]}"),
}


def _refusal_s(reader: str, body: bytes) -> float:
    started = time.process_time()
    with pytest.raises(InvalidEvent):
        READERS[reader](body)
    return time.process_time() - started


@cache
def _slowness() -> float:
    """Return how many times as long as on two cores of 2026 a fixed work takes here, at least 1."""

    def work_s() -> float:
        started = time.process_time()
        sum(number * number for number in range(300_000))
        return time.process_time() - started

    return max(1.0, min(work_s() for _ in range(3)) / WORK_S)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_body_is_refused_soon_and_in_little_memory(name: str) -> None:
    reader, body = HOSTILE[name]
    used_s = min(_refusal_s(reader, body) for _ in range(3))  # a collection of garbage may fall into one
    tracemalloc.start()
    try:
        with pytest.raises(InvalidEvent):
            READERS[reader](body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    print(f"{used_s * 1000:.0f} ms, {peak / MIB:.1f} MiB")
    assert used_s < MAX_CPU_S * _slowness()
    assert peak < MAX_MEMORY_BYTES


def test_lone_surrogates_and_nan_do_not_cost_the_event() -> None:
    body = b'{"message":"cut \\ud83d end","level":"error","extra":{"a":NaN},"tags":{"x":Infinity}}'
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(body)
    event = read_store(body, RECEIPT).events[0]
    assert event["message"] == "cut \ufffd end"


def test_long_plain_text_and_many_wide_ones_are_read() -> None:
    emoji = "\U0001f600"
    for event in (
        {"message": "a" * 3 * MIB},
        {"message": emoji, "extra": {"blob": "a" * 3 * MIB, "other": emoji}},
        {"message": "m", "extra": [emoji * 50_000 for _ in range(20)]},
    ):
        assert len(read_store(orjson.dumps(event), RECEIPT).events) == 1
