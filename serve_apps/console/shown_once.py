"""Shows a new secret once: a change sends it sealed to the page that it leads to, which uses it up.

Loading that page again repeats no change and shows no secret. The browser carries the secret in a cookie that
scripts cannot read, that goes to this page alone, and that lasts a minute. Its seal is made from the session:
no other reader can open or forge it, the server stores nothing, and replicas need no common key.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from serve_apps.console.cookies import is_loopback, session_token
from serve_apps.console.pages import LIVE_HEADER, Visit, see_other
from serve_apps.console.views import View
from signals.clients.sealing import open_for, seal_for

LASTS_S: Final = 60  # seconds; guess: a redirect on a slow line


def show_once(visit: Visit, page: str, secret: Mapping[str, Any], *, section: str = "") -> Response:
    """Lead to a page, a path of the console, that shows `secret` (plain JSON values) this once."""
    response = see_other(page + (f"#{section}" if section else ""))
    sealed = seal_for(_holder(visit), {"page": page, "secret": dict(secret)})
    response.set_cookie(
        _name(visit, page),
        sealed,
        max_age=LASTS_S,
        path=page,
        httponly=True,
        secure=not is_loopback(visit.request),
        samesite="lax",
    )
    return response


def shown_once(visit: Visit, page: str, show: Callable[[Mapping[str, Any]], View]) -> View:
    """Render a page with the secret that was sent to it, empty without any, and let the browser forget it."""
    name = _name(visit, page)
    sealed = visit.request.cookies.get(name)
    if (
        sealed is None or LIVE_HEADER in visit.request.headers
    ):  # a window that reads itself must not use it up
        return show({})
    opened = open_for(_holder(visit), sealed, lasts_s=LASTS_S) or {}
    view = show(opened["secret"] if opened.get("page") == page else {})
    forgotten = Response()
    forgotten.delete_cookie(
        name, path=page, httponly=True, secure=not is_loopback(visit.request), samesite="lax"
    )
    return replace(view, headers={**view.headers, "Set-Cookie": forgotten.headers["set-cookie"]})


def _holder(visit: Visit) -> str:
    token = session_token(visit.request)
    assert token is not None, "the page is open to anyone"
    return token


def _name(visit: Visit, page: str) -> str:
    """Return the cookie's name: of this page, since a cookie for one path goes to those below it, too."""
    last = page.rstrip("/").rpartition("/")[2]
    prefix = "" if is_loopback(visit.request) else "__Secure-"
    return f"{prefix}signals-shown-{last}"
