"""Flattens a JSON Schema into rows: one field a line, nested fields by their path."""

from collections.abc import Iterator
from typing import Any

from docs.writers.markdown import code, sentence

Schema = dict[str, Any]


def rows(schema: Schema, path: str = "") -> Iterator[list[str]]:
    """Yield path, type, default and meaning of each field, depth first."""
    required = set(schema.get("required", ()))
    for name, field in schema.get("properties", {}).items():
        where = f"{path}.{name}" if path else name
        default = "required" if name in required else _default(field)
        yield [code(where), type_of(field), default, _meaning(field)]
        yield from rows(field, where)
        if "items" in field:
            yield from rows(field["items"], f"{where}[]")


def validations(schema: Schema, path: str = "") -> Iterator[str]:
    """Yield the message of each CEL rule, with the field that it belongs to."""
    for rule in schema.get("x-kubernetes-validations", ()):
        where = path + rule.get("fieldPath", "")
        yield f"{code(where.lstrip('.'))}: {rule['message']}" if where else rule["message"]
    for name, field in schema.get("properties", {}).items():
        yield from validations(field, f"{path}.{name}")


def type_of(field: Schema) -> str:
    """Describe a field's type in a word or two, its choices, and its bounds."""
    if "$ref" in field:
        return f"[{field['$ref'].rpartition('/')[2]}](#{field['$ref'].rpartition('/')[2].lower()})"
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in field:
            kinds = ["null" if one.get("type") == "null" else type_of(one) for one in field[choice]]
            return " or ".join(dict.fromkeys(kinds))
    if "enum" in field:
        return ", ".join(code(value) for value in field["enum"])
    if "const" in field:
        return code(field["const"])
    if field.get("type") == "boolean":
        return "`true`, `false`"
    if field.get("type") == "array":
        return f"list of {type_of(field.get('items', {}))}"
    kind = {"object": "object", "string": "text", "integer": "whole number", "number": "number"}.get(
        str(field.get("type")), str(field.get("type", "any value"))
    )
    return kind + _bounds(field)


def _bounds(field: Schema) -> str:
    lowest, highest = field.get("minimum"), field.get("maximum")
    if lowest is not None and highest is not None:
        return f", {lowest} to {highest:,}"
    if lowest is not None:
        return f", at least {lowest}"
    if "maxLength" in field:
        return f", at most {field['maxLength']:,} characters"
    if "format" in field:
        return f", {field['format']}"
    return ""


def _default(field: Schema) -> str:
    if "default" not in field or field["default"] is None:
        return "-"
    value = field["default"]
    if isinstance(value, dict | list) and not value:
        return "-"
    if isinstance(value, dict) and "properties" in field:
        return "-"  # the fields below show their own
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return code(text)


def _meaning(field: Schema) -> str:
    return sentence(str(field.get("description", "")).partition("\n\n")[0])
