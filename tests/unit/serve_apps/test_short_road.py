"""Requests reach the application of a replica without Serve, within its places."""

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from ray.serve._private.http_util import _apply_middlewares, validate_http_proxy_callback_return
from ray.serve._private.utils import call_function_from_import_path
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_apps.http import short_road
from serve_apps.http.short_road import Places, host
from signals.ray_node.variables import image_variables

PLACES = Places(running=1, waiting=1)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(f"ours {Request(scope).url.path}")(scope, receive, send)


async def serve(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("Serve's")(scope, receive, send)


@pytest.fixture
def entrance() -> Iterator[ASGIApp]:
    """The entrance of an HTTP server of Serve's: the middlewares of the path in the settings, then Serve."""
    path = image_variables()["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"]
    ours: Any = validate_http_proxy_callback_return(call_function_from_import_path(path))
    yield _apply_middlewares(serve, ours)
    short_road._ROADS.clear()


async def get(entrance: ASGIApp, path: str, *, request_id: str = "") -> tuple[int, Headers, bytes]:
    """Ask as a server does; return status, headers and body."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"x-request-id", request_id.encode())] if request_id else []
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
    await entrance(scope, receive, send)
    headers_back = Headers(raw=sent[0]["headers"])
    return sent[0]["status"], headers_back, b"".join(part.get("body", b"") for part in sent[1:])


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/incidents", b"ours /v1/incidents"), ("/-/healthz", b"Serve's")]
)
def test_requests_reach_the_application_and_serves_own_paths_serve(
    entrance: ASGIApp, path: str, body: bytes
) -> None:
    host(application, PLACES)
    assert asyncio.run(get(entrance, path))[2] == body


def test_process_without_an_application_leaves_all_requests_to_serve(entrance: ASGIApp) -> None:
    assert asyncio.run(get(entrance, "/v1/incidents"))[2] == b"Serve's"


def test_request_id_comes_back_and_is_made_when_missing(entrance: ASGIApp) -> None:
    host(application, PLACES)
    _, given, _ = asyncio.run(get(entrance, "/", request_id="abc"))
    _, made, _ = asyncio.run(get(entrance, "/"))
    assert given.getlist("x-request-id") == ["abc"]
    (number,) = made.getlist("x-request-id")
    assert str(UUID(number)) == number


def test_one_runs_one_waits_and_a_third_is_refused(entrance: ASGIApp) -> None:
    async def run() -> None:
        may_answer, running = asyncio.Event(), list[str]()

        async def slow(scope: Scope, receive: Receive, send: Send) -> None:
            running.append(scope["path"])
            await may_answer.wait()
            await application(scope, receive, send)

        host(slow, PLACES)
        first, second = (asyncio.create_task(get(entrance, path)) for path in ("/1", "/2"))
        await asyncio.sleep(0)  # both have begun
        status, headers, _ = await get(entrance, "/3")
        assert (status, headers["retry-after"], running) == (503, "1", ["/1"])
        may_answer.set()
        assert [(await task)[0] for task in (first, second)] == [200, 200]
        assert (await get(entrance, "/4"))[0] == 200

    asyncio.run(run())
