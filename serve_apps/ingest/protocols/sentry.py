"""The door for Sentry SDKs: envelopes, the older store endpoint, and the tunnel.

SDKs send an event once: any answer but 200 loses it. Never a `Retry-After` on a 503: Node
takes it for a rate limit and throws the next events away too. Recorded with real SDKs.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from serve_apps.http.answers import json_answer
from serve_apps.http.authorization import foreign_keys, only_key
from serve_apps.http.bodies import MAX_BATCH_BYTES, inflate
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.pages import cors, preflight
from serve_apps.http.problems import Problem, answer_to
from serve_apps.ingest.protocols.doors import Doors, foreign_body, receipt_of, unreadable
from shared_types import InvalidEvent
from signals.domain.access.principal import Principal
from signals.domain.events.foreign import ForeignReading, Receipt, count
from signals.domain.events.from_sentry import key_of_dsn, read_envelope, read_store
from signals.domain.events.sentry_envelopes import split_envelope
from signals.errors import DependencyUnavailable

DOOR: Final = "sentry"
BASE: Final = "/v1/events/sentry"
UNWANTED_S: Final = 3600
UNWANTED: Final = (
    "transaction;span;session;profile;profile_chunk;replay;metric_bucket;trace_metric;attachment"
)
"""Categories that SDKs need not send: nothing is lighter than a request that is not sent."""
BASE64_ZLIB: Final = (b"eJ", b"eN", b"eA", b"eF")  # a zlib header of any level, in base64 (raven-node)
BLANKS: Final = b" \t\r\n"

Read = tuple[Principal, ForeignReading, Receipt]


async def sentry_envelope(doors: Doors, call: Call[None]) -> Response:
    """Accept an envelope; the key may stand in its header."""
    return await _answered(doors, call.request, _envelope)


async def sentry_store(doors: Doors, call: Call[None]) -> Response:
    """Accept one event of the older endpoint."""
    return await _answered(doors, call.request, _store)


async def sentry_other(doors: Doors, call: Call[None]) -> Response:
    """Accept and count a report that becomes no event: browsers' security reports, crash dumps."""
    return await _answered(doors, call.request, _other)


async def sentry_preflight(_: Doors, call: Call[None]) -> Response:
    """Answer a browser that asks first."""
    return preflight(call.request)


async def _envelope(doors: Doors, request: Request) -> Read:
    # With a key outside the body, a refusal need not wait for the body.
    sender = await doors.early_sender(request, DOOR)
    body = await foreign_body(request)
    envelope = split_envelope(body)
    key = key_of_dsn(envelope.header.get("dsn"))
    if sender is None:
        sender = await doors.sender(request, DOOR, key)
    elif key:
        only_key(foreign_keys(request) | {key})
    receipt = receipt_of(sender)
    return sender, await doors.reading.call(body, lambda: read_envelope(envelope, receipt)), receipt


async def _store(doors: Doors, request: Request) -> Read:
    sender = await doors.sender(request, DOOR)
    body = await foreign_body(request)
    if body.startswith(BASE64_ZLIB):
        try:
            packed = base64.b64decode(body.translate(None, BLANKS), validate=True)  # some wrap their lines
        except binascii.Error as error:
            raise InvalidEvent("malformed_base64", None, "The body is no valid base64.") from error
        body = inflate(packed, MAX_BATCH_BYTES)
    receipt = receipt_of(sender)
    return sender, await doors.reading.call(body, lambda: read_store(body, receipt)), receipt


async def _other(doors: Doors, request: Request) -> Read:
    sender = await doors.sender(request, DOOR)
    receipt = receipt_of(sender)
    reading = ForeignReading()
    count(reading.ignored, request.url.path.rstrip("/").rpartition("/")[2])
    return sender, reading, receipt


async def _answered(
    doors: Doors, request: Request, read: Callable[[Doors, Request], Awaitable[Read]]
) -> Response:
    try:
        sender, reading, receipt = await read(doors, request)
        results = await doors.publish(DOOR, sender, reading, receipt)
    except (InvalidEvent, Problem, DependencyUnavailable) as error:
        refusal = unreadable(error) if isinstance(error, InvalidEvent) else error
        doors.note_refusal(request, DOOR, refusal)
        response = _refusal(request, refusal)
    else:
        ids = [result.event_id for result in results if result.event_id]
        if results and not ids:
            first = results[0]
            response = _refusal(request, Problem(400, first.code or "invalid", first.message or ""))
        else:
            response = json_answer(request, {"id": ids[0].replace("-", "")} if ids else {})
        if reading.ignored:
            response.headers["X-Sentry-Rate-Limits"] = f"{UNWANTED_S}:{UNWANTED}:key:not_taken"
    response.headers.update(cors(request))
    return response


def _refusal(request: Request, error: Problem | DependencyUnavailable) -> Response:
    """Answer an error with the statuses and headers that SDKs understand."""
    if isinstance(error, Problem) and error.status == 401 and error.code != "missing_key":
        error = Problem(403, error.code, error.detail)
    response = answer_to(request, error)
    if response.status_code == 503:
        del response.headers["Retry-After"]
    elif response.status_code == 429:
        response.headers["X-Sentry-Rate-Limits"] = f"{response.headers['Retry-After']}::key:limit_exceeded"
    response.headers["X-Sentry-Error"] = error.code if isinstance(error, Problem) else "unavailable"
    return response


def _rows(
    path: str, handler: Callable[[Doors, Call[None]], Awaitable[Response]]
) -> tuple[Endpoint[Doors], ...]:
    answers = {200: Answer(description="Kafka has acknowledged the events in it.")}
    return (
        Endpoint(method="POST", path=path, handler=handler, tag=DOOR, answers=answers),
        Endpoint(method="OPTIONS", path=path, handler=sentry_preflight, tag=DOOR, answers=answers),
    )


ENDPOINTS: Final[tuple[Endpoint[Doors], ...]] = (
    *_rows(f"{BASE}/api/{{project}}/envelope/", sentry_envelope),
    *_rows(f"{BASE}/api/{{project}}/envelope", sentry_envelope),
    *_rows(f"{BASE}/api/{{project}}/store/", sentry_store),
    *_rows(f"{BASE}/api/{{project}}/store", sentry_store),
    *_rows(f"{BASE}/api/store/", sentry_store),
    *_rows(f"{BASE}/api/{{project}}/security/", sentry_other),
    *_rows(f"{BASE}/api/{{project}}/minidump/", sentry_other),
    *_rows(f"{BASE}/tunnel", sentry_envelope),
    *_rows(f"{BASE}/tunnel/", sentry_envelope),
)
