"""An empty project makes its first key where the lines to paste are, and waits for what they send."""

from uuid import UUID

from starlette.responses import Response

from serve_apps.console.key_refusals import sentence_of
from serve_apps.console.pages import ConsolePage, Visit
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.shown_once import show_once
from serve_apps.console.views import View
from serve_apps.http.problems import Problem
from signals.domain.access.scopes import Scope
from signals.services.access import provisioning
from signals.services.access.provisioning import ProvisioningRefused
from signals.services.events.search import SearchRequest


def create_first_key(resources: ConsoleResources, visit: Visit) -> Response:
    """Create a key that sends, and lead to the overview, whose lines hold it this once.

    Raises:
        Problem: 409 when the project has as many such keys as it may have.
    """
    try:
        issued = provisioning.issue_key(
            resources.pool, visit.where.project_id, Scope.INGEST, actor=visit.who.actor
        )
    except ProvisioningRefused as error:
        raise Problem(409, "too_many_keys", sentence_of(error, visit.clock)) from error
    return show_once(visit, f"{visit.base}/", {"text": issued.text}, section="first-event")


def show_arrivals(resources: ConsoleResources, visit: Visit) -> View:
    """Say whether an event has come in the newest hours, or whether a key was used: a part of a page."""
    if key := visit.query("key"):
        has_come = provisioning.is_key_used(resources.pool, visit.where.project_id, _key_id(key))
    else:
        found = resources.event_finder.search(visit.where.tenancy, SearchRequest(limit=1))
        has_come = bool(found.events)
    return View("arrivals.html", {"has_come": has_come, "by_key": bool(key)})


def _key_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Problem(400, "invalid_query", "key: it is the id of a key.") from error


PAGES = (
    ConsolePage(
        method="POST",
        path="/console/p/{project_id}/create-first-key",
        right="administer",
        handler=create_first_key,
        active="overview",
    ),
    ConsolePage(
        method="GET",
        path="/console/p/{project_id}/arrivals",
        right="read",
        handler=show_arrivals,
        is_use=False,
    ),
)
