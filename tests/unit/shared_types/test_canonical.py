"""Canonicalizing and parsing where a data file cannot say it: types, purity, errors."""

import copy
import json
import pickle
import uuid
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType

import pytest

from shared_types import Envelope, InvalidEvent, Tenancy, canonicalize, parse_envelope

_NOW = datetime(2025, 12, 27, 10, 0, 30, 123_456, tzinfo=UTC)
_TENANCY = Tenancy("org_123", "proj_123")
_SPARE_ID = uuid.UUID(int=1)
_EVENT: dict[str, object] = {
    "event_type": "error",
    "occurred_at": "2025-12-27T10:00:00Z",
    "message": "checkout failed",
}


def _canonicalize(raw: dict[str, object], tenancy: Tenancy | None = _TENANCY) -> Envelope:
    return canonicalize(raw, tenancy=tenancy, received_at=_NOW, event_id=_SPARE_ID)


def _rejection(raw: dict[str, object]) -> InvalidEvent:
    with pytest.raises(InvalidEvent) as caught:
        _canonicalize(raw)
    return caught.value


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("place", ["attributes", "payload"])
def test_numbers_that_json_cannot_hold_are_rejected(place: str, number: float) -> None:
    rejection = _rejection({**_EVENT, place: {"ratio": number}})
    assert (rejection.code, rejection.field) == ("invalid_number", f"{place}.ratio")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_status_code_without_a_number_is_rejected_as_malformed(number: float) -> None:
    assert _rejection({**_EVENT, "attributes": {"status_code": number}}).code == "invalid_number"


@pytest.mark.parametrize("value", [b"bytes", (1, 2), {1, 2}, object()])
def test_python_values_outside_json_are_rejected(value: object) -> None:
    assert _rejection({**_EVENT, "payload": {"list": [value]}}).field == "payload.list.0"


def test_names_other_than_text_are_rejected() -> None:
    assert _rejection({**_EVENT, "payload": {"by_id": {1: "one"}}}).code == "invalid_name"


def test_an_aware_datetime_is_accepted_and_a_naive_one_is_not() -> None:
    eastern = datetime(2025, 12, 27, 12, 0, tzinfo=timezone(timedelta(hours=2)))
    assert _canonicalize({**_EVENT, "occurred_at": eastern}).occurred_at == eastern
    naive = eastern.replace(tzinfo=None)
    assert _rejection({**_EVENT, "occurred_at": naive}).code == "naive_timestamp"


def test_instants_are_utc_at_millisecond_precision() -> None:
    envelope = _canonicalize({**_EVENT, "occurred_at": "2025-12-27T12:00:00.987654+02:00"})
    assert envelope.occurred_at.tzinfo is UTC
    assert envelope.occurred_at.microsecond == 987_000
    assert envelope.received_at == _NOW.replace(microsecond=123_000)


def test_event_without_a_callers_tenancy_must_name_its_own() -> None:
    with pytest.raises(InvalidEvent, match="org_id is required"):
        _canonicalize(_EVENT, tenancy=None)
    own = {**_EVENT, "org_id": "org_1", "project_id": "proj_1"}
    assert _canonicalize(own, tenancy=None).project_id == "proj_1"


def test_the_input_is_left_untouched_and_may_be_read_only() -> None:
    raw: dict[str, object] = {
        **_EVENT,
        "attributes": {"status_code": "x", "route": " /a "},
        "payload": {"a": [1]},
    }
    before = copy.deepcopy(raw)
    envelope = canonicalize(MappingProxyType(raw), tenancy=_TENANCY, received_at=_NOW, event_id=_SPARE_ID)
    assert raw == before
    assert envelope.attributes.route == "/a"


def test_event_other_than_an_object_is_rejected() -> None:
    with pytest.raises(InvalidEvent, match="must be a JSON object"):
        canonicalize(["no", "object"], tenancy=None, received_at=_NOW, event_id=_SPARE_ID)  # type: ignore[arg-type]  # what an HTTP body may hold


def test_the_message_of_a_rejection_never_repeats_the_value() -> None:
    rejection = _rejection({**_EVENT, "environment": "s3cret"})
    assert "s3cret" not in str(rejection)
    assert "environment" in str(rejection)


def test_a_rejection_survives_pickling() -> None:
    rejection = _rejection({**_EVENT, "foo": 1})
    copied = pickle.loads(pickle.dumps(rejection))
    assert (copied.code, copied.field, str(copied)) == (rejection.code, rejection.field, str(rejection))


def test_rejection_without_a_message_uses_its_class() -> None:
    assert str(InvalidEvent("unknown")) == InvalidEvent.__doc__


def test_an_envelope_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(_canonicalize(_EVENT), "message", "other")  # noqa: B010 - the type checker knows already


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"\xff\xfe", "invalid_json"),
        (b"[]", "invalid_type"),
        (b'"text"', "invalid_type"),
        (b"{}", "missing"),
        (b"[" * 100_000, "invalid_json"),
    ],
)
def test_record_other_than_an_envelope_is_rejected(data: bytes, code: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        parse_envelope(data)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"unknown": 1}, "unknown_field"),
        ({"occurred_at": "2025-12-27T10:00:00"}, "naive_timestamp"),
        ({"occurred_at": 1766829600}, "invalid_timestamp"),
        ({"attributes": {"status_code": "503"}}, "invalid_type"),
        ({"attributes": {"region": "a\0"}}, "invalid_text"),
        ({"payload": {"n": 2**64}}, "invalid_number"),
        ({"payload": None}, "invalid_type"),
        ({"message": None}, "invalid_type"),
        ({"org_id": "a|b"}, "invalid_text"),
    ],
)
def test_a_record_out_of_bounds_is_rejected(change: dict[str, object], code: str) -> None:
    record = {**json.loads(_canonicalize(_EVENT).to_json()), **change}
    with pytest.raises(InvalidEvent) as caught:
        parse_envelope(json.dumps(record).encode())
    assert caught.value.code == code


def test_a_record_with_another_offset_is_read_as_utc() -> None:
    record = {**json.loads(_canonicalize(_EVENT).to_json()), "occurred_at": "2025-12-27T15:30:00+05:30"}
    assert parse_envelope(json.dumps(record).encode()) == _canonicalize(_EVENT)
