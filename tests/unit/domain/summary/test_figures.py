"""Groups of stored findings are read with both shares; what has another shape is left out."""

import pytest

from signals.domain.summary.figures import StoredGroup, stored_groups

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
        name="release=2", share=0.76, usual=0.12, failing=76, beside="working requests"
    )


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
