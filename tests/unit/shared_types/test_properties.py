"""What holds for every event: idempotence, round trip, and one fingerprint on one partition."""

import json
import uuid
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared_types import (
    Envelope,
    Environment,
    EventType,
    Severity,
    Tenancy,
    canonicalize,
    fingerprint,
    parse_envelope,
    partition_key,
)

# The first draw of a text builds a table of all characters, which takes seconds on a small machine.
_property = settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
_NOW = datetime(2025, 12, 27, 10, 0, 30, 123_456, tzinfo=UTC)
_TENANCY = Tenancy("org_123", "proj_123")
_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
_LABEL = st.one_of(
    st.none(),
    _TEXT,
    st.text("ab|%-C72D \u0301é", max_size=8),
    st.integers(-5, 5),
    st.sampled_from(["-", "%2D"]),
)
_NAME = st.from_regex(r"[a-z_]{1,8}(\.[a-z]{1,8})?", fullmatch=True)
_SCALAR = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    _TEXT,
)
_JSON = st.recursive(
    _SCALAR,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_NAME, inner, max_size=3)),
    max_leaves=8,
)
_OFFSET = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_INSTANT = st.builds(
    lambda offset, seconds: (datetime(2000, 1, 3, tzinfo=offset) + timedelta(seconds=seconds)).isoformat(),
    _OFFSET,
    st.floats(0, 25 * 365 * 86_400),
)


def _any_case(words: type[EventType] | type[Severity] | type[Environment]) -> st.SearchStrategy[str]:
    return st.sampled_from([form for word in words for form in (word.value, word.value.upper())])


_ATTRIBUTES = st.tuples(
    st.fixed_dictionaries(
        {},
        optional={
            "route": _LABEL,
            "method": _LABEL.filter(lambda method: len(str(method)) <= 32),
            "error_code": _LABEL,
            "release": _LABEL,
            "status_code": st.one_of(st.integers(-5, 2000), st.floats(0, 999), st.text("0123 x", max_size=4)),
        },
    ),
    st.dictionaries(st.from_regex(r"x_[a-z]{1,6}", fullmatch=True), _SCALAR, max_size=3),
).map(lambda parts: {**parts[1], **parts[0]})
_EVENT = st.fixed_dictionaries(
    {
        "event_type": _any_case(EventType),
        "occurred_at": _INSTANT,
        "message": _TEXT.map(lambda text: "m" + text),
    },
    optional={
        "event_id": st.uuids().map(str),
        "environment": _any_case(Environment),
        "severity": _any_case(Severity),
        "attributes": _ATTRIBUTES,
        "payload": st.dictionaries(_NAME, _JSON, max_size=4),
    },
)


def _canonicalize(raw: dict[str, object]) -> Envelope:
    return canonicalize(raw, tenancy=_TENANCY, received_at=_NOW, event_id=uuid.UUID(int=1))


def _error(error_code: object, route: object, environment: str = "prod") -> Envelope:
    attributes = {"error_code": error_code, "route": route}
    return _canonicalize(
        {
            "event_type": "error",
            "occurred_at": "2025-12-27T10:00:00Z",
            "message": "m",
            "environment": environment,
            "attributes": attributes,
        }
    )


@_property
@given(_EVENT)
def test_canonicalize_is_idempotent(raw: dict[str, object]) -> None:
    once = _canonicalize(raw)
    again = canonicalize(
        json.loads(once.to_json()), tenancy=_TENANCY, received_at=_NOW, event_id=uuid.UUID(int=2)
    )
    assert again == once
    assert again.to_json() == once.to_json()


@_property
@given(_EVENT)
def test_a_record_reads_back_as_the_same_envelope(raw: dict[str, object]) -> None:
    envelope = _canonicalize(raw)
    parsed = parse_envelope(envelope.to_json())
    assert parsed == envelope
    assert parsed.to_json() == envelope.to_json()


@_property
@given(_LABEL, _LABEL, _LABEL, _LABEL)
def test_distinct_errors_have_distinct_keys_and_fingerprints(
    code: object, route: object, other_code: object, other_route: object
) -> None:
    one, other = _error(code, route), _error(other_code, other_route)
    is_same = one.attributes == other.attributes
    assert (partition_key(one) == partition_key(other)) is is_same
    assert (fingerprint(one) == fingerprint(other)) is is_same


@_property
@given(st.lists(_EVENT, min_size=2, max_size=6))
def test_one_fingerprint_lives_on_one_partition_key(raws: list[dict[str, object]]) -> None:
    keys: dict[str | None, str] = {}
    for envelope in map(_canonicalize, raws):
        key = partition_key(envelope)
        if (name := fingerprint(envelope)) is not None:
            assert keys.setdefault(name, key) == key


@_property
@given(_LABEL, _LABEL, st.sampled_from(list(Environment)))
def test_fingerprint_has_three_parts_and_its_key_does_not_depend_on_the_environment(
    code: object, route: object, environment: Environment
) -> None:
    error = _error(code, route, environment.value)
    name = fingerprint(error)
    assert name is not None
    assert name.count("|") == 2
    assert partition_key(error) == partition_key(_error(code, route, "dev"))
