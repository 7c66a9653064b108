"""A rule is told in plain words, with the unit of each number."""

from typing import Any

import msgspec
import pytest

from serve_apps.console.rule_words import MEANINGS, opens_when, rows_of
from signals.domain.detection.default_rules import DEFAULT_RULES
from signals.domain.detection.rule_kinds import RULE_KINDS
from signals.domain.detection.rule_text import parse_rule

ON = {"rate": {"event_type": "http_request", "status_code": "500"}}
SENTENCES: dict[str, tuple[dict[str, Any], str]] = {
    "floor_ratio": (
        {"window": "10m", "floor": 20, "ratio": 2},
        "it counts at least 20 events in 10 minutes, and 2 times as many as usual in 60 minutes before",
    ),
    "drop": (
        {"ceiling": 5, "baseline": {"minimum": 20.5}},
        "it counts at most 5 events in 15 minutes, where 20.5 events or more are usual by 60 minutes before",
    ),
    "rate": (
        {"of": {"event_type": "http_request"}, "limit": "5%"},
        "these are surely at least 5 % of all in 15 minutes, and all are at least 100 events",
    ),
    "absence": (
        {"after": "2h"},
        "there is no event for 2 hours, after at least one in the last 14 days",
    ),
    "new_series": (
        {"floor": 1, "window": 1},
        "it counts at least 1 event in 1 minute of a series that is new, or that had none for 14 days",
    ),
    "seasonal": (
        {"direction": "down", "windows": [{"length": "3h", "floor": 100, "ratio": 0.4}]},
        "one of its windows has far fewer events than is usual at this hour of the week",
    ),
}


def spec_of(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(
        parse_rule({"name": "a", "kind": kind, "on": ON.get(kind, {"event_type": "error"}), **fields})
    )
    return found


@pytest.mark.parametrize(("kind", "case"), SENTENCES.items())
def test_sentence_has_units(kind: str, case: tuple[dict[str, Any], str]) -> None:
    fields, said = case
    assert opens_when(spec_of(kind, fields)) == f"Opens an incident when {said}."


def test_every_kind_has_a_sentence_and_every_field_a_meaning() -> None:
    assert {one.kind for one in RULE_KINDS} == set(SENTENCES)
    assert {field.name for one in RULE_KINDS for field in one.fields} == set(MEANINGS)


def test_rows_say_what_the_sentence_leaves_out() -> None:
    fields = {"windows": [{"length": "3h", "floor": 100, "ratio": 0.4, "against": "usual"}]}
    rows = dict(rows_of(spec_of("seasonal", fields | {"direction": "down", "hold": {"fires": 2, "of": 3}})))
    assert rows["window 1"] == (
        "3 hours: at least 100 events expected, and at most 40 % of them, 6 standard deviations off, against"
        " the level of the last days"
    )
    assert rows["series"] == "one for each error code, route and environment"
    assert rows["holds"] == "at 2 of the last 3 minutes"
    assert dict(rows_of(spec_of("absence", {"per": []})))["series"] == "one of all events"


def test_rules_of_the_product_can_be_told() -> None:
    for rule in DEFAULT_RULES:
        spec = msgspec.to_builtins(rule)
        assert opens_when(spec).endswith(".")
        assert all(text for _, text in rows_of(spec))
