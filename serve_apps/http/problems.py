"""Every error answer of both APIs as problem+json.

Source: https://www.rfc-editor.org/rfc/rfc9457
"""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from signals.domain.queries.parameters import InvalidQuery
from signals.errors import DependencyUnavailable

MEDIA_TYPE: Final = "application/problem+json"
NOT_STORED: Final = {"Cache-Control": "no-store"}
"""The headers of every answer that no cache may keep: all of them are about one tenant."""
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
        headers={**NOT_STORED, **problem.headers},
        media_type=MEDIA_TYPE,
    )


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


_ANSWERS: Final[Mapping[type, Callable[[Request, Exception], Response]]] = {
    Problem: _problem,
    HTTPException: _http_error,
    InvalidQuery: _invalid_query,
    DependencyUnavailable: _dependency_unavailable,
}


def answer_to(request: Request, error: Exception) -> Response:
    """Return the problem that answers an exception of an endpoint; one of no known kind is a crash.

    A crash is logged in our way, because its text may quote a request.
    """
    kind = next((kind for kind in type(error).__mro__ if kind in _ANSWERS), None)
    return _ANSWERS[kind](request, error) if kind else _crash(request, error)
