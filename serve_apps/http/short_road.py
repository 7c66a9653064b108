"""Leads requests from a replica's HTTP server straight to its application, past Serve's bookkeeping.

Serve keeps identifiers, a context, counts and metrics of each request in Python, which cost more than most
answers. It has a place in front of that: `RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH` names a function that
returns middlewares, and every HTTP server of Serve's gets them. In a replica that hosts an application of
ours requests turn off there. Serve's own paths, such as its health checks, go on to Serve, and so does all
in its proxies. Two things that Serve did are done here: places to run and to wait, and the request's id.
"""

import asyncio
import uuid
from dataclasses import dataclass
from typing import Final

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_apps.http.problems import problem_response, unavailable

SERVE_PATHS: Final = "/-/"
ID_HEADER: Final = b"x-request-id"
_BUSY: Final = unavailable("Too many requests are under way; try again.", retry_after_s=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """How many requests of a replica run at once, and how many more may wait; the others are refused."""

    running: int
    waiting: int


class ShortRoad:
    """The way from the HTTP server to one application."""

    def __init__(self, application: ASGIApp, places: Places) -> None:
        self._application = application
        self._running = asyncio.Semaphore(places.running)
        self._most_waiting = places.waiting
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request now, or after its turn; refuse it when too many wait."""
        send = _with_id(scope, send)
        if self._running.locked() and self._waiting >= self._most_waiting:
            await problem_response(_BUSY)(scope, receive, send)
            return
        self._waiting += 1
        try:
            await self._running.acquire()
        finally:
            self._waiting -= 1
        try:
            await self._application(scope, receive, send)
        finally:
            self._running.release()


class _Turning:
    """The middleware: requests turn off to the application that this process hosts, if it hosts one."""

    def __init__(self, serve: ASGIApp) -> None:
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        road = _ROADS[0] if _ROADS else None
        if road is None or scope["type"] != "http" or scope["path"].startswith(SERVE_PATHS):
            await self._serve(scope, receive, send)
        else:
            await road(scope, receive, send)


_ROADS: Final[list[ShortRoad]] = []
"""The road of this process, once its replica has built its application."""


def host(application: ASGIApp, places: Places) -> ASGIApp:
    """Lead the requests of this process to the application from now on; return it, for Serve."""
    _ROADS[:] = [ShortRoad(application, places)]
    return application


def middlewares() -> list[Middleware]:
    """Return what Serve puts in front of its HTTP servers; it calls this by name."""
    return [Middleware(_Turning)]


def _with_id(scope: Scope, send: Send) -> Send:
    """Send the request's id back, the client's own or a new one, as Serve does."""
    given = next((value for name, value in scope["headers"] if name == ID_HEADER), None)
    request_id = given or str(uuid.uuid4()).encode("ascii")

    async def send_with_id(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (ID_HEADER, request_id)]
        await send(message)

    return send_with_id
