"""Every error answer of both APIs as problem+json.

Source: https://www.rfc-editor.org/rfc/rfc9457
"""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from signals.domain.queries.parameters import InvalidQuery
from signals.errors import DependencyUnavailable

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 2  # guess: a lost connection is usually back by then

log = structlog.get_logger(__name__)


class Problem(Exception):  # noqa: N818  # RFC 9457's own word
    """An answer other than success; raise it and it becomes the response.

    `code` is a stable word for programs, `detail` one sentence that says what to do; `members` are
    further JSON members of the body.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        title: str | None = None,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.title = title or HTTPStatus(status).phrase
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = dict(members or {})


def unavailable(detail: str, *, retry_after_s: int = RETRY_AFTER_S) -> Problem:
    """Return the 503 that asks the client to come back in `retry_after_s` seconds."""
    return Problem(503, "unavailable", detail, headers={"Retry-After": str(retry_after_s)})


def problem_response(problem: Problem) -> Response:
    """Write a problem as an HTTP response."""
    body = {
        "type": f"urn:signals:problem:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        **problem.members,
    }
    # ASCII with escapes: what a client sent may hold lone surrogates, which UTF-8 cannot carry.
    return Response(
        json.dumps(body, ensure_ascii=True).encode("ascii"),
        status_code=problem.status,
        headers=problem.headers,
        media_type=MEDIA_TYPE,
    )


def answer_with_problems(app: FastAPI) -> None:
    """Make every error of `app` a problem: ours, the framework's, lost dependencies, and crashes."""
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    app.add_middleware(CrashesEndHere)  # a handler of Exception would hand them on to the server's own log


def answer_to(request: Request, error: Exception) -> Response:
    """Return the answer to an error of a handler that no framework has called.

    Raises:
        Exception: the error itself when it is a crash, which is for `CrashesEndHere`.
    """
    handler = next((answer for kind, answer in _HANDLERS.items() if isinstance(error, kind)), None)
    if handler is None:
        raise error
    return handler(request, error)


class CrashesEndHere:
    """Answers a crash and logs it in our way: its text may quote a request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward, and answer 500 where the application fails to."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if scope["type"] != "http":
                raise
            crash = _crash(Request(scope), error)
            if started:
                raise RuntimeError("the answer broke off") from None  # the server closes the connection
            await crash(scope, receive, send)


def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(error)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = HTTPStatus(error.status_code).name.lower()
    detail = {
        404: f"There is nothing at {request.url.path}; see /openapi.json.",
        405: f"{request.method} is not possible here; see the Allow header.",
    }.get(error.status_code, str(error.detail))
    return problem_response(Problem(error.status_code, code, detail, headers=error.headers))


def _invalid_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [
        {"field": ".".join(str(part) for part in fault["loc"][1:]), "message": fault["msg"]}
        for fault in error.errors()
    ]
    first = faults[0]
    detail = f"{first['field'] or 'The body'}: {first['message']}."
    return problem_response(Problem(400, "invalid_request", detail, members={"errors": faults}))


def _invalid_query(_: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidQuery)
    members = {"parameter": error.parameter}
    return problem_response(Problem(400, "invalid_query", f"{error}.", members=members))


def _dependency_unavailable(request: Request, error: Exception) -> Response:
    assert isinstance(error, DependencyUnavailable)
    log.warning("dependency unavailable", dependency=error.dependency, path=request.url.path)
    return problem_response(unavailable(f"{error.dependency} does not answer at the moment; try again."))


def _crash(request: Request, error: Exception) -> Response:
    log.error("request crashed", path=request.url.path, error=type(error).__name__, exc_info=error)
    return problem_response(Problem(500, "internal", "This is our fault; it has been logged."))


_HANDLERS: Final[Mapping[type[Exception], Callable[[Request, Exception], Response]]] = {
    Problem: _problem,
    HTTPException: _http_error,
    RequestValidationError: _invalid_request,
    InvalidQuery: _invalid_query,
    DependencyUnavailable: _dependency_unavailable,
}
