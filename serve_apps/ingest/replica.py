"""ingest-api: the application, and the replica that hosts it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import Final

from fastapi import FastAPI
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from serve_apps.http.problems import CrashesEndHere, answer_to, answer_with_problems
from serve_apps.http.rotating import renewed
from serve_apps.ingest.acknowledgements import Acknowledging
from serve_apps.ingest.handlers import IngestResources, Taking
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.publisher import open_publisher
from signals.clients.postgres import open_pool, renew
from signals.domain.access.limits import KeyLimits
from signals.garbage import collect_less_often
from signals.logs import configure_logs
from signals.periodic import repeated_in_task
from signals.ray_node.loopback import listen_on_loopback_only
from signals.rotation import Kind, Rotation
from signals.services.access.authentication import LAST_USED_EVERY_S, Authenticating
from signals.services.access.quotas import Limiting
from signals.services.events.ingestion import Ingesting
from signals.services.ledger.entries import Accounting
from signals.settings import KafkaSettings, PostgresSettings, RuntimeSettings

ANSWER_WITHIN_S: Final = 0.8  # of publishing: a second (docs/concepts/events.md) less what comes before
COUNTS_EVERY_S: Final = 1.0  # what a killed replica has not reported
CONNECTIONS: Final = 3  # look-ups of keys, leases, counts

Handler = Callable[[Request], Awaitable[Response]]


def build_ingest_api(resources: IngestResources) -> ASGIApp:
    """Build the application; its document is in /openapi.json."""
    acknowledging = Acknowledging(resources.ingesting, answer_within_s=ANSWER_WITHIN_S)
    taking = Taking(resources, acknowledging)

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with (
            repeated_in_task(
                resources.authenticating.flush_last_used, every_s=LAST_USED_EVERY_S, what="last use of keys"
            ),
            repeated_in_task(resources.limiting.flush, every_s=COUNTS_EVERY_S, what="unused quota"),
            repeated_in_task(resources.accounting.flush, every_s=COUNTS_EVERY_S, what="accepted counts"),
        ):
            yield
        acknowledging.close()

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan, redirect_slashes=False)
    app.router.routes += [
        Route("/v1/events", taking.single, methods=["POST"]),
        Route("/v1/events/batch", taking.batch, methods=["POST"]),
        Route("/v1/events/healthz", healthz, methods=["GET"]),
    ]
    app.add_middleware(FullPaths)
    answer_with_problems(app)
    return CrashesEndHere(Shortcut(app, {"/v1/events": taking.single, "/v1/events/batch": taking.batch}))


class Shortcut:
    """Calls the handlers of what is posted itself: the framework between costs more than they do.

    Everything else, other methods for one, is for the application.
    """

    def __init__(self, app: ASGIApp, handlers: Mapping[str, Handler]) -> None:
        self._app = app
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, with a problem where the handler raises one."""
        handler = self._handlers.get(scope["path"]) if scope.get("method") == "POST" else None
        if handler is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await handler(request)
        except Exception as error:  # noqa: BLE001  # raised again when it is a crash
            response = answer_to(request, error)
        await response(scope, receive, send)


class FullPaths:
    """Lets routes name whole paths, although Serve announces the application's prefix as mounted."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward without `root_path`."""
        await self._app({**scope, "root_path": ""}, receive, send)


def open_ingest_resources(stack: ExitStack) -> IngestResources:
    """Open what the handlers need, as environment and secret files say; `stack` closes it.

    Raises:
        SettingsError: naming the variable at fault.
    """
    runtime, rotation = RuntimeSettings.from_env(), Rotation((PostgresSettings, KafkaSettings))
    pool = stack.enter_context(open_pool(PostgresSettings.from_env, size=CONNECTIONS))
    publisher = stack.enter_context(open_publisher(KafkaSettings.from_env(), polls_itself=False))
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
    stack.enter_context(renewed(rotation, renewals))
    return resources


@serve.deployment(
    name="ingest-api",
    max_ongoing_requests=256,
    max_queued_requests=512,
    graceful_shutdown_timeout_s=10,
    logging_config={"log_level": "WARNING"},  # below it are Serve's own lines, one a request
    ray_actor_options={"num_cpus": 0.1},
)
@serve.ingress()
class IngestApi:
    """The replica that hosts the application: it opens what the handlers need in its own process."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        configure_logs()
        collect_less_often()
        listen_on_loopback_only()
        self._resources = open_ingest_resources(self._stack)

    def __serve_build_asgi_app__(self) -> ASGIApp:  # Ray Serve's name for it
        return build_ingest_api(self._resources)

    def check_health(self) -> None:
        """Let Serve replace a replica whose producer has given up for good."""
        self._resources.ingesting.check()

    def __del__(self) -> None:
        self._stack.close()
