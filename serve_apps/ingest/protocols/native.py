"""Our own protocol: JSON events, one or a batch, as the contract in `shared_types` describes them."""

from collections.abc import Callable
from typing import Final, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from serve_apps.http.bodies import MAX_BATCH_BYTES, MAX_EVENT_BYTES, read_body
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.parameters import NoParameters
from serve_apps.http.problems import Problem
from serve_apps.ingest.intake import Intake
from serve_apps.ingest.protocols.native_answers import batch_answer, single_answer
from shared_types import EventInput, InvalidEvent
from signals.domain.access.scopes import Right
from signals.services.events.ingestion import decode_event, decode_events

MAX_IDEMPOTENCY_KEY: Final = 256

JSON: Final = frozenset({"application/json", ""})
JSON_LINES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})

Decoded = TypeVar("Decoded")


async def send_event(intake: Intake, call: Call[NoParameters]) -> Response:
    """Accept one event."""
    request, sender = call.request, call.principal
    intake.check_limits(sender)
    _content_type(request, JSON)
    event = _decoded(decode_event, await read_body(request, MAX_EVENT_BYTES))
    results = await intake.publish([event], sender, idempotency_key=_idempotency_key(request))
    return single_answer(request, results[0])


async def send_events(intake: Intake, call: Call[NoParameters]) -> Response:
    """Accept many events, each judged by itself."""
    request, sender = call.request, call.principal
    intake.check_limits(sender)
    lines = _content_type(request, JSON | JSON_LINES) in JSON_LINES
    body = await read_body(request, MAX_BATCH_BYTES)
    events = _decoded(lambda data: decode_events(data, lines=lines), body)
    results = await intake.publish(events, sender, idempotency_key=_idempotency_key(request))
    return batch_answer(request, results)


def _content_type(request: Request, allowed: frozenset[str]) -> str:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in allowed:
        names = ", ".join(sorted(allowed - {""}))
        raise Problem(415, "unsupported_content_type", f"Send Content-Type: {names}.")
    return content_type


def _decoded(decode: Callable[[bytes], Decoded], body: bytes) -> Decoded:
    try:
        return decode(body)
    except InvalidEvent as error:
        status = {"empty_batch": 422, "too_many_events": 413, "too_many_values": 413}.get(error.code, 400)
        raise Problem(status, error.code, error.message, members={"field": error.field}) from error


def _idempotency_key(request: Request) -> str | None:
    # A blank key would give every request the same ids, and lose all but the first.
    key = request.headers.get("idempotency-key", "").strip() or None
    if key is not None and len(key) > MAX_IDEMPOTENCY_KEY:
        raise Problem(
            400, "idempotency_key_too_long", f"Idempotency-Key: at most {MAX_IDEMPOTENCY_KEY} characters."
        )
    return key


class AcceptedEvent(BaseModel):
    """Kafka has acknowledged the event."""

    event_id: UUID
    status: Literal["accepted"]


class BatchResult(BaseModel):
    """The outcome of the event at `index`; the last three only when it was not accepted."""

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


_ERRORS: Final = {
    400: "The body is malformed, there is a query parameter, or two different keys were sent.",
    401: "No API key, an unknown one, or a revoked one.",
    403: "The key has another scope than ingest, or stands in a web page.",
    408: "The body did not arrive in time.",
    413: "The body is too large: 1 MiB an event, 8 MiB or 1,000 events a batch.",
    415: "Content-Type or Content-Encoding is not supported.",
    422: "Nothing was acceptable; the body says why.",
    429: "Too many requests at once; see Retry-After.",
    503: "Not accepted now; see Retry-After and send it again with the same ids.",
}
_HEADERS: Final = (
    {
        "name": "Idempotency-Key",
        "in": "header",
        "schema": {"type": "string", "maxLength": MAX_IDEMPOTENCY_KEY},
        "description": "Makes the ids of events without one repeatable.",
    },
    {
        "name": "Content-Encoding",
        "in": "header",
        "schema": {"type": "string", "enum": ["identity", "gzip", "zstd"]},
    },
)

ENDPOINTS: tuple[Endpoint[Intake], ...] = (
    Endpoint(
        method="POST",
        path="/v1/events/batch",
        handler=send_events,
        tag="ingest",
        right=Right.SEND_EVENTS,
        query=NoParameters,
        headers=_HEADERS,
        body={
            "application/json": list[EventInput] | EventBatch,
            "application/x-ndjson": {"type": "string", "description": "one EventInput a line"},
        },
        answers={
            202: Answer(description="All were accepted.", model=BatchAnswer),
            207: Answer(description="Some were rejected; see results.", model=BatchAnswer),
        },
        errors=_ERRORS,
    ),
    Endpoint(
        method="POST",
        path="/v1/events",
        handler=send_event,
        tag="ingest",
        right=Right.SEND_EVENTS,
        query=NoParameters,
        headers=_HEADERS,
        body={"application/json": EventInput},
        answers={202: Answer(description="Kafka has acknowledged it.", model=AcceptedEvent)},
        errors=_ERRORS,
    ),
)
