"""Sign in with a one-time link or a password, sign out, choose a project, choose a time zone."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from serve_apps.console.cookies import (
    UTC_FIRST,
    ZONE,
    clear_session,
    known_browser,
    set_known_browser,
    set_session,
    zone_of,
)
from serve_apps.console.pages import SIGN_IN, ConsolePage, Visit, own_path, project_path, see_other
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.views import View
from serve_apps.http.peers import peer_of
from serve_apps.http.problems import Problem
from signals.services.access.passwords import PasswordAttempt
from signals.services.access.signing_in import SignInRefused

REFUSALS: Final = {
    "unknown": (
        400,
        "This link was used, has expired, or is not complete. Print another: signals users link ADDRESS",
    ),
    "wrong": (400, "The address or the password is wrong. Without a password, sign in with a link."),
    "too_many": (429, "Too many attempts failed. Wait a few minutes, or use a link that is valid."),
    "busy": (429, "Other people are signing in at this moment. Try again in a second."),
}
RETRY_AFTER_S: Final = {"too_many": "90", "busy": "1"}  # a token of the bucket comes back each 90 s
MAX_ZONE: Final = 70


def sign_in_page(resources: ConsoleResources, visit: Visit) -> View:
    """Offer every way to sign in; a script fills in the link that was clicked, and sends it."""
    return View("sign_in.html", _ways(resources) | {"next": visit.query("next"), "email": "", "refusal": ""})


def _ways(resources: ConsoleResources) -> dict[str, Any]:
    """Return which ways to sign in this installation has beside links."""
    return {
        "provider": resources.provider.name if resources.provider else "",
        "has_passwords": resources.has_passwords,
    }


def sign_in(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Use the link up and go where the reader wanted to."""
    outcome = resources.signing_in.sign_in(
        visit.form.get("link", ""),
        address=peer_of(visit.request, resources.proxies),
        browser=browser_of(visit),
    )
    if isinstance(outcome, SignInRefused):
        return _refused(resources, visit, outcome)
    response = see_other(own_path(visit.form.get("next", "")))
    set_session(visit.request, response, outcome)
    return response


def sign_in_by_password(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Compare address and password, and go where the reader wanted to."""
    attempt = PasswordAttempt(
        email=visit.form.get("email", ""),
        password=visit.form.get("password", ""),
        address=peer_of(visit.request, resources.proxies),
        browser=browser_of(visit),
        known=known_browser(visit.request),
    )
    if not resources.has_passwords:
        raise Problem(404, "no_passwords", "There are no passwords here; use a link or the provider.")
    outcome = resources.passwords.sign_in(attempt)
    if isinstance(outcome, SignInRefused):
        return _refused(resources, visit, outcome)
    response = see_other(own_path(visit.form.get("next", "")))
    set_session(visit.request, response, outcome.session)
    set_known_browser(visit.request, response, outcome.known)
    return response


def _refused(resources: ConsoleResources, visit: Visit, outcome: SignInRefused) -> View:
    status, text = REFUSALS[outcome.reason]
    wait = RETRY_AFTER_S.get(outcome.reason)
    return refused_view(resources, visit, status, text, headers={"Retry-After": wait} if wait else {})


def refused_view(
    resources: ConsoleResources,
    visit: Visit,
    status: int,
    text: str,
    *,
    headers: Mapping[str, str] | None = None,
) -> View:
    """Return the page again, with the reason of the refusal."""
    values = {"next": visit.form.get("next", ""), "email": visit.form.get("email", ""), "refusal": text}
    return View("sign_in.html", _ways(resources) | values, status, headers or {})


def browser_of(visit: Visit) -> str:
    """Return what tells the owner of a session which one it is."""
    return visit.request.headers.get("user-agent", "")


def sign_out(resources: ConsoleResources, visit: Visit) -> Response:
    """End this session."""
    resources.signing_in.sign_out(visit.who)
    response = see_other(SIGN_IN)
    clear_session(visit.request, response)
    return response


def end_session(resources: ConsoleResources, visit: Visit) -> Response:
    """End another session of the same person.

    Raises:
        Problem: 404 when they have no such session.
    """
    wanted = visit.form.get("session", "")
    mine = next(
        (one for one in resources.signing_in.browsers(visit.who) if str(one.session_id) == wanted), None
    )
    if mine is None:
        raise Problem(404, "no_such_session", "This session has ended already.")
    resources.signing_in.sign_out(visit.who, mine.session_id)
    return see_other(own_path(visit.form.get("next", "")))


def start(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Go to the person's first project."""
    if visit.who.projects:
        return see_other(project_path(visit.who.projects[0].project_id) + "/")
    return View("no_project.html")


def switch_zone(_: ConsoleResources, visit: Visit) -> Response:
    """Show times in UTC, or in the browser's zone again."""
    zone, other = zone_of(visit.request)
    response = see_other(own_path(visit.form.get("next", "")))
    chosen = other if other is not None else UTC_FIRST + zone.key
    response.set_cookie(ZONE, chosen[:MAX_ZONE], max_age=31_536_000, samesite="lax", path="/")
    return response


PAGES: Final = (
    ConsolePage(method="GET", path=SIGN_IN, right="anyone", handler=sign_in_page),
    ConsolePage(method="POST", path=SIGN_IN, right="anyone", handler=sign_in),
    ConsolePage(method="POST", path=f"{SIGN_IN}/password", right="anyone", handler=sign_in_by_password),
    ConsolePage(method="POST", path="/console/sign-out", right="member", handler=sign_out),
    ConsolePage(method="POST", path="/console/zone", right="member", handler=switch_zone),
    ConsolePage(method="POST", path="/console/end-session", right="member", handler=end_session),
    ConsolePage(method="GET", path="/console/", right="member", handler=start),
)
