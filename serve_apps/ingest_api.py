"""ingest-api: authenticate, read, hand to the service, answer when Kafka has acknowledged."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from fastapi import FastAPI
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from actors.loopback import listen_on_loopback_only
from serve_apps.bearer import api_key, require
from serve_apps.bodies import read_body
from serve_apps.flushing import flushed
from serve_apps.ingest_answers import batch_answer, limit_exceeded, single_answer
from serve_apps.last_used import last_used_written
from serve_apps.parameters import check_parameters
from serve_apps.problems import Problem, answer_with_problems
from serve_apps.rotating import Rotating
from shared_types import InvalidEvent
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.publisher import open_publisher
from signals.clients.postgres import open_pool, renew
from signals.domain.api_keys import Scope as KeyScope
from signals.domain.limits import Exceeded, KeyLimits
from signals.errors import DependencyUnavailable
from signals.logs import configure_logs
from signals.rotation import Kind, Rotation
from signals.services.accounting import Accounting
from signals.services.authenticating import Authenticating, Granted
from signals.services.ingesting import (
    EventResult,
    Ingesting,
    Submission,
    decode_event,
    decode_events,
    prepare,
)
from signals.services.limiting import PATIENCE_S, Limiting
from signals.settings import KafkaSettings, PostgresSettings, RuntimeSettings

MAX_EVENT_BYTES: Final = 1024 * 1024  # design: data path, "Ingest"
MAX_BATCH_BYTES: Final = 8 * 1024 * 1024
MAX_IDEMPOTENCY_KEY: Final = 256
ANSWER_WITHIN_S: Final = 0.8  # of publishing: a second (specification) less what comes before
ASKED_AGAIN_S: Final = 0.1
COUNTS_EVERY_S: Final = 1.0  # what a killed replica has not reported
MAX_LEASES: Final = 50  # guess: so often a request may lose the race for leased events
CONNECTIONS: Final = 3  # look-ups of keys, leases, counts

JSON: Final = frozenset({"application/json", ""})
JSON_LINES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})

Decoded = TypeVar("Decoded")


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestResources:
    """What the handlers need; opened by whoever hosts the app."""

    authenticating: Authenticating
    limiting: Limiting
    ingesting: Ingesting
    accounting: Accounting


def build_ingest_api(resources: IngestResources) -> FastAPI:
    """Build the application; plain routes, because this is the hot path. Its document is in /openapi.json."""

    async def single(request: Request) -> Response:
        granted = await _granted(request, resources)
        check_parameters(request, ())
        _content_type(request, JSON)
        event = _decoded(decode_event, await read_body(request, MAX_EVENT_BYTES))
        return single_answer((await _take([event], granted, request, resources))[0])

    async def batch(request: Request) -> Response:
        granted = await _granted(request, resources)
        check_parameters(request, ())
        lines = _content_type(request, JSON | JSON_LINES) in JSON_LINES
        body = await read_body(request, MAX_BATCH_BYTES)
        events = _decoded(lambda data: decode_events(data, lines=lines), body)
        return batch_answer(await _take(events, granted, request, resources))

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with (
            last_used_written(resources.authenticating),
            flushed(resources.limiting.flush, every_s=COUNTS_EVERY_S, what="unused quota"),
            flushed(resources.accounting.flush, every_s=COUNTS_EVERY_S, what="accepted counts"),
        ):
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


async def _granted(request: Request, resources: IngestResources) -> Granted:
    """Return whose key it is, unless it is refused or whatever it sends exceeds its rate."""
    key = api_key(request.headers)
    verdict = resources.authenticating.check_cached(key)
    if verdict is None:
        verdict = await asyncio.to_thread(resources.authenticating.check, key)
    granted = require(verdict, KeyScope.INGEST)
    if exceeded := resources.limiting.closed(granted.key_id, granted.limits):
        raise limit_exceeded(exceeded)
    return granted


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


async def _take(
    events: list[object], granted: Granted, request: Request, resources: IngestResources
) -> list[EventResult]:
    """Bring what is acceptable into Kafka, all or nothing where a limit is concerned."""
    # A blank key would give every request the same ids, and lose all but the first.
    idempotency_key = request.headers.get("idempotency-key", "").strip() or None
    if idempotency_key is not None and len(idempotency_key) > MAX_IDEMPOTENCY_KEY:
        raise Problem(
            400, "idempotency_key_too_long", f"Idempotency-Key: at most {MAX_IDEMPOTENCY_KEY} characters."
        )
    submission = prepare(events, granted.tenancy, idempotency_key)
    if not submission.records:
        return submission.results
    await _keep_limits(resources.limiting, granted, len(submission.records))
    results = await _publish(resources.ingesting, submission)
    failed = sum(result.status == "unavailable" for result in results)
    resources.limiting.give_back(granted.key_id, granted.limits, failed)
    return results


async def _keep_limits(limiting: Limiting, granted: Granted, count: int) -> None:
    for _ in range(MAX_LEASES):
        taken = limiting.take(granted.key_id, granted.limits, count)
        if taken is None:
            return
        if isinstance(taken, Exceeded):
            raise limit_exceeded(taken)
        leased = asyncio.wrap_future(taken)
        await asyncio.wait({leased}, timeout=PATIENCE_S)
        if leased.done():
            leased.result()  # raises what nobody expected
    raise DependencyUnavailable("PostgreSQL", "too many requests of this key wait for its limits")


async def _publish(ingesting: Ingesting, submission: Submission) -> list[EventResult]:
    """Publish and wait for Kafka as long as it is worth it."""
    loop = asyncio.get_running_loop()
    settled: asyncio.Future[list[EventResult]] = loop.create_future()

    def done(results: list[EventResult]) -> None:
        if not settled.done():  # else nobody waits any more, and the loop may be closed
            loop.call_soon_threadsafe(_set_unless_cancelled, settled, results)

    ingesting.publish(submission, done)
    try:
        await asyncio.wait({settled}, timeout=ANSWER_WITHIN_S)
        while not settled.done():
            if ingesting.is_kafka_silent():
                return ingesting.unacknowledged(submission)
            await asyncio.wait({settled}, timeout=ASKED_AGAIN_S)
        return settled.result()
    finally:
        settled.cancel()


def _set_unless_cancelled(future: asyncio.Future[list[EventResult]], results: list[EventResult]) -> None:
    if not future.done():
        future.set_result(results)


def open_ingest_resources(stack: ExitStack) -> IngestResources:
    """Open what the handlers need, as environment and secret files say; `stack` closes it.

    Raises:
        SettingsError: naming the variable at fault.
    """
    runtime, rotation = RuntimeSettings.from_env(), Rotation((PostgresSettings, KafkaSettings))
    pool = stack.enter_context(open_pool(PostgresSettings.from_env, size=CONNECTIONS))
    publisher = stack.enter_context(open_publisher(KafkaSettings.from_env()))
    accounting = Accounting(pool)
    limits = KeyLimits(
        events_per_second=runtime.key_events_per_second, events_per_day=runtime.key_events_per_day
    )
    resources = IngestResources(
        authenticating=Authenticating(pool, cache_s=runtime.key_cache_s, default_limits=limits),
        limiting=stack.enter_context(Limiting(pool)),
        ingesting=Ingesting(publisher, accounting.accepted),
        accounting=accounting,
    )
    resources.ingesting.get_ready()
    renewals: dict[Kind, Callable[[], None]] = {
        PostgresSettings: partial(renew, pool),
        KafkaSettings: lambda: publisher.renew(KafkaSettings.from_env(), RAW_TOPIC),
    }
    stack.enter_context(Rotating(rotation, renewals))
    return resources


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
        listen_on_loopback_only()
        self._served = open_ingest_resources(self._resources)

    def __serve_build_asgi_app__(self) -> FastAPI:  # Ray Serve's name for it
        return build_ingest_api(self._served)

    def check_health(self) -> None:
        """Let Serve replace a replica whose producer has given up for good."""
        self._served.ingesting.check()

    def __del__(self) -> None:
        self._resources.close()
