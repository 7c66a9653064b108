"""Rules that people write: what is accepted, and what the answer to a bad one names."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec
import pytest
import yaml

from shared_types import Environment, Severity, Tenancy, canonicalize
from signals.domain.detection.default_rules import DEFAULT_RULES
from signals.domain.detection.rule_text import BadRule, parse_rule, parse_rules
from signals.domain.detection.rule_types import FINGERPRINT, FloorRatio, Rate

SPIKE = {"name": "mine", "kind": "floor_ratio", "on": {"event_type": "error"}}
SEASONAL: Final = {"kind": "seasonal"}
WINDOW: Final = {"length": 15, "floor": 8, "ratio": 3}


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
    ("change", "field", "says"),
    [
        ({"window": 61}, "window", "61 cannot stand here; write a whole number from 1 up to 60"),
        ({"window": "10 parsecs"}, "window", "write minutes as a number"),
        ({"baseline": {"length": "long"}}, "baseline.length", "write minutes as a number"),
        ({"windw": 5}, "windw", "is no field here; there are name, kind, on,"),
        ({"kind": "magic"}, "kind", "'magic' cannot stand here; write one of floor_ratio, drop,"),
        ({"on": {"event_type": "errors"}}, "on.event_type", "write one of error, http_request,"),
        ({"on": {}}, "on.event_type", "is missing; write one of error,"),
        ({"on": None}, "on", "write an object with the fields event_type,"),
        ({"name": "Mine!"}, "name", "write text of 1 to 63 small letters, digits and hyphens"),
        ({"window": 20, "baseline": {"length": 60}}, "baseline.length", "write at most 55"),
        (
            {"hold": {"fires": 3, "of": 2}},
            "hold.fires",
            "at most hold.of, the number of minutes looked",
        ),
        ({"locked": True}, "locked", "leave it out"),
        ({"name": "error-spike", "floor": 20}, "name", "write another name"),
        (SEASONAL | {"windows": [WINDOW | {"length": 90}]}, "windows.length", "write whole hours"),
        (SEASONAL | {"windows": [WINDOW | {"length": "2h"}]}, "windows.length", "write 60 or less"),
        (SEASONAL | {"windows": [WINDOW | {"spread": 16}]}, "windows.spread", "write at most 15"),
        (SEASONAL | {"windows": [WINDOW | {"against": "today"}]}, "windows.against", "write 2h or more"),
        (SEASONAL | {"windows": [WINDOW | {"floor": 0}]}, "windows.floor", "write a number from 1"),
    ],
)
def test_bad_rule_names_the_rule_the_field_and_the_remedy(
    change: dict[str, object], field: str, says: str
) -> None:
    with pytest.raises(BadRule) as raised:
        parse_rule(SPIKE | change)
    assert raised.value.field == field
    assert says in str(raised.value)
    assert str(raised.value).startswith(f"rule {change.get('name', 'mine')}: {field}: ")


def test_name_takes_no_line_feed() -> None:
    with pytest.raises(BadRule, match="letter first"):
        parse_rule(SPIKE | {"name": "mine\n"})


@pytest.mark.parametrize(
    ("attribute", "written", "kept"),
    [
        ("method", "get", ("GET",)),
        ("error_code", " TIMEOUT ", ("TIMEOUT",)),
        ("error_code", "O\u0308", ("\u00d6",)),
        ("route", ["/a ", "/b"], ("/a", "/b")),
        ("status_code", ["502", 504, " 503 "], ("502", "504", "503")),
        ("release", 7, ("7",)),
        ("environment", "Production", (Environment.PROD,)),
        ("severity", ["fatal"], (Severity.CRITICAL,)),
    ],
)
def test_values_of_conditions_are_kept_as_events_have_them(
    attribute: str, written: object, kept: tuple[str, ...]
) -> None:
    """An event that was sent with the same spelling is selected."""
    rule = parse_rule(SPIKE | {"on": {"event_type": "error", attribute: written}})
    assert getattr(rule.on, attribute) == kept
    one = written[0] if isinstance(written, list) else written
    given = {"event_type": "error", "message": "m", "occurred_at": "2026-03-02T00:00:00Z"}
    if attribute in ("environment", "severity"):
        given[attribute] = str(one)
    sent = {**given, "attributes": {} if attribute in given else {attribute: one}}
    now = datetime(2026, 3, 2, tzinfo=UTC)
    event = canonicalize(sent, tenancy=Tenancy("org_1", "proj_1"), received_at=now, event_id=UUID(int=1))
    stored = getattr(event, attribute) if attribute in given else getattr(event.attributes, attribute)
    assert str(stored) in map(str, kept)


def test_list_of_rules_has_no_name_twice() -> None:
    with pytest.raises(BadRule, match="'mine' is given to two rules"):
        parse_rules([SPIKE, SPIKE])


@pytest.mark.parametrize("given", [None, [], "error-spike", {"rules": []}])
def test_empty_list_of_rules_is_refused(given: object) -> None:
    with pytest.raises(BadRule, match="list of 1 to"):
        parse_rules(given)
