"""The door for OpenTelemetry: logs and traces over OTLP/HTTP, as protobuf or JSON.

Answers and errors have the request's own type; clients repeat 429, 502, 503 and 504.
Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.requests import Request
from starlette.responses import Response

from serve_apps.http.answers import encode
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.pages import cors, preflight
from serve_apps.http.problems import NOT_STORED, Problem, unavailable
from serve_apps.ingest.protocols.doors import Doors, foreign_body, receipt_of, unreadable
from shared_types import InvalidEvent
from signals.domain.events.foreign import ForeignReading
from signals.domain.events.from_otlp import read_otlp
from signals.domain.events.otlp_records import Signal
from signals.errors import DependencyUnavailable

DOOR: Final = "otlp"
BASE: Final = "/v1/events/otlp/v1"
JSON: Final = "application/json"
PROTOBUF: Final = "application/x-protobuf"
# HTTP status -> google.rpc.Code, https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto.
_CODES: Final[Mapping[int, int]] = {400: 3, 401: 16, 403: 7, 404: 5, 408: 4, 413: 3, 415: 3, 429: 8, 503: 14}
_UNKNOWN: Final = 2
LARGE_BYTES: Final = 32 * 1024  # a record may take a dozen of them, and 30 us to read


async def otlp_logs(doors: Doors, call: Call[None]) -> Response:
    """Accept log records: errors become events, the others are counted."""
    return await _answered(doors, call.request, "logs")


async def otlp_traces(doors: Doors, call: Call[None]) -> Response:
    """Accept spans: exceptions in them and failed server spans become events."""
    return await _answered(doors, call.request, "traces")


async def otlp_other(_: Doors, call: Call[None]) -> Response:
    """Say that metrics and profiles have no place here."""
    detail = "Metrics and profiles are not taken here; set OTEL_METRICS_EXPORTER=none."
    return _error(call.request, Problem(404, "not_found", detail))


async def otlp_preflight(_: Doors, call: Call[None]) -> Response:
    """Answer a browser that asks first."""
    return preflight(call.request)


async def _answered(doors: Doors, request: Request, signal: Signal) -> Response:
    try:
        sender = await doors.sender(request, DOOR)
        receipt = receipt_of(sender)
        body = await foreign_body(request)
        is_json = _is_json(request)
        reading = await doors.reading.call(
            body, lambda: read_otlp(body, signal, receipt, is_json=is_json), LARGE_BYTES
        )
        results = await doors.publish(DOOR, sender, reading, receipt)
        rejected = sum(result.status == "rejected" for result in results)
        response = _success(request, signal, reading, rejected)
    except (InvalidEvent, Problem, DependencyUnavailable) as error:
        refusal = _problem_of(error)
        doors.note_refusal(request, DOOR, refusal)
        response = _error(request, refusal)
    response.headers.update(cors(request))
    return response


def _problem_of(error: InvalidEvent | Problem | DependencyUnavailable) -> Problem:
    match error:
        case InvalidEvent():
            return unreadable(error)
        case DependencyUnavailable():
            return unavailable(f"{error.dependency} does not answer at the moment.")
        case _:
            return error


def _is_json(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == JSON


def _success(request: Request, signal: Signal, reading: ForeignReading, rejected: int) -> Response:
    """Answer 200; what lies below error is said but is no rejection, which clients would log endlessly."""
    rejected += reading.refused.total()
    reasons = reading.refused | reading.ignored
    message = ", ".join(f"{name}: {number}" for name, number in sorted(reasons.items()))
    number_of = {"logs": "rejectedLogRecords", "traces": "rejectedSpans"}[signal]
    if _is_json(request):
        partial: dict[str, object] = {number_of: str(rejected), "errorMessage": message} if message else {}
        return _response(request, 200, encode({"partialSuccess": partial} if partial else {}))
    if signal == "logs":
        logs = ExportLogsServiceResponse()
        if message:
            logs.partial_success.rejected_log_records = rejected
            logs.partial_success.error_message = message
        return _response(request, 200, logs.SerializeToString())
    spans = ExportTraceServiceResponse()
    if message:
        spans.partial_success.rejected_spans = rejected
        spans.partial_success.error_message = message
    return _response(request, 200, spans.SerializeToString())


def _error(request: Request, problem: Problem) -> Response:
    """Answer with a Status in the request's own type."""
    code = _CODES.get(problem.status, _UNKNOWN)
    if _is_json(request):
        content = encode({"code": code, "message": problem.detail})
    else:
        content = Status(code=code, message=problem.detail).SerializeToString()
    response = _response(request, problem.status, content)
    response.headers.update(problem.headers)
    return response


def _response(request: Request, status: int, content: bytes) -> Response:
    media_type = JSON if _is_json(request) else PROTOBUF
    return Response(content, status_code=status, headers=NOT_STORED, media_type=media_type)


_ANSWERS: Final = {200: Answer(description="Kafka has acknowledged the events in it.")}
_HANDLERS: Final = {"logs": otlp_logs, "traces": otlp_traces, "metrics": otlp_other, "profiles": otlp_other}


def _rows(
    path: str, handler: Callable[[Doors, Call[None]], Awaitable[Response]]
) -> tuple[Endpoint[Doors], ...]:
    return (
        Endpoint(method="POST", path=path, handler=handler, tag=DOOR, answers=_ANSWERS),
        Endpoint(method="OPTIONS", path=path, handler=otlp_preflight, tag=DOOR, answers=_ANSWERS),
    )


ENDPOINTS: Final[tuple[Endpoint[Doors], ...]] = tuple(
    endpoint
    for signal, handler in _HANDLERS.items()
    for end in ("", "/")  # some write the address with a slash at its end
    for endpoint in _rows(f"{BASE}/{signal}{end}", handler)
)
