"""Writes the schema of a stack into the chart's values.schema.json: `make crds`.

Helm then names a misspelt or mistyped field of `stack.spec` before anything is sent to the cluster.
"""

import json
from pathlib import Path
from typing import Any, Final

from k8s.operator.crds import stack_crd

FILE: Final = Path(__file__).parents[2] / "helm" / "signals" / "values.schema.json"
SET_BY_THE_CHART: Final = "image"


def rendered(current: str) -> str:
    """Return the text of `FILE`, which now reads `current`."""
    document = json.loads(current)
    [version] = stack_crd()["spec"]["versions"]
    spec = _strict(version["schema"]["openAPIV3Schema"]["properties"]["spec"])
    spec["required"] = [name for name in spec["required"] if name != SET_BY_THE_CHART]
    document["$defs"]["stackSpec"] = spec
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _strict(node: dict[str, Any]) -> dict[str, Any]:
    """Drop keywords of the API server; refuse unknown fields, which it would silently prune."""
    strict = {key: value for key, value in node.items() if not key.startswith("x-kubernetes-")}
    if "properties" in node:
        strict["properties"] = {name: _strict(field) for name, field in node["properties"].items()}
        strict["additionalProperties"] = False
    for child in ("items", "additionalProperties"):
        if isinstance(node.get(child), dict):
            strict[child] = _strict(node[child])
    return strict


if __name__ == "__main__":
    FILE.write_text(rendered(FILE.read_text()))
