"""A missing right is named with its remedy, and Ready shows no stale status."""

from k8s.operator.conditions import ALWAYS, merged
from k8s.operator.refusal import explained, forbidden_read
from k8s.operator.verdicts import judge
from tests.unit.k8s.facts import NOW, WELL

SAID = (
    'rayservices.ray.io "demo" is forbidden: User "system:serviceaccount:a:demo-operator" cannot get resource'
    ' "rayservices" in API group "ray.io" in the namespace "a"'
)


def test_missing_right_is_named_and_other_messages_stay_unchanged() -> None:
    assert explained(SAID).startswith("the operator's Role lacks get rayservices: run helm upgrade")
    assert "signalsstacks/status" in explained('cannot patch resource "signalsstacks/status" in API group')
    assert explained("admission webhook said no") == "admission webhook said no"


def test_refused_pass_reports_the_refusal_and_keeps_the_other_conditions() -> None:
    before = merged([], judge(WELL, []), generation=1, now=NOW)
    said = {v.type: (v.status, v.reason) for v in forbidden_read(before, SAID)}
    assert set(said) == {*ALWAYS, "Stalled"}
    assert said["Stalled"] == ("True", "Forbidden")
    assert said["Ready"] == ("Unknown", "Forbidden")
    assert said["Migrated"] == ("True", "Prepared")


def test_refused_first_pass_writes_all_conditions() -> None:
    said = {v.type: (v.status, v.reason) for v in forbidden_read([], "no")}
    assert set(said) == {*ALWAYS, "Stalled"}
    assert said["Accepted"] == ("Unknown", "Refused")
