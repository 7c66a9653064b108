"""A rule that can never fire, or do nothing else, is refused, with the field at fault and the remedy."""

from typing import Final

import pytest

from signals.domain.detection.default_rules import DEFAULT_RULES
from signals.domain.detection.fixed_rules import RATE_ERRORS
from signals.domain.detection.rule_sense import flaw_of
from signals.domain.detection.rule_text import BadRule, parse_rule
from signals.domain.detection.significance import wilson_lower_bound

ERRORS: Final = {"event_type": "error"}
REQUESTS: Final = {"event_type": "http_request"}
WINDOW: Final = {"length": 15, "floor": 8, "ratio": 0.5}


@pytest.mark.parametrize(
    ("fields", "field", "remedy"),
    [
        ({"kind": "drop", "on": ERRORS, "per": ["route", "route"]}, "per", "once"),
        (
            {"kind": "drop", "on": {**ERRORS, "route": "/orders/48213"}},
            "on.route",
            "/orders/{id}",
        ),
        (
            {"kind": "rate", "on": ERRORS, "of": {**REQUESTS, "route": "/a?page=2"}},
            "of.route",
            "'/a'",
        ),
        ({"kind": "absence", "on": {**REQUESTS, "status_code": "5xx"}}, "on.status_code", "500"),
        ({"kind": "absence", "on": {**REQUESTS, "status_code": ["200", "1000"]}}, "on.status_code", "500"),
        (
            {"kind": "seasonal", "on": ERRORS, "direction": "down", "windows": [{**WINDOW, "ratio": 1.5}]},
            "windows.ratio",
            "below 1",
        ),
        (
            {"kind": "seasonal", "on": ERRORS, "windows": [WINDOW], "opens": "verdict"},
            "opens",
            "incident",
        ),
        ({"kind": "rate", "on": ERRORS, "of": REQUESTS, "limit": 1}, "limit", "0.95"),
        (
            {"kind": "rate", "on": {**ERRORS, "route": "/a"}, "of": {**REQUESTS, "route": "/b"}},
            "of.route",
            "the same",
        ),
        ({"kind": "rate", "on": ERRORS, "of": REQUESTS, "per": "fingerprint"}, "per", "leave error_code out"),
        (
            {"kind": "floor_ratio", "on": ERRORS, "floor": 0, "ratio": 0.001, "baseline": {"minimum": 0}},
            "floor",
            "floor of 1",
        ),
        ({"kind": "drop", "on": ERRORS, "baseline": {"minimum": 0}}, "baseline.minimum", "more than"),
        ({"kind": "drop", "on": ERRORS, "ceiling": 40}, "baseline.minimum", "the ceiling, 40"),
        ({"kind": "rate", "on": REQUESTS, "of": REQUESTS}, "of", "always 1"),
        (
            {"kind": "rate", "on": {**REQUESTS, "route": ["/a", "/b"]}, "of": {**REQUESTS, "route": "/a"}},
            "of",
            "always 1",
        ),
        (
            {"kind": "rate", "on": {**REQUESTS, "status_code": 500}, "of": REQUESTS, "per": ["status_code"]},
            "per",
            "leave status_code out",
        ),
        ({"kind": "absence", "on": {**ERRORS, "error_code": "x" * 129}}, "on.error_code", "128 characters"),
        ({"kind": "absence", "on": {**ERRORS, "release": " "}}, "on.release", "leave it out"),
        (
            {"kind": "new_series", "on": ERRORS, "window": 5, "hold": {"fires": 6, "of": 10}},
            "hold.fires",
            "longer window",
        ),
    ],
)
def test_rule_of_no_use_is_refused(fields: dict[str, object], field: str, remedy: str) -> None:
    with pytest.raises(BadRule) as refused:
        parse_rule({"name": "mine", **fields})
    assert refused.value.field == field
    assert remedy in str(refused.value)


def test_share_of_one_is_never_sure() -> None:
    assert wilson_lower_bound(10**6, 10**6, RATE_ERRORS) < 1


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "rate", "on": ERRORS, "of": REQUESTS},
        {"kind": "rate", "on": ERRORS, "of": REQUESTS, "per": []},
        {"kind": "rate", "on": {**REQUESTS, "status_code": 500}, "of": REQUESTS, "per": ["route"]},
        {"kind": "rate", "on": {**REQUESTS, "status_code": 500, "route": "/a"}, "of": REQUESTS},
        {"kind": "floor_ratio", "on": ERRORS, "floor": 1, "ratio": 0.001},
        {"kind": "drop", "on": ERRORS, "ceiling": 0, "baseline": {"minimum": 1}},
        {"kind": "drop", "on": {**ERRORS, "route": ["/orders/{id}", "/a"]}, "per": ["route"]},
        {"kind": "absence", "on": {**REQUESTS, "status_code": ["500", "502"]}},
        {"kind": "seasonal", "on": ERRORS, "direction": "down", "windows": [WINDOW]},
    ],
)
def test_rule_that_can_fire_is_taken(fields: dict[str, object]) -> None:
    assert parse_rule({"name": "mine", **fields}).name == "mine"


def test_rules_of_a_new_project_have_no_flaw() -> None:
    assert [flaw_of(rule) for rule in DEFAULT_RULES] == [None] * len(DEFAULT_RULES)
