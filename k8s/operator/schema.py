"""Turns a pydantic model into the structural schema that a CRD must carry.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

from typing import Any, cast

from pydantic import BaseModel

Schema = dict[str, Any]


def structural_schema(model: type[BaseModel]) -> Schema:
    """Return the schema with references resolved and without keywords that Kubernetes rejects."""
    document = model.model_json_schema(by_alias=True, mode="validation")
    definitions = document.pop("$defs", {})
    return _structural(document, definitions)


def _structural(node: Schema, definitions: Schema) -> Schema:
    node = dict(node)
    if reference := node.pop("$ref", None):
        node = definitions[reference.rpartition("/")[2]] | node
        return _structural(node, definitions)
    if alternatives := node.pop("anyOf", None):
        return _structural(_present(alternatives) | _without_null_default(node), definitions)
    node.pop("title", None)
    if "const" in node:
        node["enum"] = [node.pop("const")]
    if "properties" in node:
        node["properties"] = {
            name: _structural(field, definitions) for name, field in node["properties"].items()
        }
    for child in ("items", "additionalProperties"):
        if isinstance(node.get(child), dict):
            node[child] = _structural(node[child], definitions)
    if "default" in node:
        node["default"] = _without_nulls(node["default"])
    return node


def _present(alternatives: list[Schema]) -> Schema:
    """Drop null from an optional field: the API server reads an explicit null as absent."""
    [present] = [one for one in alternatives if one.get("type") != "null"]
    return present


def _without_null_default(node: Schema) -> Schema:
    return {key: value for key, value in node.items() if not (key == "default" and value is None)}


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        fields = cast(dict[str, object], value)
        return {key: _without_nulls(item) for key, item in fields.items() if item is not None}
    return value
