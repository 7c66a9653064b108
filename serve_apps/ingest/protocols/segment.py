"""The door for Segment's libraries: batches and single calls.

Libraries repeat 429 and 503, and drop 400.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from serve_apps.http.answers import json_answer
from serve_apps.http.authorization import foreign_keys, only_key
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.pages import cors, preflight
from serve_apps.http.problems import Problem, answer_to
from serve_apps.ingest.protocols.doors import Doors, foreign_body, receipt_of, unreadable
from shared_types import InvalidEvent
from signals.domain.events.foreign import environment_of
from signals.domain.events.from_segment import CALLS, parse_calls, read_calls
from signals.errors import DependencyUnavailable

DOOR: Final = "segment"
BASE: Final = "/v1/events/segment"
METRICS: Final = "m"  # browser libraries count their own calls there, without a key; nobody needs that here
BATCHES: Final = ("batch", "import", "b")  # the last is that of browser libraries


async def segment_calls(doors: Doors, call: Call[None]) -> Response:
    """Accept a batch, or the single call that the path names."""
    request = call.request
    try:
        response = await _accepted(doors, request)
    except (InvalidEvent, Problem, DependencyUnavailable) as error:
        refusal = unreadable(error) if isinstance(error, InvalidEvent) else error
        doors.note_refusal(request, DOOR, refusal)
        response = answer_to(request, refusal)
    response.headers.update(cors(request))
    return response


async def segment_preflight(_: Doors, call: Call[None]) -> Response:
    """Answer a browser that asks first; Segment's library does so on every path."""
    return preflight(call.request)


async def _accepted(doors: Doors, request: Request) -> Response:
    name = request.path_params["call"]
    if name == METRICS:
        await foreign_body(request)
        return json_answer(request, {"success": True})
    kind = CALLS.get(name)
    if kind is None and name not in BATCHES:
        known = ", ".join([*BATCHES, *CALLS])
        raise Problem(404, "not_found", f"There is no such call; there are {known}.")
    # With a key outside the body, a refusal need not wait for the body.
    sender = await doors.early_sender(request, DOOR)
    body = await foreign_body(request)
    calls = parse_calls(body, kind)
    if sender is None:
        sender = await doors.sender(request, DOOR, calls.write_key)
    elif calls.write_key:
        only_key(foreign_keys(request, any_user=True) | {calls.write_key})
    environment = environment_of(request.path_params.get("environment"), "prod")[0]
    receipt = receipt_of(sender, environment)
    reading = await doors.reading.call(body, lambda: read_calls(calls, receipt))
    await doors.publish(DOOR, sender, reading, receipt)
    return json_answer(request, {"success": True})


def _rows(path: str) -> tuple[Endpoint[Doors], ...]:
    answers = {200: Answer(description="Kafka has acknowledged the events in it.")}
    return (
        Endpoint(method="POST", path=path, handler=segment_calls, tag=DOOR, answers=answers),
        Endpoint(method="OPTIONS", path=path, handler=segment_preflight, tag=DOOR, answers=answers),
    )


ENDPOINTS: Final[tuple[Endpoint[Doors], ...]] = (
    *_rows(f"{BASE}/v1/{{call}}"),
    *_rows(f"{BASE}/{{environment}}/v1/{{call}}"),
    *_rows(f"{BASE}/{{call}}"),
)
