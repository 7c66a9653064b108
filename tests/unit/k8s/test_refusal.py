"""A right that is missing is named, with the remedy; nothing stale is said about Ready."""

from k8s.operator.conditions import ALWAYS, merged
from k8s.operator.refusal import blinded, explained
from k8s.operator.verdicts import judge
from tests.unit.k8s.facts import NOW, WELL

SAID = (
    'rayservices.ray.io "demo" is forbidden: User "system:serviceaccount:a:demo-operator" cannot get resource'
    ' "rayservices" in API group "ray.io" in the namespace "a"'
)


def test_missing_right_is_named_and_anything_else_is_left_as_it_is() -> None:
    assert explained(SAID).startswith("the operator's Role lacks get rayservices: run helm upgrade")
    assert "signalsstacks/status" in explained('cannot patch resource "signalsstacks/status" in API group')
    assert explained("admission webhook said no") == "admission webhook said no"


def test_a_pass_that_was_refused_says_so_and_keeps_what_it_knows_of_the_rest() -> None:
    before = merged([], judge(WELL, []), generation=1, now=NOW)
    said = {v.type: (v.status, v.reason) for v in blinded(before, SAID)}
    assert set(said) == {*ALWAYS, "Stalled"}
    assert said["Stalled"] == ("True", "Forbidden")
    assert said["Ready"] == ("Unknown", "Forbidden")
    assert said["Migrated"] == ("True", "Prepared")


def test_a_first_pass_that_was_refused_has_all_conditions() -> None:
    said = {v.type: (v.status, v.reason) for v in blinded([], "no")}
    assert set(said) == {*ALWAYS, "Stalled"}
    assert said["Accepted"] == ("Unknown", "Refused")
