"""Writes both CustomResourceDefinitions from the types: `make crds`."""

import sys
from pathlib import Path
from typing import Any, Final

import yaml

from k8s.operator import scenario_types, stack_types
from k8s.operator.api import GROUP, VERSION
from k8s.operator.schema import structural_schema

FOLDER: Final = Path(__file__).parents[2] / "helm" / "signals" / "crds"
HEADER: Final = "# Written by `make crds` from k8s/operator/*_types.py: change those.\n"


class _Plain(yaml.SafeDumper):
    """Repeats shared nodes instead of writing YAML anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _condition(name: str) -> dict[str, Any]:
    return _column(name, "string", f'.status.conditions[?(@.type=="{name}")].status')


def _column(name: str, kind: str, path: str, priority: int = 0) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path}
    return column | {"priority": priority} if priority else column


AGE: Final = _column("Age", "date", ".metadata.creationTimestamp")
STACK_COLUMNS: Final = [
    _condition("Ready"),
    _column("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason'),
    _column("Version", "string", ".status.version"),
    _column("Workers", "integer", ".status.pipeline.workers"),
    _column("Lag", "integer", ".status.pipeline.lag"),
    _column("Ingest", "string", ".status.endpoints.ingest", 1),
    _column("Schema", "string", ".status.migrations.applied", 1),
    _column("Paused", "boolean", ".spec.paused", 1),
    _column("Message", "string", '.status.conditions[?(@.type=="Ready")].message', 1),
    AGE,
]
SCENARIO_COLUMNS: Final = [
    _column("Kind", "string", ".spec.type"),
    _column("Mode", "string", ".spec.loadgen.mode"),
    _condition("Succeeded"),
    _condition("Verified"),
    _column("Sent", "integer", ".status.sent"),
    _column("Accepted", "integer", ".status.accepted"),
    _column("Message", "string", '.status.conditions[?(@.type=="Verified")].message', 1),
    AGE,
]
SCALE: Final = {
    "specReplicasPath": ".spec.pipeline.workers",
    "statusReplicasPath": ".status.pipeline.workers",
    "labelSelectorPath": ".status.pipeline.selector",
}


def stack_crd() -> dict[str, Any]:
    """SignalsStack, with `/status` and `/scale`."""
    return _crd(
        names={"kind": stack_types.KIND, "plural": stack_types.PLURAL, "shortNames": ["sstk"]},
        columns=STACK_COLUMNS,
        subresources={"status": {}, "scale": SCALE},
        schema=structural_schema(stack_types.SignalsStack),
    )


def scenario_crd() -> dict[str, Any]:
    """SignalsScenario, with `/status`."""
    return _crd(
        names={"kind": scenario_types.KIND, "plural": scenario_types.PLURAL, "shortNames": ["sscn"]},
        columns=SCENARIO_COLUMNS,
        subresources={"status": {}},
        schema=structural_schema(scenario_types.SignalsScenario),
    )


def _crd(
    *, names: dict[str, Any], columns: list[dict[str, Any]], subresources: dict[str, Any], schema: Any
) -> dict[str, Any]:
    kind = names["kind"]
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": subresources,
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names['plural']}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": names | {"singular": kind.lower(), "listKind": f"{kind}List", "categories": ["signals"]},
            "versions": [version],
        },
    }


def rendered() -> dict[str, str]:
    """Return the text of each file of `FOLDER`."""
    crds = (stack_crd(), scenario_crd())
    return {
        f"{crd['spec']['names']['plural']}.yaml": HEADER + yaml.dump(crd, Dumper=_Plain, width=110)
        for crd in crds
    }


def write(folder: Path) -> None:
    """Write the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in rendered().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
