"""Writes the OpenAPI document from the tables of endpoints that answer."""

from collections.abc import Iterable, Iterator
from inspect import getdoc
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, TypeAdapter

from serve_apps.http.endpoint import Answer, Endpoint
from serve_apps.http.problems import MEDIA_TYPE

OpenApiDocument = dict[str, Any]

INFO: Final = {
    "title": "Customer Signals Copilot",
    "version": "1.0",
    "description": (
        "Events come in, one incident comes out per outage, with an AI summary whose evidence can be "
        "checked. Every error is problem+json (RFC 9457) with a stable `code`. Every GET answers HEAD too."
    ),
}
# Either header carries the key.
SECURITY_SCHEMES: Final = {
    "Bearer": {"type": "http", "scheme": "bearer"},
    "X-API-Key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_REFERENCE: Final = "#/components/schemas/{model}"
_EITHER: Final[list[dict[str, list[str]]]] = [{name: []} for name in SECURITY_SCHEMES]
_WAIT: Final = {
    "Retry-After": {"description": "seconds to wait", "schema": {"type": "integer", "minimum": 0}}
}
_ERROR_HEADERS: Final[dict[int, dict[str, Any]]] = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}}},
    429: _WAIT,
    503: _WAIT,
}


class ProblemBody(BaseModel):
    """An error; some carry further members, like `errors`, `field` or `results`."""

    type: str
    title: str
    status: int
    code: Annotated[str, Field(description="a stable word for programs")]
    detail: Annotated[str, Field(description="what to do about it")]


SchemaMode = Literal["validation", "serialization"]  # of what is read, and of what is answered


class _Schemas:
    """The schemas of all bodies, made in one go so that a type used twice is written once."""

    def __init__(self, kinds: Iterable[tuple[Any, SchemaMode]]) -> None:
        inputs = [(kind, mode, TypeAdapter(kind)) for kind, mode in kinds if not isinstance(kind, dict)]
        self._found, rest = TypeAdapter.json_schemas(inputs, ref_template=_REFERENCE)
        self.definitions: dict[str, Any] = rest["$defs"]

    def of(self, kind: Any, mode: SchemaMode) -> dict[str, Any]:
        """Return the schema of a type; a schema itself is taken as it is."""
        return dict(kind) if isinstance(kind, dict) else dict(self._found[kind, mode])

    def properties(self, query: type[Any]) -> dict[str, Any]:
        """Return the schema of each parameter of a query."""
        schema = TypeAdapter(query).json_schema(ref_template=_REFERENCE)
        self.definitions |= schema.get("$defs", {})
        return dict(schema.get("properties", {}))


def describe(endpoints: Iterable[Endpoint[Any]]) -> OpenApiDocument:
    """Return the document of these endpoints."""
    table = list(endpoints)
    schemas = _Schemas(_bodies(table))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in table:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": INFO,
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas.definitions, "securitySchemes": SECURITY_SCHEMES},
    }


def _bodies(table: Iterable[Endpoint[Any]]) -> Iterator[tuple[Any, SchemaMode]]:
    yield ProblemBody, "serialization"
    for endpoint in table:
        yield from ((kind, "validation") for kind in endpoint.body.values())
        models = (answer.model for answer in endpoint.answers.values())
        yield from ((model, "serialization") for model in models if model is not None)


def _operation(endpoint: Endpoint[Any], schemas: _Schemas) -> dict[str, Any]:
    description = getdoc(endpoint.handler) or ""
    operation: dict[str, Any] = {
        "tags": [endpoint.tag],
        "operationId": endpoint.operation_id,
        "summary": description.partition("\n")[0],
        "description": description,
        "responses": {
            str(status): _response(answer, schemas) for status, answer in sorted(endpoint.answers.items())
        }
        | {str(status): _problem(status, text, schemas) for status, text in sorted(endpoint.errors.items())},
    }
    if endpoint.right is not None:
        operation["security"] = _EITHER
    if parameters := _parameters(endpoint, schemas):
        operation["parameters"] = parameters
    if endpoint.body:
        content = {media: {"schema": schemas.of(kind, "validation")} for media, kind in endpoint.body.items()}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameters(endpoint: Endpoint[Any], schemas: _Schemas) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in endpoint.path.split("/") if part.startswith("{")]
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
    ]
    if endpoint.query is not None:
        properties = schemas.properties(endpoint.query).items()
        found += [_query_parameter(name, schema) for name, schema in properties]
    return found + [dict(header) for header in endpoint.headers]


def _query_parameter(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    schema = {key: value for key, value in schema.items() if key != "title"}
    described = {"description": schema.pop("description")} if "description" in schema else {}
    return {"name": name, "in": "query", "required": False, "schema": schema, **described}


def _response(answer: Answer, schemas: _Schemas) -> dict[str, Any]:
    response: dict[str, Any] = {"description": answer.description}
    if answer.headers:
        response["headers"] = dict(answer.headers)
    if answer.model is not None:
        schema = schemas.of(answer.model, "serialization")
        response["content"] = {"application/json": {"schema": schema}}
    return response


def _problem(status: int, text: str, schemas: _Schemas) -> dict[str, Any]:
    schema = schemas.of(ProblemBody, "serialization")
    return {
        "description": text,
        "headers": _ERROR_HEADERS.get(status, {}),
        "content": {MEDIA_TYPE: {"schema": schema}},
    }
