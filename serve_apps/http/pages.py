"""Requests that come from web pages: which page may use which key, and which answers it may read.

Source: https://fetch.spec.whatwg.org/#http-cors-protocol.
"""

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from serve_apps.http.problems import Problem
from signals.domain.access.origins import is_allowed
from signals.domain.access.principal import Principal
from signals.domain.access.scopes import Right

PREFLIGHT_S: Final = 3600  # how long a browser need not ask again; Chromium keeps two hours at most
USUAL_HEADERS: Final = "content-type, content-encoding, authorization, x-sentry-auth"
READABLE_HEADERS: Final = "X-Sentry-Error, X-Sentry-Rate-Limits, Retry-After"


def check_page(request: Request, sender: Principal) -> None:
    """Accept a request of no page, or of one that the key is for.

    Raises:
        Problem: 403 when a secret key stands in a page, or the key is for other pages.
    """
    origin = request.headers.get("origin")
    if origin is None:
        return
    if Right.SEND_FROM_PAGES not in sender.rights:
        raise Problem(
            403,
            "secret_key_in_page",
            "A key of scope ingest must not stand in a web page, and this request comes from one: use a key "
            "of scope public (`signals keys create --scope public`), and rotate this one.",
        )
    if not is_allowed(origin, sender.origins):
        request.state.is_foreign_page = True
        raise Problem(
            403,
            "origin_not_allowed",
            "This key is not for this page; add its origin with `signals keys pages KEY_ID --origin …`.",
        )


def cors(request: Request) -> Mapping[str, str]:
    """Return the headers that let a page read the answer, none for a page that its key is not for."""
    origin = request.headers.get("origin")
    if origin is None or getattr(request.state, "is_foreign_page", False):
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": READABLE_HEADERS,
        "Vary": "Origin",
    }


def preflight(request: Request) -> Response:
    """Answer a browser that asks before it posts. It sends no key, so the request itself is checked later."""
    asked = request.headers.get("access-control-request-headers", "")
    headers = {
        "Access-Control-Allow-Methods": "POST, OPTIONS",
        "Access-Control-Allow-Headers": asked or USUAL_HEADERS,
        "Access-Control-Max-Age": str(PREFLIGHT_S),
        **cors(request),
        "Vary": "Origin, Access-Control-Request-Headers",
    }
    return Response(status_code=204, headers=headers)
