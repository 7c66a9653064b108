"""reference/crds.md, from the types of both custom resources."""

from typing import Any, Final

from docs.writers.markdown import code, page, table
from docs.writers.schema_tables import rows, validations
from k8s.operator.crds import SCENARIO_COLUMNS, STACK_COLUMNS, scenario_crd, stack_crd

INTRODUCTION: Final = """\
The operator keeps two kinds of objects. A `SignalsStack` is one running copy of the product. A
`SignalsScenario` is one run of a producer with the outcome that it must have. `kubectl explain
signalsstack.spec` shows the same text. [On Kubernetes](../how-to/kubernetes.md) shows both in use."""


def resources_page() -> str:
    """Return the page."""
    parts: list[str] = []
    for crd, columns in ((stack_crd(), STACK_COLUMNS), (scenario_crd(), SCENARIO_COLUMNS)):
        parts += _kind(crd, columns)
    return page("Custom resources", "k8s/operator/stack_types.py and scenario_types.py", INTRODUCTION, parts)


def _kind(crd: dict[str, Any], columns: list[dict[str, Any]]) -> list[str]:
    spec = crd["spec"]
    [version] = spec["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    properties = schema["properties"]
    names = ", ".join(code(name) for name in (spec["names"]["plural"], *spec["names"]["shortNames"]))
    shown = ", ".join(code(column["name"]) for column in columns)
    version_of = f"API version `{spec['group']}/{version['name']}`"
    headings = ["field", "type", "default", "meaning"]
    return [
        f"## {spec['names']['kind']}",
        f"{version_of}; names for kubectl: {names}. Columns of `kubectl get`: {shown}.",
        f"### {spec['names']['kind']} spec",
        table(headings, rows(properties["spec"])),
        "The API server also checks:",
        "\n".join(f"- {rule}" for rule in validations(schema)),
        f"### {spec['names']['kind']} status",
        table(headings, rows(properties["status"])),
    ]
