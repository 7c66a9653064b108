"""Random bytes and known traps: the decoders raise nothing but InvalidEvent."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared_types import Envelope, InvalidEvent, Tenancy, canonicalize
from shared_types.canonical import parse_envelope
from signals.services.events.ingestion import decode_event, decode_events, prepare

TENANCY = Tenancy("org_1", "proj_1")
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EVENT = {"event_type": "error", "occurred_at": "2026-03-01T12:00:00Z", "message": "Upstream timed out"}

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**400), max_value=10**400)
    | st.floats(allow_nan=True)
    | st.text(alphabet=st.characters(codec=None), max_size=40)
    | st.sampled_from(["\x00", "\ud800", "-", "2026-03-01T12:00:00Z", "9999-12-31T23:59:60-23:59", "a|b%"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
BODIES = st.dictionaries(st.sampled_from([*Envelope.model_fields, "unknown"]), VALUES, max_size=12)


def canonical(body: object) -> Envelope | None:
    """The envelope that ingest-api would publish, None for a refusal; other outcomes fail the test."""
    try:
        envelope = canonicalize(
            body,  # type: ignore[arg-type]  # a client may send anything
            tenancy=TENANCY,
            received_at=NOW,
            event_id=UUID(int=1, version=4),
        )
    except InvalidEvent:
        return None
    assert parse_envelope(envelope.to_json()) == envelope  # every consumer can read accepted events
    assert (envelope.org_id, envelope.project_id) == (TENANCY.org_id, TENANCY.project_id)
    return envelope


@settings(derandomize=True, deadline=None, max_examples=400, database=None)
@given(fields=BODIES)
def test_any_value_in_any_field_is_accepted_or_refused_by_name(fields: dict[str, object]) -> None:
    canonical(fields)
    canonical(EVENT | fields)


@settings(derandomize=True, deadline=None, max_examples=400, database=None)
@given(data=st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for lines in (False, True):
        try:
            events = decode_events(data, lines=lines)
        except InvalidEvent:
            continue
        assert len(prepare(events, TENANCY, None).results) == len(events)
    for read in (decode_event, parse_envelope):
        with suppress(InvalidEvent):
            read(data)


def event(**texts: str) -> bytes:
    """An event whose further fields are JSON texts, valid or not."""
    members = [f'"{name}":{text}' for name, text in texts.items()]
    return (json.dumps(EVENT)[:-1] + "".join(f",{member}" for member in members) + "}").encode()


REFUSED = {
    "NaN": event(payload='{"a":NaN}'),
    "infinity": event(payload='{"a":1e400}'),
    "an integer of 400 digits": event(payload='{"a":1' + "0" * 400 + "}"),
    "a lone surrogate": event(payload='{"a":"\\ud800"}'),
    "NUL in a label": event(attributes='{"route":"\\u0000"}'),
    "NUL in a name": event(payload='{"\\u0000":1}'),
    "10,000 attributes": event(attributes=json.dumps({f"a{n}": n for n in range(10_000)})),
    "10,000 levels": event(payload='{"a":' * 10_000 + "1" + "}" * 10_000),
    "10 levels": event(payload='{"a":' * 10 + "1" + "}" * 10),
    "another tenant": event(project_id='"proj_2"'),
    "the last of two equal keys": event(message='"x"', project_id='"proj_1","project_id":"proj_2"'),
    "invalid UTF-8": event(message='"x"').replace(b"x", b"\xff"),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_value_that_no_server_can_store_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidEvent):
        canonicalize(
            decode_event(data),  # type: ignore[arg-type]  # a client may send anything
            tenancy=TENANCY,
            received_at=NOW,
            event_id=UUID(int=1, version=4),
        )


def test_refusal_repeats_no_text_of_the_event() -> None:
    secret = "card 4111 1111 1111 1111"
    for fields in (
        {"message": secret + "\x00"},
        {"severity": secret},
        {"event_id": secret},
        {"payload": secret},
    ):
        with pytest.raises(InvalidEvent) as refusal:
            canonicalize(EVENT | fields, tenancy=TENANCY, received_at=NOW, event_id=UUID(int=1, version=4))
        chain = [refusal.value, refusal.value.__cause__]
        assert secret not in "".join(f"{error}{error!r}" for error in chain if error)
