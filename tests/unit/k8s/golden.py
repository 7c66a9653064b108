"""Writes the builders' manifests for each case: `python -m tests.unit.k8s.golden` after a change on purpose.

A change below rayClusterConfig replaces every user's pods when the operator is upgraded: say so in CHANGELOG.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import yaml

from k8s.operator.cluster import Manifest
from k8s.operator.manifests.all import dependents
from k8s.operator.manifests.jobs import preflight_job, prepare_job
from k8s.operator.manifests.ray_service import ray_service
from k8s.operator.scenario.manifests import scenario_job
from k8s.operator.scenario_types import SignalsScenarioSpec
from tests.unit.k8s import scenario_specs
from tests.unit.k8s.specs import CASES, STACK, parsed

FOLDER: Final = Path(__file__).parent / "golden"


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def rendered(case: str) -> str:
    """Return every object of a case, as YAML."""
    spec = parsed(CASES[case])
    stack = replace(STACK, retained=spec.deletion_policy == "Retain")
    slots = dependents(stack, spec, "demo-x7k2p")
    objects = [
        preflight_job(stack, spec, "digest"),
        prepare_job(stack, spec),
        ray_service(stack, spec),
        *(slot.wanted for slot in slots if slot.wanted),
    ]
    return yaml.dump_all(objects, Dumper=_Plain, sort_keys=True, width=110)


def scenario_of(spec: dict[str, Any]) -> Manifest:
    """Return the Job of a scenario."""
    return scenario_job(
        scenario_specs.SCENARIO, SignalsScenarioSpec.model_validate(spec), scenario_specs.TARGET
    )


def rendered_scenario(case: str) -> str:
    """Return the Job of a case, as YAML."""
    job = scenario_of(scenario_specs.CASES[case])
    return yaml.dump(job, Dumper=_Plain, sort_keys=True, width=110)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in CASES:
        (FOLDER / f"{name}.yaml").write_text(rendered(name))
    for name in scenario_specs.CASES:
        (FOLDER / f"{name}.yaml").write_text(rendered_scenario(name))
