"""Sign in at the installation's OpenID Connect provider: the way there, and the way back."""

import hmac
from typing import Final
from urllib.parse import quote, unquote

from starlette.responses import RedirectResponse, Response

from serve_apps.console.cookies import address, flow_of, set_flow, set_session, spent_flow
from serve_apps.console.pages import SIGN_IN, ConsolePage, Visit, own_path
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.sign_in import browser_of, refused_view
from serve_apps.console.views import View
from serve_apps.http.problems import NOT_STORED, Problem
from signals.clients.openid import ProviderFlow, ProviderRefused
from signals.services.access.provider_sign_in import ProviderSignIn, ProviderSignInRefused

START: Final = f"{SIGN_IN}/provider"
CALLBACK: Final = f"{START}/callback"
MAX_ANSWER: Final = 2048  # characters of a code; guess: a signed token as a code has some 1,000
MAX_NEXT: Final = 512  # characters of an address that a cookie keeps


def _provider(resources: ConsoleResources) -> ProviderSignIn:
    if resources.provider is None:
        raise Problem(404, "no_provider", "This console has no sign-in provider; sign in with a link.")
    return resources.provider


def start_sign_in(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Send the browser to the provider."""
    try:
        where, flow = _provider(resources).start(address(visit.request) + CALLBACK)
    except ProviderRefused as error:
        return refused_view(resources, visit, 503, f"Signing in there does not work: {error}.")
    response = RedirectResponse(where, status_code=303, headers=NOT_STORED)
    onward = own_path(visit.query("next"))
    kept = onward if len(onward) <= MAX_NEXT else own_path("")
    set_flow(
        visit.request, response, ":".join([flow.state, flow.nonce, flow.verifier, quote(kept, safe="/")])
    )
    return response


def finish_sign_in(resources: ConsoleResources, visit: Visit) -> Response | View:
    """Take the provider's answer, and go where the reader wanted to.

    The cookie proves that this browser began: the answer to another person's browser opens nothing.
    """
    provider, request = _provider(resources), visit.request
    state, nonce, verifier, onward = (*flow_of(request).split(":"), "", "", "", "")[:4]
    code, given = request.query_params.get("code", ""), request.query_params.get("state", "")
    if not state or not hmac.compare_digest(state.encode(), given.encode("utf-8", "replace")):
        return _refused(resources, visit, "This answer is not of a sign-in that began here, or is too old.")
    if request.query_params.get("error"):
        return _refused(resources, visit, "The provider did not sign you in.")
    if not 0 < len(code) <= MAX_ANSWER:
        return _refused(resources, visit, "The provider sent no code.")
    flow = ProviderFlow(state=state, nonce=nonce, verifier=verifier)
    try:
        outcome = provider.finish(
            code,
            flow,
            issuer=request.query_params.get("iss"),
            callback=address(request) + CALLBACK,
            browser=browser_of(visit),
        )
    except ProviderRefused as error:
        return _refused(resources, visit, f"You are not signed in: {error}.")
    if isinstance(outcome, ProviderSignInRefused):
        return _refused(resources, visit, outcome.reason, 403)
    response = RedirectResponse(own_path(unquote(onward)), status_code=303, headers=NOT_STORED)
    set_session(request, response, outcome)
    spent_flow(request, response)
    return response


def _refused(resources: ConsoleResources, visit: Visit, text: str, status: int = 400) -> View:
    """Show why, and how to begin anew; what the browser kept is spent."""
    view, spent = refused_view(resources, visit, status, text), Response()
    spent_flow(visit.request, spent)
    return View(view.template, view.values, view.status, {"Set-Cookie": spent.headers["set-cookie"]})


PAGES: Final = (
    ConsolePage(method="GET", path=START, right="anyone", handler=start_sign_in),
    ConsolePage(method="GET", path=CALLBACK, right="anyone", handler=finish_sign_in),
)
