"""Properties of every event: idempotence, round trip, and one fingerprint on one partition."""

import json
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared_types import (
    Envelope,
    Environment,
    EventType,
    Fingerprint,
    Tenancy,
    canonicalize,
    fingerprint,
    metric_name,
    parse_envelope,
    partition_key,
)
from shared_types.fingerprints import project_of
from tests.support.raw_events import EVENT, LABEL

# The first draw of a text builds a table of all characters, which takes seconds on a small machine.
_property = settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
_NOW = datetime(2025, 12, 27, 10, 0, 30, 123_456, tzinfo=UTC)
_TENANCY = Tenancy("org_123", "proj_123")
_PART = st.one_of(st.none(), st.text("ab|%-C72D5", max_size=8), st.sampled_from(["-", "%2D", "signup", ""]))


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
@given(EVENT)
def test_canonicalize_is_idempotent(raw: dict[str, object]) -> None:
    once = _canonicalize(raw)
    again = canonicalize(
        json.loads(once.to_json()), tenancy=_TENANCY, received_at=_NOW, event_id=uuid.UUID(int=2)
    )
    assert again == once
    assert again.to_json() == once.to_json()


@_property
@given(EVENT)
def test_a_record_reads_back_as_the_same_envelope(raw: dict[str, object]) -> None:
    envelope = _canonicalize(raw)
    parsed = parse_envelope(envelope.to_json())
    assert parsed == envelope
    assert parsed.to_json() == envelope.to_json()


@_property
@given(LABEL, LABEL, LABEL, LABEL)
def test_distinct_errors_have_distinct_keys_and_fingerprints(
    code: object, route: object, other_code: object, other_route: object
) -> None:
    one, other = _error(code, route), _error(other_code, other_route)
    places = [(error.attributes.error_code, error.attributes.route) for error in (one, other)]
    is_same = places[0] == places[1]
    assert (partition_key(one) == partition_key(other)) is is_same
    assert (fingerprint(one) == fingerprint(other)) is is_same


@_property
@given(st.lists(EVENT, min_size=2, max_size=6))
def test_fingerprint_has_one_partition_key(raws: list[dict[str, object]]) -> None:
    keys: dict[str | None, str] = {}
    for envelope in map(_canonicalize, raws):
        key = partition_key(envelope)
        if (name := fingerprint(envelope)) is not None:
            assert keys.setdefault(name, key) == key


@_property
@given(EVENT)
def test_fingerprint_reads_back_from_its_text(raw: dict[str, object]) -> None:
    envelope = _canonicalize(raw)
    made = Fingerprint.of(envelope)
    assert (made and made.text) == fingerprint(envelope)
    assert made is None or Fingerprint.parse(made.text) == made
    assert (made and made.metric_name) == metric_name(envelope)


@_property
@given(_PART, _PART, st.sampled_from(list(Environment)))
def test_fingerprint_keeps_any_parts(code: str | None, route: str | None, environment: Environment) -> None:
    made = Fingerprint(event_type=EventType.ERROR, environment=environment, error_code=code, route=route)
    assert Fingerprint.parse(made.text) == made


@_property
@given(st.text("ab|%-C72D5prodsignu", max_size=16))
def test_fingerprint_reads_only_its_canonical_text(text: str) -> None:
    try:
        found = Fingerprint.parse(text)
    except ValueError:
        return
    assert found.text == text


@pytest.mark.parametrize(
    "text",
    ["", "prod", "a|b|c|prod", "a|b", "signup|PROD", "a|b|nowhere", "a%|b|prod", "a|%41|prod", "-|a%2D|dev"],
)
def test_other_text_is_refused_as_a_fingerprint(text: str) -> None:
    with pytest.raises(ValueError, match=r"fingerprint|Environment"):
        Fingerprint.parse(text)


@_property
@given(EVENT)
def test_partition_key_names_the_project(raw: dict[str, object]) -> None:
    assert project_of(partition_key(_canonicalize(raw)).encode()) == _TENANCY.project_id


@_property
@given(LABEL, LABEL, st.sampled_from(list(Environment)))
def test_fingerprint_has_three_parts_and_its_key_does_not_depend_on_the_environment(
    code: object, route: object, environment: Environment
) -> None:
    error = _error(code, route, environment.value)
    name = fingerprint(error)
    assert name is not None
    assert name.count("|") == 2
    assert partition_key(error) == partition_key(_error(code, route, "dev"))
