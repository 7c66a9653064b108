"""One OpenAPI document for both APIs: core-api's own routes, and ingest-api described from the contract."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from serve_apps.http.problems import MEDIA_TYPE
from shared_types import EventInput

DESCRIPTION: Final = (
    "Events come in, one incident comes out per outage, with an AI summary whose evidence can be checked. "
    "Every error is problem+json (RFC 9457) with a stable `code`."
)
_SCHEMA: Final = "#/components/schemas/{model}"


class ProblemBody(BaseModel):
    """An error; some carry further members, like `errors`, `field` or `results`."""

    type: str
    title: str
    status: int
    code: Annotated[str, Field(description="a stable word for programs")]
    detail: Annotated[str, Field(description="what to do about it")]


class AcceptedEvent(BaseModel):
    """Kafka has acknowledged the event."""

    event_id: UUID
    status: Literal["accepted"]


class BatchResult(BaseModel):
    """What became of the event at `index`; the last three only when it was not accepted."""

    index: int
    event_id: UUID | None = None
    status: Literal["accepted", "rejected", "unavailable"]
    code: str | None = None
    field: str | None = None
    message: str | None = None


class BatchAnswer(BaseModel):
    """One result an event, in the order sent."""

    accepted: int
    rejected: int
    results: list[BatchResult]


class EventBatch(BaseModel):
    """Up to 1,000 events."""

    events: list[EventInput]


_MODELS: Final = (EventInput, EventBatch, AcceptedEvent, BatchAnswer, ProblemBody)

INGEST_ERRORS: Final = {
    "400": "The body is malformed, or there is a query parameter.",
    "401": "No API key, an unknown one, or a revoked one.",
    "403": "The key has another scope than ingest.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large: 1 MiB an event, 8 MiB or 1,000 events a batch.",
    "415": "Content-Type or Content-Encoding is not supported.",
    "422": "Nothing was acceptable; the body says why.",
    "429": "Too many requests at once; see Retry-After.",
    "503": "Not accepted now; see Retry-After and send it again with the same ids.",
}
READ_ERRORS: Final = {
    "400": "A parameter is wrong; the problem names it.",
    "401": "No API key, an unknown one, or a revoked one.",
    "403": "The key has another scope than read, or belongs to another project.",
    "503": "A server behind this API does not answer; see Retry-After.",
}
INCIDENT_ERRORS: Final = {"404": "The key's project has no such incident."}
CHANGE_ERRORS: Final = {
    "408": "The body did not arrive in time.",
    "409": "The incident cannot take this status.",
    "413": "The body is too large.",
    "415": "Content-Encoding is not supported.",
}
# Either header carries the key.
SECURITY_SCHEMES: Final = {
    "Bearer": {"type": "http", "scheme": "bearer"},
    "X-API-Key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_EITHER: Final[list[dict[str, list[str]]]] = [{name: []} for name in SECURITY_SCHEMES]
_WAIT: Final = {
    "Retry-After": {"description": "seconds to wait", "schema": {"type": "integer", "minimum": 0}}
}
_ERROR_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "401": {"WWW-Authenticate": {"schema": {"type": "string"}}},
    "429": _WAIT,
    "503": _WAIT,
}


def describe_both_apis(app: FastAPI) -> None:
    """Make `/openapi.json` of `app` describe ingest-api too."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI documents this way to extend it


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version="1.0", description=DESCRIPTION, routes=app.routes, servers=[{"url": "/"}]
    )
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _add_read_errors(path, method, operation)
    document["paths"] |= _ingest_paths()
    document["components"]["securitySchemes"] = SECURITY_SCHEMES
    _, definitions = models_json_schema([(m, "validation") for m in _MODELS], ref_template=_SCHEMA)
    schemas = document["components"]["schemas"]
    schemas |= definitions["$defs"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return document


def _add_read_errors(path: str, method: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses.pop("422", None)  # the framework's own; we answer 400
    if not path.startswith("/v1/"):
        return
    operation["security"] = _EITHER
    errors = READ_ERRORS
    if path.endswith("{incident_id}"):
        errors = errors | INCIDENT_ERRORS | (CHANGE_ERRORS if method == "patch" else {})
    responses |= _problems(errors)


def _problems(errors: dict[str, str]) -> dict[str, Any]:
    return {
        status: _answer(text, "ProblemBody", MEDIA_TYPE) | {"headers": _ERROR_HEADERS.get(status, {})}
        for status, text in errors.items()
    }


def _answer(description: str, model: str, media_type: str = "application/json") -> dict[str, Any]:
    return {"description": description, "content": {media_type: {"schema": _reference(model)}}}


def _reference(model: str) -> dict[str, str]:
    return {"$ref": _SCHEMA.format(model=model)}


def _ingest_paths() -> dict[str, Any]:
    batch = {
        "application/json": {
            "schema": {
                "oneOf": [
                    {"type": "array", "items": _reference("EventInput")},
                    _reference("EventBatch"),
                ]
            }
        },
        "application/x-ndjson": {"schema": {"type": "string", "description": "one EventInput a line"}},
    }
    return {
        "/v1/events": {
            "post": _ingest_operation(
                "Accept one event",
                {"application/json": {"schema": _reference("EventInput")}},
                {"202": _answer("Kafka has acknowledged it.", "AcceptedEvent")},
            )
        },
        "/v1/events/batch": {
            "post": _ingest_operation(
                "Accept many events",
                batch,
                {
                    "202": _answer("All were accepted.", "BatchAnswer"),
                    "207": _answer("Some were rejected; see results.", "BatchAnswer"),
                },
            )
        },
        "/v1/events/healthz": {
            "get": {
                "tags": ["ingest"],
                "summary": "Whether ingest-api lives",
                "responses": {"200": _answer("It answers.", "Liveness")},
            }
        },
    }


def _ingest_operation(summary: str, content: dict[str, Any], answers: dict[str, Any]) -> dict[str, Any]:
    return {
        "tags": ["ingest"],
        "summary": summary,
        "security": _EITHER,
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "schema": {"type": "string", "maxLength": 256},
                "description": "Makes the ids of events without one repeatable.",
            },
            {
                "name": "Content-Encoding",
                "in": "header",
                "schema": {"type": "string", "enum": ["identity", "gzip", "zstd"]},
            },
        ],
        "requestBody": {"required": True, "content": content},
        "responses": answers | _problems(INGEST_ERRORS),
    }
