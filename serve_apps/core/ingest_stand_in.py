"""ingest-api in a process of core-api, for the seconds in which no replica of its own answers.

HAProxy leads requests here then (`signals/ray_node/haproxy.py`). A new replica has to import its modules
first, which takes many seconds on a busy machine; core-api has them, because its document describes
ingest-api. So standing in costs nothing until the first request, which connects to Kafka and PostgreSQL.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from typing import Final

import structlog
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from serve_apps.http.problems import answer_to
from serve_apps.ingest.intake import IngestResources
from serve_apps.ingest.replica import build_ingest_api, open_ingest_resources

PATHS: Final = ("/v1/events", "/v1/events/{rest:path}")
"""What HAProxy leads to ingest-api (serve_apps/config.yaml)."""
log = structlog.get_logger(__name__)


class IngestStandIn:
    """Opens ingest-api with the first request; it stays open until `close`."""

    def __init__(
        self, open_resources: Callable[[ExitStack], IngestResources] = open_ingest_resources
    ) -> None:
        self._open_resources = open_resources
        self._stack = AsyncExitStack()
        self._opening: asyncio.Task[ASGIApp] | None = None
        self._resources: IngestResources | None = None

    def routes(self) -> list[Route]:
        """Return the routes that lead here."""
        return [Route(path, self) for path in PATHS]

    def check(self) -> None:
        """Raise when its producer has given up for good."""
        if self._resources is not None:
            self._resources.ingestion.check()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request as ingest-api does."""
        scope["path_params"] = {}  # of our route
        try:
            application = await self._opened()
        except Exception as error:  # noqa: BLE001  # the next request tries again
            await answer_to(Request(scope), error)(scope, receive, send)
        else:
            await application(scope, receive, send)

    async def close(self) -> None:
        """Close what was opened; counts that were not written yet are."""
        await self._stack.aclose()

    async def _opened(self) -> ASGIApp:
        """Return the application, opened once for all requests that wait for it."""
        if self._opening is None or (self._opening.done() and self._opening.exception()):
            self._opening = asyncio.create_task(self._open())
        return await asyncio.shield(self._opening)

    async def _open(self) -> ASGIApp:
        log.warning("core-api takes events", reason="no replica of ingest-api answers")
        async with AsyncExitStack() as stack:
            opened = stack.enter_context(ExitStack())
            resources = await asyncio.to_thread(self._open_resources, opened)
            application = build_ingest_api(resources)
            await stack.enter_async_context(application.running())
            self._resources = resources
            self._stack = stack.pop_all()
        return application
