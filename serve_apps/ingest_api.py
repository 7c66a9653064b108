"""ingest-api: authenticate, read, hand to the service, answer when Kafka has acknowledged."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeVar

import orjson
from fastapi import FastAPI
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from serve_apps.bearer import api_key, require
from serve_apps.bodies import read_body
from serve_apps.last_used import last_used_written
from serve_apps.problems import Problem, answer_with_problems, unavailable
from shared_types import InvalidEvent, Tenancy
from signals.clients.kafka.publisher import open_publisher
from signals.clients.postgres import open_pool
from signals.domain import api_keys
from signals.logs import configure_logs
from signals.services.authenticating import Authenticating
from signals.services.ingesting import (
    EventResult,
    Ingesting,
    decode_event,
    decode_events,
    prepare,
)
from signals.settings import KafkaSettings, PostgresSettings, RuntimeSettings

MAX_EVENT_BYTES: Final = 1024 * 1024  # design: data path, "Ingest"
MAX_BATCH_BYTES: Final = 8 * 1024 * 1024
MAX_IDEMPOTENCY_KEY: Final = 256

JSON: Final = frozenset({"application/json", ""})
JSON_LINES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})

Decoded = TypeVar("Decoded")


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestResources:
    """What the handlers need; opened by whoever hosts the app."""

    authenticating: Authenticating
    ingesting: Ingesting


def build_ingest_api(resources: IngestResources) -> FastAPI:
    """Build the application; plain routes, because this is the hot path. Its document is in /openapi.json."""

    async def single(request: Request) -> Response:
        tenancy = await _tenancy(request, resources.authenticating)
        _content_type(request, JSON)
        event = _decoded(decode_event, await read_body(request, MAX_EVENT_BYTES))
        results = await _publish(resources.ingesting, [event], tenancy, request)
        return _single_answer(results[0])

    async def batch(request: Request) -> Response:
        tenancy = await _tenancy(request, resources.authenticating)
        lines = _content_type(request, JSON | JSON_LINES) in JSON_LINES
        body = await read_body(request, MAX_BATCH_BYTES)
        events = _decoded(lambda data: decode_events(data, lines=lines), body)
        return _batch_answer(await _publish(resources.ingesting, events, tenancy, request))

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with last_used_written(resources.authenticating):
            yield

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan, redirect_slashes=False)
    app.router.routes += [
        Route("/v1/events", single, methods=["POST"]),
        Route("/v1/events/batch", batch, methods=["POST"]),
        Route("/v1/events/healthz", healthz, methods=["GET"]),
    ]
    app.add_middleware(FullPaths)
    answer_with_problems(app)
    return app


class FullPaths:
    """Lets routes name whole paths, although Serve announces the application's prefix as mounted."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward without `root_path`."""
        await self._app({**scope, "root_path": ""}, receive, send)


async def _tenancy(request: Request, authenticating: Authenticating) -> Tenancy:
    key = api_key(request.headers)
    verdict = authenticating.check_cached(key)
    if verdict is None:
        verdict = await asyncio.to_thread(authenticating.check, key)
    return require(verdict, api_keys.Scope.INGEST).tenancy


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
        status = {"empty_batch": 422, "too_many_events": 413}.get(error.code, 400)
        raise Problem(status, error.code, error.message, members={"field": error.field}) from error


async def _publish(
    ingesting: Ingesting, events: list[object], tenancy: Tenancy, request: Request
) -> list[EventResult]:
    # A blank key would give every request the same ids, and lose all but the first.
    idempotency_key = request.headers.get("idempotency-key", "").strip() or None
    if idempotency_key is not None and len(idempotency_key) > MAX_IDEMPOTENCY_KEY:
        raise Problem(
            400, "idempotency_key_too_long", f"Idempotency-Key: at most {MAX_IDEMPOTENCY_KEY} characters."
        )
    submission = prepare(events, tenancy, idempotency_key)
    if not submission.records:
        return submission.results
    loop = asyncio.get_running_loop()
    settled: asyncio.Future[list[EventResult]] = loop.create_future()

    def done(results: list[EventResult]) -> None:
        loop.call_soon_threadsafe(_set_unless_cancelled, settled, results)

    ingesting.publish(submission, done)
    return await settled


def _set_unless_cancelled(future: asyncio.Future[list[EventResult]], results: list[EventResult]) -> None:
    if not future.done():  # the client may have hung up
        future.set_result(results)


def _single_answer(result: EventResult) -> Response:
    if result.status == "accepted":
        return _json(202, {"event_id": result.event_id, "status": "accepted"})
    if result.status == "unavailable":
        raise unavailable(result.message or "")
    raise Problem(422, result.code or "invalid_event", result.message or "", members={"field": result.field})


def _batch_answer(results: list[EventResult]) -> Response:
    accepted = sum(result.status == "accepted" for result in results)
    body = {
        "accepted": accepted,
        "rejected": len(results) - accepted,
        "results": [_shown(r) for r in results],
    }
    if any(result.status == "unavailable" for result in results):
        problem = unavailable("Kafka did not acknowledge all events; send the batch again with the same ids.")
        raise Problem(problem.status, problem.code, problem.detail, headers=problem.headers, members=body)
    if not accepted:
        raise Problem(
            422, "nothing_accepted", "No event of this batch is acceptable; see results.", members=body
        )
    return _json(202 if accepted == len(results) else 207, body)


def _shown(result: EventResult) -> dict[str, Any]:
    shown = {name: value for name, value in asdict(result).items() if value is not None}
    if result.event_id:
        shown["event_id"] = str(result.event_id)
    return shown


def _json(status: int, body: object) -> Response:
    return Response(orjson.dumps(body), status_code=status, media_type="application/json")


@serve.deployment(
    name="ingest-api",
    max_ongoing_requests=256,
    max_queued_requests=512,
    graceful_shutdown_timeout_s=10,
    ray_actor_options={"num_cpus": 0.1},
)
@serve.ingress()
class IngestApi:
    """The replica that hosts the application: it opens what the handlers need in its own process."""

    def __init__(self) -> None:
        self._resources = ExitStack()
        configure_logs()
        runtime = RuntimeSettings.from_env()
        pool = self._resources.enter_context(open_pool(PostgresSettings.from_env(), size=2))
        publisher = self._resources.enter_context(open_publisher(KafkaSettings.from_env()))
        self._authenticating = Authenticating(pool, cache_s=runtime.key_cache_s)
        self._ingesting = Ingesting(publisher)

    def __serve_build_asgi_app__(self) -> FastAPI:  # Ray Serve's name for it
        return build_ingest_api(
            IngestResources(authenticating=self._authenticating, ingesting=self._ingesting)
        )

    def __del__(self) -> None:
        self._resources.close()
