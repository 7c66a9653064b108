"""Rules that people write: what is accepted, and what the answer to a bad one names."""

import msgspec
import pytest
import yaml

from signals.domain.detection.default_rules import DEFAULT_RULES
from signals.domain.detection.rule_text import BadRule, parse_rule, parse_rules
from signals.domain.detection.rule_types import FINGERPRINT, FloorRatio, Rate

SPIKE = {"name": "mine", "kind": "floor_ratio", "on": {"event_type": "error"}}


def test_default_rules_survive_being_written_and_read() -> None:
    written = yaml.safe_dump(msgspec.to_builtins(DEFAULT_RULES))
    assert parse_rules(yaml.safe_load(written)) == DEFAULT_RULES


def test_name_of_a_default_rule_stands_for_it() -> None:
    assert [rule.name for rule in parse_rules(["error-spike", SPIKE])] == ["error-spike", "mine"]


def test_durations_shares_and_single_values_may_be_written_as_people_do() -> None:
    rule = parse_rule(
        SPIKE | {"window": "10m", "per": "fingerprint", "on": {"event_type": "error", "route": "/pay"}}
    )
    assert isinstance(rule, FloorRatio)
    assert (rule.window, rule.per, rule.on.route) == (10, FINGERPRINT, ("/pay",))
    share = parse_rule(SPIKE | {"kind": "rate", "of": {"event_type": "http_request"}, "limit": "5%"})
    assert isinstance(share, Rate)
    assert share.limit == 0.05


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"window": 61}, "window: expected int <= 60; allowed: whole number from 1 up to 60"),
        ({"window": "10 parsecs"}, "write minutes as a number"),
        ({"windw": 5}, "windw: is no field here; there are name, kind, on,"),
        ({"kind": "magic"}, "kind: invalid value 'magic'"),
        ({"on": {"event_type": "errors"}}, "on.event_type"),
        ({"name": "Mine!"}, "name: expected str matching"),
        ({"window": 20, "baseline": {"length": 60}}, "together must have at most 75 minutes"),
        ({"locked": True}, "locked rule cannot be changed"),
        ({"name": "error-spike", "floor": 20}, "copy it under another name"),
    ],
)
def test_bad_rule_names_the_rule_the_field_and_its_bounds(change: dict[str, object], says: str) -> None:
    with pytest.raises(BadRule) as raised:
        parse_rule(SPIKE | change)
    assert says in str(raised.value)
    assert str(raised.value).startswith(f"rule {change.get('name', 'mine')}: ")


def test_list_of_rules_has_no_name_twice() -> None:
    with pytest.raises(BadRule, match="'mine' is given to two rules"):
        parse_rules([SPIKE, SPIKE])


@pytest.mark.parametrize("given", [None, [], "error-spike", {"rules": []}])
def test_empty_list_of_rules_is_refused(given: object) -> None:
    with pytest.raises(BadRule, match="list of 1 to"):
        parse_rules(given)
