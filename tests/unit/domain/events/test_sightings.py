"""The quick way to read a record says what the envelope says: of good records, and of all sorts of others."""

import gc
import json
from collections.abc import Iterable, Sequence, Sized
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared_types import InvalidEvent, parse_envelope
from signals.domain.events import sightings
from signals.domain.events.sightings import Sighting, SightingReader, sighting_of
from tests.support.events import NOON, event

Verdict = Sighting | tuple[str, str | None, str]


def strict_verdict(data: bytes) -> Verdict:
    """The envelope's result, with nothing learned and nothing skipped."""
    try:
        return sighting_of(parse_envelope(data))
    except InvalidEvent as error:
        return error.code, error.field, error.message


def verdict(reader: SightingReader, data: bytes) -> Verdict:
    try:
        return reader.read(data)
    except InvalidEvent as error:
        return error.code, error.field, error.message


def texts(*values: object) -> list[str]:
    return [json.dumps(value) for value in values]


INSTANTS = [
    *texts("2026-03-01T12:00:00.000Z", "2026-03-01T12:00:59.999Z", "2026-03-01T12:01:07.250Z"),
    *texts("2026-03-01T12:00:59.9999999Z", "2026-03-01T12:00:00Z", "2026-03-01T12:00:00.000001Z"),
    *texts("2026-03-01T14:00:00.000+02:00", "2026-03-01T12:00:00.000z", "2026-03-01t12:00:00.000Z"),
    *texts("2026-03-01 12:00:00.000Z", "2026-03-01T12:00:60.000Z", "2026-03-01T24:00:00.000Z"),
    *texts("2026-02-30T12:00:00.000Z", "1999-12-31T12:00:00.000Z", "9999-12-31T12:00:00.000Z"),
    *texts(
        "2026-W09-7T12:00:00.000Z",
        "2026-03-01T12:00:00.0.0Z",
        "2026-03-01T12:00:+1.000Z",
        "",
        1772366400,
        None,
    ),
]
IDS = texts(
    "2f02f449-578a-45b2-8557-6d3c8cb5abd6",
    "2F02F449-578A-45B2-8557-6D3C8CB5ABD6",
    "2f02f449578a45b285576d3c8cb5abd6",
    "{2f02f449-578a-45b2-8557-6d3c8cb5abd6}",
    "urn:uuid:2f02f449-578a-45b2-8557-6d3c8cb5abd6",
    "2f02f44-9578a-45b2-8557-6d3c8cb5abd6",
    "2f02f449-578a-45b2-8557-6d3c8cb5abd",
    "2f02f449-578a-45b2-8557-6d3c8cb5abd6-",
    "2f02f449-578a-45b2-8557-6d3c8cb5 bd6",
    "",
    7,
)
TENANTS = texts("shop", "web-2", "shop\n", "a|b", "", "x" * 65, "é", 1, None)
LABELS = texts(
    "E1", "/checkout", "a|b%", "-", None, "", "x" * 128, "x" * 129, "x" * 257, 1, True, 1.0, ["E1"]
)
MESSAGES = [
    *texts(" it broke ", "\u00a0", "\u2028x", "", " ", "x" * 8192, "x" * 8193, "a\x00b", "é\n", 5),
    *('"\\u00e9"', '"\u00a0x"', '"\u00a0"', '"\u3000"'),
]
CODES = [*texts(503, 0, 999, 1000, -1, 503.0, True, "503", None), "5e2", "1" + "0" * 30]
SCALARS = [
    *texts(
        "v",
        "x" * 1024,
        "x" * 1025,
        "é" * 2049,
        "\x00",
        "\ud800",
        "a\nb",
        1,
        -1,
        2**63 - 1,
        2**63,
        -(2**63) - 1,
    ),
    *texts(0.5, True, None, [], {}, [1, "x"], {"deep": {"deep": {"deep": {"deep": 1}}}}),
    *("NaN", "Infinity", "1e400", "1E5", "-0", "01", "1.", '"\\x"', '"a', "1" + "0" * 400, "{", '"a\tb"'),
]
NAMES = texts("x", "x.y", ".x", "x.", "x..y", " ", "", "x" * 128, "x" * 129, "\x00", "trace id", "é", "route")


def members(values: Iterable[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{name}:{text}" for name, text in values) + "}"


ATTRIBUTES = {
    "route": LABELS,
    "error_code": LABELS,
    "method": LABELS,
    "release": LABELS,
    "status_code": CODES,
}
GOOD_ATTRIBUTES = {
    '"route"': '"/checkout"',
    '"method"': '"POST"',
    '"status_code"': "503",
    '"error_code"': '"E1"',
    '"region"': '"fra1"',
}
GOOD = {
    '"schema_version"': '"1.0"',
    '"event_id"': IDS[0],
    '"occurred_at"': INSTANTS[0],
    '"received_at"': INSTANTS[2],
    '"org_id"': '"org_1"',
    '"project_id"': TENANTS[0],
    '"environment"': '"prod"',
    '"event_type"': '"error"',
    '"severity"': '"error"',
    '"message"': '"it broke"',
    '"attributes"': members(GOOD_ATTRIBUTES.items()),
    '"payload"': '{"retry":1}',
}
ODDITIES = {
    '"schema_version"': texts("1", 1.0, None),
    '"event_id"': IDS,
    '"occurred_at"': INSTANTS,
    '"received_at"': INSTANTS,
    '"org_id"': TENANTS,
    '"project_id"': TENANTS,
    '"environment"': texts("PROD", "staging", "test", None),
    '"event_type"': texts("signup", "deploy", "Error", "click", 3),
    '"severity"': texts("info", "ERROR", "fatal", None),
    '"message"': MESSAGES,
    '"attributes"': [
        *("null", "[]", "7", members((f'"a{n}"', "1") for n in range(65))),
        *(
            members({**GOOD_ATTRIBUTES, f'"{name}"': text}.items())
            for name, odd in ATTRIBUTES.items()
            for text in odd
        ),
        *(members([*GOOD_ATTRIBUTES.items(), (name, "1")]) for name in NAMES),
        *(members([*GOOD_ATTRIBUTES.items(), ('"x"', text)]) for text in SCALARS),
    ],
    '"payload"': [
        *("null", "[]", '{"a":' * 9 + "1" + "}" * 9, members((f'"a{n}"', "1") for n in range(99))),
        *(members([(name, text)]) for name in NAMES for text in SCALARS),
    ],
    '"surprise"': ["1"],
}
DAMAGE = st.sampled_from(["", "", "", "", " ", "x", "\ufeff", ",", "}"])
GOOD_RECORD = members(GOOD.items()).encode()


def check(stream: Sequence[bytes]) -> None:
    """Read records one after the other, twice, and compare each verdict with the envelope's."""
    reader = SightingReader()
    for data in [GOOD_RECORD, *stream, *stream]:
        assert verdict(reader, data) == strict_verdict(data), data


@pytest.mark.parametrize("name", ODDITIES)
def test_one_change_of_a_known_event_gets_the_envelopes_verdict(name: str) -> None:
    odd = [members({**GOOD, name: text}.items()).encode() for text in ODDITIES[name]]
    twice = [members([*GOOD.items(), (name, text)]).encode() for text in ODDITIES[name]]
    check([*odd, *twice, members((n, t) for n, t in GOOD.items() if n != name).encode()])


HIDDEN = {
    "invalid UTF-8": b'"\xff"',
    "invalid UTF-8 in an object": b'{"x":"\xff"}',
    "levels": b"[" * 300 + b"]" * 300,
    "digits": b"1" * 5000,
    "nothing": b"{}",
}
SPELLINGS = (b'"attributes"', b'"attributes" ', b'"attribute\\u0073"', b'"payload"')


@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN)
def test_member_that_a_second_one_replaces_gets_the_envelopes_verdict(hidden: bytes) -> None:
    check([b"{%s:%s,%s" % (spelling, hidden, GOOD_RECORD[1:]) for spelling in SPELLINGS])


@pytest.mark.parametrize("levels", [3, 150, 300, 1500, 30_000])
def test_deep_members_get_the_envelopes_verdict(levels: int) -> None:
    deep = '{"a":' * levels + "1" + "}" * levels
    check([members({**GOOD, name: deep}.items()).encode() for name in ('"attributes"', '"payload"', '"x"')])


def test_repeated_attributes_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []

    def decode(data: bytes) -> dict[str, object]:
        read.append(bytes(data))
        return dict(json.loads(bytes(data)))

    monkeypatch.setattr(sightings, "_decode_attributes", decode)
    reader = SightingReader()
    for number, region in enumerate(["fra1", "fra1", "fra1", "ams3", "ams3", "fra1"]):
        envelope = event("error", NOON, event_id=UUID(int=number), error_code="E", region=region)
        assert reader.read(envelope.to_json()) == sighting_of(envelope)
    fra1, ams3 = b'{"error_code":"E","region":"fra1"}', b'{"error_code":"E","region":"ams3"}'
    assert read == [fra1, fra1, fra1, ams3]  # the first event was new: the envelope has read it as well


@st.composite
def records(draw: st.DrawFn) -> bytes:
    """Draw the bytes of a record with a few odd things, of which each may come beside the good one."""
    fields = list(GOOD.items())
    for name in draw(st.lists(st.sampled_from(sorted(ODDITIES)), max_size=3)):
        text = draw(st.sampled_from(ODDITIES[name]))
        if draw(st.booleans()):
            fields = [field for field in fields if field[0] != name]
        fields.insert(draw(st.integers(0, len(fields))), (name, text))
    data = (draw(DAMAGE) + members(fields) + draw(DAMAGE)).encode()
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(data) - 1))
        data = data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]
    return data


@settings(derandomize=True, deadline=None, max_examples=800, database=None)
@given(st.lists(records(), min_size=1, max_size=4))
def test_earlier_events_do_not_change_the_verdict(stream: list[bytes]) -> None:
    check(stream)


@settings(derandomize=True, deadline=None, max_examples=200, database=None)
@given(st.binary(max_size=60))
def test_malformed_record_is_refused_as_by_the_envelope(data: bytes) -> None:
    assert verdict(SightingReader(), data) == strict_verdict(data)


def test_event_like_an_earlier_one_skips_strict_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    strictly: list[bytes] = []

    def parse(data: bytes) -> object:
        strictly.append(data)
        return parse_envelope(data)

    monkeypatch.setattr(sightings, "parse_envelope", parse)
    reader = SightingReader()
    for seconds in range(60):
        envelope = event(
            "error",
            NOON + timedelta(seconds=seconds),
            event_id=UUID(int=seconds),
            error_code="E",
            route="/r",
            status_code=500 + seconds,
            region=f"fra{seconds}",
            http_version=1.1,
        )
        assert reader.read(envelope.to_json()) == sighting_of(envelope)
    assert len(strictly) == 1


def test_batch_of_events_of_one_kind_keeps_nothing_for_the_garbage_collector() -> None:
    reader = SightingReader()
    made = [event("error", NOON, event_id=UUID(int=number), error_code="E") for number in range(3)]
    _, first, second = [reader.read(one.to_json()) for one in made]
    for name in Sighting.__struct_fields__:
        one, other = getattr(first, name), getattr(second, name)
        assert one is other or not gc.is_tracked(other), name
    assert [first.event_id, second.event_id] == [UUID(int=1), UUID(int=2)]


def test_learned_forms_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sightings, "MAX_LEARNED", 10)
    monkeypatch.setattr(sightings, "MAX_REPEATED", 10)
    reader = SightingReader()
    for number in range(50):
        odd = {
            '"occurred_at"': f'"2026-03-01T12:{number:02}:00.000Z"',
            '"project_id"': f'"project_{number}"',
            '"payload"': members([(f'"name_{number}"', "1")]),
        }
        reader.read(members({**GOOD, **odd}.items()).encode())
    learned: list[Sized] = [reader._kinds, reader._minutes, reader._names, reader._seconds, reader._repeated]
    assert max(map(len, learned)) <= 10
