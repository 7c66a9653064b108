"""core-api: the application, and the replica that hosts it."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from typing import Any, Final

from ray import serve
from starlette.types import ASGIApp

from actors.names import expected
from serve_apps.core.console_hosting import console_routes
from serve_apps.core.ingest_stand_in import IngestStandIn
from serve_apps.core.requests import CoreResources
from serve_apps.core.resources import open_core_resources
from serve_apps.core.routes import ENDPOINTS, documentation
from serve_apps.http.application import build_application
from serve_apps.http.authorization import Authorizer
from serve_apps.http.short_road import Places, host
from signals.garbage import collect_less_often
from signals.logs import configure_logs
from signals.periodic import repeated_in_task
from signals.ray_node.loopback import listen_on_loopback_only
from signals.serve_applications import ConsolePlacement
from signals.services.access.authentication import LAST_USED_EVERY_S
from signals.settings import ConsoleSettings, ConsumerSettings

THREADS: Final = 40  # as many as AnyIO's; its own end with each request in a replica, these stay
PLACES: Final = Places(running=100, waiting=200)


def build_core_api(resources: CoreResources, stand_in: IngestStandIn | None = None) -> ASGIApp:
    """Build the application; its document describes ingest-api as well, and no page of the console.

    `stand_in` takes requests of ingest-api.
    """
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="reading")

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        async with repeated_in_task(
            resources.authenticator.flush_last_used, every_s=LAST_USED_EVERY_S, name="last use of keys"
        ):
            yield
        if stand_in is not None:
            await stand_in.close()
        threads.shutdown()

    authorizer = Authorizer(resources.authenticator, threads)
    return build_application(
        (*ENDPOINTS, *documentation()),
        resources,
        authorizer,
        lifespan=lifespan,
        threads=threads,
        further_routes=(
            *console_routes(resources, authorizer, threads),
            *(stand_in.routes() if stand_in else ()),
        ),
    )


class OpenedReplica:
    """A replica of core-api or of the console: it opens what they need in its own process."""

    def __init__(self, console: ConsolePlacement) -> None:
        self._stack = ExitStack()
        configure_logs()
        collect_less_often()
        listen_on_loopback_only()
        self.resources = open_core_resources(self._stack, console)

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Expect as many consumers as the supervisor, which gets the same `user_config`, keeps."""
        self.resources.readiness.expect(list(expected(user_config, ConsumerSettings.from_env())))

    def __del__(self) -> None:
        self._stack.close()


@serve.deployment(
    name="core-api",
    max_ongoing_requests=PLACES.running,
    max_queued_requests=PLACES.waiting,
    user_config={},
    max_surge_percent=100,  # an upgrade in place starts the new replica before the old one leaves
    graceful_shutdown_timeout_s=10,
    health_check_period_s=1,  # how late Serve sees that a replica is dead; 10 by default
    logging_config={"log_level": "WARNING"},  # below it are Serve's own lines, one a request
    ray_actor_options={"num_cpus": 0.1},
)
@serve.ingress()
class CoreApi(OpenedReplica):
    """The replica that hosts the API; `console` of Serve's configuration wins over the environment."""

    def __init__(self, console: ConsolePlacement | None = None) -> None:
        super().__init__(console or ConsoleSettings.from_env().signals_console)
        self._stand_in = IngestStandIn()

    def __serve_build_asgi_app__(self) -> ASGIApp:  # Ray Serve's name for it
        return host(build_core_api(self.resources, self._stand_in), PLACES)

    def check_health(self) -> None:
        """Let Serve replace a replica that stands in for ingest-api with a producer that gave up for good."""
        self._stand_in.check()
