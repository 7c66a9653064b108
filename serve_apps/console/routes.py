"""The table of the console's pages."""

from typing import Final

from starlette.responses import RedirectResponse, Response

from serve_apps.console import (
    account,
    ai_jobs,
    dead_letters,
    deploys,
    event,
    export,
    first_event,
    incident_list,
    incidents,
    live,
    maintenance,
    notifications,
    outage_cares,
    outage_grouping,
    outage_list,
    outages,
    overview,
    pipeline,
    provider,
    rule_editor,
    rules,
    saved_views,
    search,
    send,
    settings,
    sign_in,
    summary_talk,
)
from serve_apps.console.pages import ConsolePage, Visit
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.views import View
from serve_apps.http.endpoint import Endpoint


def asset(resources: ConsoleResources, visit: Visit) -> Response:
    """Return a style sheet, a script or an icon."""
    return resources.renderer.assets.answer(visit.request, visit.request.path_params["name"])


def nothing_here(_: ConsoleResources, __: Visit) -> View:
    """Answer an address that no page has."""
    return View("error.html", {"title": "Not Found", "detail": "There is no such page."}, 404)


def to_start(_: ConsoleResources, __: Visit) -> Response:
    """Add the slash that relative addresses need."""
    return RedirectResponse("/console/", status_code=308)


def to_overview(_: ConsoleResources, visit: Visit) -> Response:
    """Add the slash to a project's address."""
    return RedirectResponse(f"{visit.base}/", status_code=308)


PAGES: Final[tuple[ConsolePage, ...]] = (
    *outage_list.PAGES,
    *outages.PAGES,
    *outage_cares.PAGES,
    *outage_grouping.PAGES,
    *incident_list.PAGES,
    *incidents.PAGES,
    *summary_talk.PAGES,
    *overview.PAGES,
    *first_event.PAGES,
    *search.PAGES,
    *event.PAGES,
    *export.PAGES,
    *deploys.PAGES,
    *rules.PAGES,
    *rule_editor.PAGES,
    *pipeline.PAGES,
    *dead_letters.PAGES,
    *ai_jobs.PAGES,
    *send.PAGES,
    *settings.PAGES,
    *notifications.PAGES,
    *maintenance.PAGES,
    *sign_in.PAGES,
    *account.PAGES,
    *provider.PAGES,
    *live.PAGES,
    *saved_views.PAGES,
    ConsolePage(method="GET", path="/console/p/{project_id}", right="read", handler=to_overview),
    ConsolePage(method="GET", path="/console/static/{name}", right="anyone", handler=asset),
    ConsolePage(method="GET", path="/console", right="anyone", handler=to_start),
    ConsolePage(
        method="GET", path="/console/{rest:path}", right="anyone", handler=nothing_here, knows_people=True
    ),
)


def endpoints() -> tuple[Endpoint[ConsoleResources], ...]:
    """Return the rows of an application's table that are pages."""
    return tuple(page.endpoint() for page in PAGES)
