"""reference/http-api.md and openapi.json, from the OpenAPI document that core-api serves."""

import json
from collections.abc import Iterator
from typing import Any, Final

from docs.writers.markdown import code, page, sentence, table
from docs.writers.schema_tables import rows, type_of
from serve_apps.core.routes import document

INTRODUCTION: Final = """\
ingest-api answers below `/v1/events`, core-api everything else. Both listen on one port: `$INGEST_API_URL`
and `$CORE_API_URL`. A key goes into `Authorization: Bearer` or `X-API-Key`. Every error is
`application/problem+json` (RFC 9457) with a stable `code` and a `detail` that says what to do. The
[OpenAPI document](openapi.json) is the one that core-api serves. [Send events](../how-to/send-events.md) and
[Read incidents and events](../how-to/read-incidents.md) show calls to copy."""


def openapi_file() -> str:
    """Return the document as JSON."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def http_page() -> str:
    """Return the page."""
    described = document()
    parts = [
        part
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
        for part in _operation(method, path, operation)
    ]
    parts.append("## Bodies")
    for name, schema in described["components"]["schemas"].items():
        parts += _schema(name, schema)
    return page("HTTP API", "the OpenAPI document of serve_apps", INTRODUCTION, parts)


def _operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"## {method.upper()} {path}"
    yield sentence(operation.get("description") or operation.get("summary", ""))
    parameters = operation.get("parameters", [])
    if parameters:
        yield table(["parameter", "in", "type", "meaning"], [_parameter(one) for one in parameters])
    if body := operation.get("requestBody"):
        kinds = [f"{code(media)}: {type_of(content['schema'])}" for media, content in body["content"].items()]
        yield "Body: " + "; ".join(kinds) + "."
    responses = operation["responses"].items()
    yield table(["status", "body", "meaning"], [_response(status, answer) for status, answer in responses])


def _parameter(parameter: dict[str, Any]) -> list[str]:
    name = code(parameter["name"]) + (" (required)" if parameter.get("required") else "")
    schema = parameter.get("schema", {})
    meaning = parameter.get("description") or schema.get("description", "")
    if schema.get("default") is not None:
        meaning = f"{sentence(meaning)} Default: {code(schema['default'])}."
    return [name, parameter["in"], type_of(schema), sentence(meaning)]


def _response(status: str, answer: dict[str, Any]) -> list[str]:
    kinds = [
        type_of(content["schema"]) for content in answer.get("content", {}).values() if "schema" in content
    ]
    return [status, ", ".join(dict.fromkeys(kinds)) or "-", sentence(answer.get("description", ""))]


def _schema(name: str, schema: dict[str, Any]) -> list[str]:
    described = [f"### {name}", sentence(str(schema.get("description", "")).partition("\n\n")[0])]
    if "enum" in schema:
        return [*described, "One of " + ", ".join(code(value) for value in schema["enum"]) + "."]
    return [*described, table(["field", "type", "default", "meaning"], rows(schema))]
