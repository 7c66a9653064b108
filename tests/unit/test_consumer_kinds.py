"""One row makes a kind of consumer: all names and counts of kinds follow from the table."""

import json
import subprocess
import sys
from pkgutil import resolve_name
from typing import Any, Final

import pytest

from actors.consumers import Consumer
from k8s.operator.crds import stack_crd
from signals.consumer_kinds import KINDS, ConsumerKind
from signals.settings import variables

WITH_ONE_ROW_MORE: Final = """
import json
from signals import consumer_kinds
from signals.consumer_kinds import ConsumerKind, StackCount

row = ConsumerKind(name="archiver", setting="archivers", most=8, waits_for="jobs",
                   stack_count=StackCount(field="archivers", default=2), actor="actors.summarizer:Summarizer")
consumer_kinds.KINDS = (*consumer_kinds.KINDS, row)

from actors.names import expected
from actors.supervisor import CLASSES
from k8s.operator import values_schema
from k8s.operator.crds import stack_crd
from k8s.operator.manifests.serve_config import serve_config
from k8s.operator.readiness import _Answer, read
from k8s.operator.stack_types import SignalsStackSpec
from signals.settings import ConsumerSettings, variables
from tests.unit.k8s.specs import MINIMAL

lags = [{"name": name, "state": "running", "lag": lag} for name, lag in (("indexer-0", 1), ("archiver-0", 9))]
schema = json.loads(values_schema.rendered(values_schema.FILE.read_text()))
spec = stack_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
print(json.dumps({
    "variables": sorted(variables()),
    "expected": expected({"archivers": 3}, ConsumerSettings.from_env()),
    "supervised": sorted(CLASSES),
    "crd": spec["properties"]["pipeline"]["properties"].get("archivers"),
    "chart": schema["$defs"]["stackSpec"]["properties"]["pipeline"]["properties"].get("archivers"),
    "serve": serve_config(SignalsStackSpec.model_validate(MINIMAL)),
    "lag": read(_Answer.model_validate({"dependencies": [], "actors": lags})).lag,
}))
"""


@pytest.fixture(scope="module")
def grown() -> dict[str, Any]:
    """The output of a process whose table has one row more."""
    program = [sys.executable, "-c", WITH_ONE_ROW_MORE]
    finished = subprocess.run(program, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return found


def test_environment_and_supervisor_follow_the_table(grown: dict[str, Any]) -> None:
    assert "SIGNALS_ARCHIVERS" in grown["variables"]
    assert [name for name, kind in grown["expected"].items() if kind == "archiver"] == [
        "archiver-0",
        "archiver-1",
        "archiver-2",
    ]
    assert "archiver" in grown["supervised"]


def test_operator_crd_and_chart_follow_the_table(grown: dict[str, Any]) -> None:
    field = {"type": "integer", "default": 2, "minimum": 1, "maximum": 8, "description": "archiver actors"}
    assert grown["crd"] == grown["chart"] == field
    assert grown["serve"].count("archivers: 2") == 2  # for core-api and for the supervisor
    assert grown["lag"] == 1  # jobs are no events


def test_public_names_of_kinds_are_stable() -> None:
    names = {kind.name: kind.setting for kind in KINDS}
    assert names == {
        "incident-engine": "detectors",
        "indexer": "indexers",
        "ai-worker": "summarizers",
        "notifier": "notifiers",
    }
    assert {"SIGNALS_DETECTORS", "SIGNALS_INDEXERS", "SIGNALS_SUMMARIZERS"} <= variables()
    spec = stack_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert set(spec["properties"]["pipeline"]["properties"]) == {"workers", "summarizers", "notifiers"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_row_names_the_class_of_its_actor(kind: ConsumerKind) -> None:
    assert issubclass(resolve_name(kind.actor), Consumer)
