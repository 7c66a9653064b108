"""Saved views: a person's own names for addresses of the lists and of search."""

from collections.abc import Mapping
from typing import Any, Final, get_args
from uuid import UUID

from starlette.responses import Response

from serve_apps.console.pages import ConsolePage, Visit, missing, see_other
from serve_apps.console.resources import ConsoleResources
from serve_apps.http.problems import Problem
from signals.store.access.views import ViewPage

PAGES_WITH_VIEWS: Final[tuple[ViewPage, ...]] = get_args(ViewPage)


def views_of(resources: ConsoleResources, visit: Visit, page: ViewPage) -> Mapping[str, Any]:
    """Return what a page with views shows of them: the saved ones, and the query that may be saved."""
    query = visit.request.url.query
    return {
        "views": resources.saved_views.all(visit.who.user_id, visit.where.project_id, page),
        "views_page": page,
        "views_query": f"?{query}" if query else "",
    }


def save_view(resources: ConsoleResources, visit: Visit) -> Response:
    """Save the address of a page under a name.

    Raises:
        Problem: 422 saying what to change.
    """
    page, query = _page(visit), visit.form.get("query", "")
    if query and not query.startswith("?"):
        raise Problem(422, "invalid_view", "A view is the part of an address behind its question mark.")
    refusal = resources.saved_views.save(
        visit.who.user_id, visit.where.project_id, page, name=visit.form.get("name", ""), query=query
    )
    if refusal:
        raise Problem(422, "invalid_view", refusal)
    return see_other(f"{visit.base}/{page}{query}")


def delete_view(resources: ConsoleResources, visit: Visit) -> Response:
    """Delete one of the person's own views."""
    page = _page(visit)
    try:
        view_id = UUID(visit.form.get("view", ""))
    except ValueError as error:
        raise missing("view") from error
    if not resources.saved_views.delete(visit.who.user_id, visit.where.project_id, view_id):
        raise missing("view")
    return see_other(f"{visit.base}/{page}")


def _page(visit: Visit) -> ViewPage:
    found = next((one for one in PAGES_WITH_VIEWS if one == visit.form.get("page")), None)
    if found is None:
        raise Problem(422, "unknown_page", f"The page is one of {', '.join(PAGES_WITH_VIEWS)}.")
    return found


_VIEWS: Final = "/console/p/{project_id}/views"
PAGES: Final = (
    ConsolePage(method="POST", path=_VIEWS + "/save", right="read", handler=save_view),
    ConsolePage(method="POST", path=_VIEWS + "/delete", right="read", handler=delete_view),
)
