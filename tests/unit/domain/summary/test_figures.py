"""Groups of stored findings are read with both shares; what has another shape is left out."""

from uuid import UUID

import pytest

from signals.domain.summary.figures import StoredGroup, stored_groups

DEPLOY = UUID("0f0f0f0f-0000-4000-8000-000000000001")
GROUP = {
    "form": "value",
    "labels": ["release=2"],
    "failing_inside": 76,
    "failing_outside": 24,
    "working_inside": 12,
    "working_outside": 88,
}


def test_group_has_its_share_among_the_failing_beside_the_usual_one() -> None:
    stored = {"reference": "working", "causes": [{"group": GROUP}, {"group": None}]}
    [group] = stored_groups(stored)
    assert group == StoredGroup(
        key="cause:1",
        name="release=2",
        share=0.76,
        usual=0.12,
        failing=76,
        beside="working requests",
        numbers="76 of 100 failing, 12 of 100 working requests",
    )


def test_group_has_the_rates_of_its_sentence_and_the_deploy_before_it() -> None:
    rates = "86 % of these requests fail (76 of 88), 21 % of the others (24 of 112)"
    change = {"event_id": str(DEPLOY), "kind": "deploy", "minutes_before": 1}
    cause = {"group": GROUP, "says": f"Requests with release=2 fail: {rates}.", "change": change}
    [group] = stored_groups({"reference": "working", "causes": [cause]})
    assert (group.numbers, group.deploy_id, group.after) == (rates, DEPLOY, "1 minute")
    for odd in ({"kind": "deploy", "event_id": "x"}, {"kind": "config", "event_id": str(DEPLOY)}, "x"):
        [group] = stored_groups({"causes": [cause | {"change": odd}]})
        assert (group.deploy_id, group.after) == (None, "")


def test_group_compared_with_errors_says_so() -> None:
    cells = {"form": "absence", "labels": ["region="], "working_inside": 0, "working_outside": 0}
    [group] = stored_groups({"reference": "errors", "causes": [{"group": GROUP | cells}]})
    assert (group.name, group.usual, group.beside) == ("no region", 0.0, "the errors before")


@pytest.mark.parametrize(
    "stored",
    [
        None,
        [],
        {"causes": ["x"]},
        {"causes": [{"group": "x"}]},
        {"causes": [{"group": GROUP | {"labels": []}}]},
        {"causes": [{"group": GROUP | {"form": "odd"}}]},
        {"causes": [{"group": GROUP | {"failing_inside": "many"}}]},
    ],
)
def test_other_shapes_are_left_out(stored: object) -> None:
    assert list(stored_groups(stored)) == []
