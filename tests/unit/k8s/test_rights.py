"""The chart gives the operator the rights that its README lists, and no other."""

import itertools
from typing import Any

import yaml

from tests.unit.docs.markdown import ROOT, section, table

Right = tuple[str, str, str, bool]
"""API group, resource, verb, and whether it is limited to names."""


def _rendered() -> set[Right]:
    """The objects of the chart's golden manifest."""
    documents = yaml.safe_load_all((ROOT / "tests/k8s/control_plane/golden/digitalocean.yaml").read_text())
    [role] = [
        d for d in documents if d and d["kind"] == "Role" and d["metadata"]["name"].endswith("-operator")
    ]
    return set(itertools.chain.from_iterable(map(_rights, role["rules"])))


def _rights(rule: dict[str, Any]) -> list[Right]:
    by_name = "resourceNames" in rule
    return [
        (group or "core", resource, verb, by_name)
        for group, resource, verb in itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"])
    ]


def _documented() -> set[Right]:
    rights = section((ROOT / "k8s/operator/README.md").read_text(), "Rights")
    return {
        (group, resource, verb, "(by name)" in resources)
        for group, resources, verbs in table(rights, "group")
        for resource in resources.removesuffix(" (by name)").split(", ")
        for verb in verbs.split()
    }


def test_chart_gives_the_documented_rights_and_no_other() -> None:
    assert _rendered() == _documented()


def test_no_right_is_a_wildcard_and_secrets_are_read_by_name_only() -> None:
    assert not any("*" in part for right in _rendered() for part in right[:3])
    assert [right for right in _rendered() if right[1] == "secrets"] == [("core", "secrets", "get", True)]
