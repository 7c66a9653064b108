"""The account of the person who is signed in: password, personal tokens, and where they are signed in."""

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from serve_apps.console.cookies import address, clear_session, set_session
from serve_apps.console.pages import SIGN_IN, ConsolePage, Visit, see_other
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.shown_once import show_once, shown_once
from serve_apps.console.sign_in import browser_of
from serve_apps.console.views import View
from serve_apps.http.problems import Problem
from signals.domain.access.passwords import MAX_PASSWORD, MIN_PASSWORD
from signals.services.access.hashing import HashingBusy
from signals.services.access.person_tokens import DEFAULT_DAYS
from signals.services.access.provisioning import ProvisioningRefused

ACCOUNT: Final = "/console/account"
DAYS: Final = (7, 30, DEFAULT_DAYS, 365)
"""For how long a token can be valid, as the page offers it."""


def show_account(resources: ConsoleResources, visit: Visit) -> View:
    """Show what belongs to the person alone, and a token that was just made, this once."""
    return shown_once(visit, ACCOUNT, lambda once: _view(resources, visit, issued=once or None))


def _view(resources: ConsoleResources, visit: Visit, **shown: Any) -> View:
    """Render the page; `shown` holds an issued token or a refusal."""
    values: dict[str, Any] = {
        "has_passwords": resources.has_passwords,
        "password": resources.passwords.state(visit.who.session_id),
        "shortest": MIN_PASSWORD,
        "longest": MAX_PASSWORD,
        "tokens": resources.person_tokens.of(visit.who.user_id),
        "days": DAYS,
        "default_days": DEFAULT_DAYS,
        "sessions": resources.signing_in.browsers(visit.who),
        "own_address": address(visit.request),
        "issued": None,
        "refusal": "",
        "refused_in": "",
    }
    return View("account.html", values | shown, 422 if shown.get("refusal") else 200)


def _refused(resources: ConsoleResources, visit: Visit, section: str, text: str) -> View:
    return _view(resources, visit, refusal=f"{text[:1].upper()}{text[1:]}.", refused_in=section)


def set_password(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Set the person's password; every other session of theirs ends."""
    if not resources.has_passwords:
        raise Problem(404, "no_passwords", "There are no passwords here; use a link or the provider.")
    new = visit.form.get("new", "")
    if new != visit.form.get("again", ""):
        return _refused(resources, visit, "password", "the two new passwords differ")
    try:
        token = resources.passwords.change(
            visit.who.session_id,
            current=visit.form.get("current", ""),
            new=new,
            browser=browser_of(visit),
        )
    except ProvisioningRefused as error:
        return _refused(resources, visit, "password", str(error))
    except HashingBusy:
        return _refused(resources, visit, "password", "other people are signing in: try again in a second")
    response = see_other(f"{ACCOUNT}#password")
    set_session(visit.request, response, token)
    return response


def create_token(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Create a token for one of the person's projects, and lead to the page that shows it, this once."""
    days = visit.form.get("days", "")
    if not (days.isascii() and days.isdigit() and len(days) < 5):
        raise Problem(422, "invalid_days", "The days are a whole number.")
    try:
        issued = resources.person_tokens.issue(
            visit.who.user_id,
            visit.form.get("project", ""),
            name=visit.form.get("name", ""),
            days=int(days),
            actor=visit.who.actor,
        )
    except ProvisioningRefused as error:
        return _refused(resources, visit, "tokens", str(error))
    shown = {"name": issued.name, "project_id": issued.project_id, "text": issued.text}
    return show_once(visit, ACCOUNT, shown)


def revoke_token(resources: ConsoleResources, visit: Visit) -> Response:
    """End a token of the person.

    Raises:
        Problem: 404 when they have no such one.
    """
    try:
        token_id = UUID(visit.form.get("token", ""))
    except ValueError:
        token_id = UUID(int=0)
    revoked = resources.person_tokens.revoke(token_id, user_id=visit.who.user_id, actor=visit.who.actor)
    if not revoked:
        raise Problem(404, "no_such_token", "You have no token with this id; it may have been revoked.")
    return see_other(f"{ACCOUNT}#tokens")


def end_all_sessions(resources: ConsoleResources, visit: Visit) -> Response:
    """Sign the person out everywhere, here too."""
    resources.signing_in.sign_out_everywhere(visit.who)
    response = see_other(SIGN_IN)
    clear_session(visit.request, response)
    return response


def _change(name: str, handler: Callable[[ConsoleResources, Visit], View | Response]) -> ConsolePage:
    return ConsolePage(method="POST", path=f"{ACCOUNT}/{name}", right="member", handler=handler)


PAGES: Final = (
    ConsolePage(method="GET", path=ACCOUNT, right="member", handler=show_account),
    _change("set-password", set_password),
    _change("create-token", create_token),
    _change("revoke-token", revoke_token),
    _change("end-all-sessions", end_all_sessions),
)
