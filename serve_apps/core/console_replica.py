"""The console as an application of its own: the same pages, in replicas that serve nothing else."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from ray import serve
from starlette.types import ASGIApp

from serve_apps.console.routes import endpoints as console_pages
from serve_apps.core.replica import PLACES, THREADS, OpenedReplica
from serve_apps.core.requests import CoreResources
from serve_apps.http.application import build_application
from serve_apps.http.authorization import Authorizer
from serve_apps.http.short_road import host


def build_console(resources: CoreResources) -> ASGIApp:
    """Build the application; `resources` have those of the pages."""
    assert resources.console is not None, "they were opened for another place"
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="reading")

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        yield
        threads.shutdown()

    authorizer = Authorizer(resources.authenticator, threads)
    return build_application(
        console_pages(), resources.console, authorizer, lifespan=lifespan, threads=threads
    )


@serve.deployment(
    name="console",
    max_ongoing_requests=PLACES.running,
    max_queued_requests=PLACES.waiting,
    user_config={},
    max_surge_percent=100,  # an upgrade in place starts the new replica before the old one leaves
    graceful_shutdown_timeout_s=10,
    health_check_period_s=1,  # as core-api: how late Serve sees that a replica is dead
    logging_config={"log_level": "WARNING"},  # below it are Serve's own lines, one a request
    ray_actor_options={"num_cpus": 0.1},
)
@serve.ingress()
class ConsoleReplica(OpenedReplica):
    """The replica that hosts the pages, and nothing else."""

    def __init__(self) -> None:
        super().__init__("core")

    def __serve_build_asgi_app__(self) -> ASGIApp:  # Ray Serve's name for it
        return host(build_console(self.resources), PLACES)
