"""The chart's values and their schema match the types of a stack."""

import re
from collections.abc import Iterator
from typing import Any

from k8s.operator import values_schema
from k8s.operator.crds import stack_crd

CHART = values_schema.FILE.parent


def test_schema_of_the_values_knows_the_fields_of_the_types() -> None:
    current = values_schema.FILE.read_text()
    assert values_schema.rendered(current) == current, "run `make crds`"


def test_values_name_every_field_of_a_stack_and_its_default() -> None:
    comment = (CHART / "values.yaml").read_text().partition("stack:\n")[2]
    spec = stack_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    fields = dict(_fields(spec))
    assert len(fields) > 40
    assert [name for name in fields if not re.search(rf"\b{name}:", comment)] == []
    defaults = {name: default for name, default in fields.items() if isinstance(default, (bool, int))}
    written = {
        name: [value.lower() for value in re.findall(rf"\b{name}: (\w+)", comment)] for name in defaults
    }
    assert [name for name, value in defaults.items() if str(value).lower() not in written[name]] == []


def _fields(node: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, field in node.get("properties", {}).items():
        yield name, field.get("default")
        yield from _fields(field)
