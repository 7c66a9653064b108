"""Cookies of the console, and the proof that a change was asked for by one of its own pages."""

from typing import Final, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.requests import Request
from starlette.responses import Response

from signals.domain.access.passwords import BROWSER_KNOWN_FOR
from signals.domain.access.people import SESSION_LONGEST
from signals.domain.access.provider_identity import FLOW_LASTS_S
from signals.settings import LOOPBACK_HOSTS

SECURE_NAME: Final = "__Host-signals"
LOOPBACK_NAME: Final = "signals"
"""On http://127.0.0.1 there is no TLS, and Safari keeps no cookie with the prefix there."""
KNOWN_NAME: Final = "signals-browser"
"""Marks a browser in which a person signed in by password; it outlives the session, and opens nothing."""
FLOW_NAME: Final = "signals-flow"
ZONE: Final = "signals-zone"
UTC_FIRST: Final = "UTC:"
"""Stands before the browser's own zone when the reader wants UTC."""

Origin = Literal["own", "foreign", "unprotected"]


def is_loopback(request: Request) -> bool:
    """Tell whether the browser speaks with its own machine."""
    return (request.url.hostname or "") in LOOPBACK_HOSTS


def address(request: Request) -> str:
    """Return the beginning of links to this installation; the proxy before it hides that TLS is in use."""
    return f"{'http' if is_loopback(request) else 'https'}://{request.url.netloc}"


def session_token(request: Request) -> str | None:
    """Return the token of the session that the request carries, None when it carries none."""
    return request.cookies.get(LOOPBACK_NAME if is_loopback(request) else SECURE_NAME)


def set_session(request: Request, response: Response, token: str) -> None:
    """Keep the session in the browser, readable by no script and sent by no other site."""
    local = is_loopback(request)
    response.set_cookie(
        LOOPBACK_NAME if local else SECURE_NAME,
        token,
        max_age=int(SESSION_LONGEST.total_seconds()),
        httponly=True,
        secure=not local,
        samesite="lax",
    )


def clear_session(request: Request, response: Response) -> None:
    """Let the browser forget the session."""
    local = is_loopback(request)
    response.delete_cookie(
        LOOPBACK_NAME if local else SECURE_NAME, httponly=True, secure=not local, samesite="lax"
    )


def set_flow(request: Request, response: Response, flow: str) -> None:
    """Let the browser keep the secrets of a sign-in at the provider until it comes back from there."""
    response.set_cookie(
        _prefixed(request, FLOW_NAME),
        flow,
        max_age=FLOW_LASTS_S,
        httponly=True,
        secure=not is_loopback(request),
        samesite="lax",
    )


def spent_flow(request: Request, response: Response) -> None:
    """Let the browser forget them: a second answer of the provider finds none."""
    response.delete_cookie(
        _prefixed(request, FLOW_NAME), httponly=True, secure=not is_loopback(request), samesite="lax"
    )


def flow_of(request: Request) -> str:
    """Return what the browser kept of a sign-in at the provider, empty without any."""
    return request.cookies.get(_prefixed(request, FLOW_NAME), "")


def known_browser(request: Request) -> str | None:
    """Return what the browser kept of an earlier sign-in by password."""
    return request.cookies.get(_prefixed(request, KNOWN_NAME))


def set_known_browser(request: Request, response: Response, token: str) -> None:
    """Let the browser keep that a person signed in with it."""
    response.set_cookie(
        _prefixed(request, KNOWN_NAME),
        token,
        max_age=int(BROWSER_KNOWN_FOR.total_seconds()),
        httponly=True,
        secure=not is_loopback(request),
        samesite="lax",
    )


def _prefixed(request: Request, name: str) -> str:
    return name if is_loopback(request) else f"__Host-{name}"


def origin_of(request: Request) -> Origin:
    """Judge where a request that changes something comes from.

    Browsers say so in Sec-Fetch-Site; older ones, and those on plain http, in Origin. `unprotected`: it comes
    from a page of ours that travelled without TLS, where anybody in between can read the cookie.
    Source: https://www.w3.org/TR/fetch-metadata/
    """
    origin = request.headers.get("origin", "")
    site = request.headers.get("sec-fetch-site")
    same_host = urlsplit(origin).netloc == request.headers.get("host", "") != ""
    if site is not None and site != "same-origin":
        return "foreign"
    if site is None and not same_host:
        return "foreign"
    if origin.startswith("http://") and not is_loopback(request):
        return "unprotected"
    return "own"


def zone_of(request: Request) -> tuple[ZoneInfo, str | None]:
    """Return the time zone of the page, and the browser's own where another one is shown."""
    chosen = request.cookies.get(ZONE, "")
    other = chosen.removeprefix(UTC_FIRST) if chosen.startswith(UTC_FIRST) else None
    if other is not None:
        return ZoneInfo("UTC"), other if _zone(other) else None
    return _zone(chosen) or ZoneInfo("UTC"), None


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name and len(name) <= 64 else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
