"""Builds an application out of its table of endpoints: the one road that every request takes."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route, Router
from starlette.types import Message, Receive, Scope, Send

from serve_apps.http.authorization import Authorizer
from serve_apps.http.endpoint import Answering, Endpoint
from serve_apps.http.problems import answer_to

Resources = TypeVar("Resources")
Lifespan = Callable[[object], AbstractAsyncContextManager[None]]


def build_application(
    endpoints: Iterable[Endpoint[Resources]],
    resources: Resources,
    authorizer: Authorizer,
    *,
    lifespan: Lifespan,
    threads: Executor | None = None,
    first_routes: Iterable[Route] = (),
    further_routes: Iterable[Route] = (),
) -> "Application":
    """Build the application; the first paths of the table are found soonest. Every GET answers HEAD too."""
    routes = [*first_routes, *routes_of(endpoints, resources, authorizer, threads=threads), *further_routes]
    return Application(Router(routes, redirect_slashes=False, lifespan=lifespan))


def routes_of(
    endpoints: Iterable[Endpoint[Resources]],
    resources: Resources,
    authorizer: Authorizer,
    *,
    threads: Executor | None = None,
) -> list[Route]:
    """Return one route a path; its rows may stand anywhere in the table."""
    by_path: defaultdict[str, dict[str, Answering]] = defaultdict(dict)
    for one in endpoints:
        by_path[one.path][one.method] = one.bind(resources, authorizer, threads)
    return [Route(path, PathAnswers(methods), methods=list(methods)) for path, methods in by_path.items()]


class PathAnswers:
    """The methods of one path, so that a 405 lists them all.

    A class, because Starlette serves one directly; around a function it puts handlers of exceptions, which
    are here already.
    """

    def __init__(self, methods: Mapping[str, Answering]) -> None:
        self._methods = {"HEAD": methods["GET"], **methods} if "GET" in methods else methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: an exception of its endpoint becomes a problem."""
        request = Request(scope, receive)
        try:
            response = await self._methods[request.method](request)
        except Exception as error:  # noqa: BLE001  # every crash ends here
            response = answer_to(request, error)
        try:
            await response(scope, receive, send)
        except Exception as error:  # noqa: BLE001  # only its kind may be logged
            answer_to(request, error)
            raise RuntimeError("the answer broke off") from None  # the server closes the connection


class Application:
    """Starlette's router, with problems for its errors, HEAD without a body, and without Serve's prefix.

    Starlette's own application would add two layers that do the same for its plain-text errors; measured,
    they cost a tenth of a read. Serve announces an application's prefix as mounted, while the tables name
    whole paths.
    """

    def __init__(self, router: Router) -> None:
        self._router = router

    def running(self) -> AbstractAsyncContextManager[object]:
        """Run its periodic duties inside the block, where no server runs its lifespan."""
        return self._router.lifespan_context(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run the lifespan."""
        scope["app"] = self  # lets the router raise its 404 and 405, which it answers itself without
        if scope["type"] == "http":
            scope["root_path"] = ""
            if scope["method"] == "HEAD":
                send = _without_body(send)
        try:
            await self._router(scope, receive, send)
        except HTTPException as error:
            await answer_to(Request(scope), error)(scope, receive, send)


def _without_body(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head
