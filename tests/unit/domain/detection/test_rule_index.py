"""The index finds the series of own rules that an event counts in: the same as looking at every rule."""

import random
from contextlib import suppress
from typing import Final

import pytest

from shared_types import Environment, EventType, Fingerprint, RuleFingerprint, read_fingerprint
from shared_types.envelope import TEXT_ATTRIBUTES
from signals.domain.detection.own_rules import MAX_TEXT_BYTES, OwnRule
from signals.domain.detection.rule_index import Kind, RuleIndex, selects
from signals.domain.detection.rule_text import BadRule, parse_rule
from signals.domain.detection.rule_types import Rate

ATTRIBUTES: Final = {
    "severity": ("info", "error", "critical"),
    "environment": ("prod", "dev"),
    "error_code": ("A", "B", None),
    "route": ("/a", "/b|=%", None),
    "release": ("1", "2", None),
    "method": ("GET", None),
    "status_code": ("200", "500", None),
}


def _own(**fields: object) -> OwnRule:
    return OwnRule(parse_rule({"name": "mine", "kind": "floor_ratio", **fields}), 3)


def _kind(values: dict[str, str | None], event_type: str) -> tuple[Kind, str, int | None]:
    status = values["status_code"]
    texts = (values[name] for name in TEXT_ATTRIBUTES)
    kind = ("org_1", "proj_1", values["environment"], event_type, *texts)
    return kind, str(values["severity"]), None if status is None else int(status)


def _drawn_rule(rng: random.Random, number: int) -> OwnRule:
    while True:
        with suppress(BadRule):  # such as a share that is always 1
            return OwnRule(parse_rule(_drawn(rng, number)), 1)


def _drawn(rng: random.Random, number: int) -> dict[str, object]:
    def selection() -> dict[str, object]:
        known = {name: [one for one in values if one] for name, values in ATTRIBUTES.items()}
        chosen = rng.sample(sorted(known), rng.randrange(4))
        conditions = {
            name: rng.sample(known[name], rng.randrange(1, len(known[name]) + 1)) for name in chosen
        }
        return {"event_type": rng.choice(("error", "custom")), **conditions}

    per = rng.sample(("environment", "error_code", "route", "release", "method", "status_code"), 2)
    given: dict[str, object] = {"name": f"rule-{number}", "on": selection(), "per": per}
    return given | ({"kind": "rate", "of": selection()} if rng.random() < 0.3 else {"kind": "floor_ratio"})


def test_index_finds_what_a_look_at_every_rule_finds() -> None:
    rng = random.Random(7)
    rules = [_drawn_rule(rng, number) for number in range(100)]
    index = RuleIndex(rules)
    found = 0
    for _ in range(2_000):
        values = {name: rng.choice(known) for name, known in ATTRIBUTES.items()}
        event_type = rng.choice(("error", "custom", "signup"))
        hits = {hit.own.rule.name: hit for hit in index.hits(*_kind(values, event_type))}
        for own in rules:
            is_part = selects(own.rule.on, event_type, values)
            is_whole = isinstance(own.rule, Rate) and selects(own.rule.of, event_type, values)
            hit = hits.get(own.rule.name)
            assert (hit is not None) == (is_part or is_whole)
            if hit is not None:
                found += 1
                assert (hit.is_part, hit.is_whole) == (is_part, is_whole)
                named = RuleFingerprint.parse(hit.series.fingerprint)
                assert all(named.value(name) == values[name] for name in own.rule.per)
    assert found > 1_000


def test_series_of_a_rule_names_the_values_that_all_its_events_share() -> None:
    own = _own(on={"event_type": "error", "route": "/a|b=c%", "error_code": ["A", "B"]}, per=["environment"])
    series = own.series("org_1", "proj_1", {"environment": "prod"})
    assert series.metric_name == "rule:mine:3"
    assert series.fingerprint == "rule:mine:3|floor_ratio|error|route=/a%7Cb=c%25|environment=prod"
    named = read_fingerprint(series.fingerprint)
    assert (named.route, named.error_code, named.environment) == ("/a|b=c%", None, Environment.PROD)


def test_series_over_several_environments_has_the_environment_all() -> None:
    series = _own(on={"event_type": "error"}, per=[]).series("org_1", "proj_1", {})
    assert (series.environment, series.fingerprint) == ("all", "rule:mine:3|floor_ratio|error")


def test_other_series_is_named_as_such() -> None:
    other = _own(on={"event_type": "error"}, per=["route"]).other("org_1", "proj_1")
    named = RuleFingerprint.parse(other.fingerprint)
    assert named.is_other
    assert named.text == "rule:mine:3|floor_ratio|error|other"


def test_long_values_stay_within_an_index_row_and_apart() -> None:
    own = _own(on={"event_type": "error"}, per=["route", "error_code"])
    long = {"route": "/" + "ü" * 255, "error_code": "é" * 128, "release": None}
    first = own.series("o", "p", {**long, "route": long["route"] or ""})
    assert len(first.fingerprint.encode()) < 2_000
    wide = _own(on={"event_type": "error"}, per=["route", "error_code", "release", "method"])
    values = {"route": "😀" * 256, "error_code": "😀" * 128, "release": "😀" * 128, "method": "a"}
    one = wide.series("o", "p", values)
    two = wide.series("o", "p", {**values, "route": "😀" * 255 + "b"})
    assert len(one.fingerprint.encode()) <= MAX_TEXT_BYTES
    assert one.fingerprint != two.fingerprint


@pytest.mark.parametrize(
    ("fields", "shares"),
    [
        ({"on": {"event_type": "error"}}, True),
        ({"on": {"event_type": "error", "route": "/a"}}, True),
        ({"on": {"event_type": "error"}, "per": ["environment", "route", "error_code"]}, True),
        ({"on": {"event_type": "signup"}, "per": ["environment"]}, True),
        ({"on": {"event_type": "error", "release": "1"}}, False),
        ({"on": {"event_type": "error"}, "per": ["route"]}, False),
        ({"on": {"event_type": "custom"}, "per": ["environment"]}, False),
    ],
)
def test_rule_that_counts_the_series_of_rule_a_or_b_shares_their_buckets(
    fields: dict[str, object], shares: bool
) -> None:
    own = _own(**fields)
    values = {"environment": "prod", "error_code": None, "route": "/a", "release": None}
    shared = own.buckets_of(own.series("org_1", "proj_1", values))
    assert (shared is not None) == shares
    assert own.buckets_of(own.other("org_1", "proj_1")) is None
    if shared is not None:
        is_error = own.rule.on.event_type is EventType.ERROR
        expected = Fingerprint(
            event_type=EventType.ERROR if is_error else EventType.SIGNUP,
            environment=Environment.PROD,
            route="/a" if is_error else None,
        )
        assert (shared.fingerprint, shared.environment) == (expected.text, "prod")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rule:mine:1",
        "rule:mine:1|floor_ratio",
        "rule:mine:0|floor_ratio|error",
        "rule:mine:1|no_kind|error",
        "rule:mine:1|floor_ratio|error|route",
        "rule:mine:1|floor_ratio|error|other|route=/a",
        "a|b",
    ],
)
def test_text_that_names_no_series_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_fingerprint(text)


def test_error_whose_code_looks_like_a_rule_stays_an_error() -> None:
    text = Fingerprint(
        event_type=EventType.ERROR,
        environment=Environment.PROD,
        error_code="rule:mine:1",
        route="floor_ratio",
    ).text
    assert isinstance(read_fingerprint(text), Fingerprint)
