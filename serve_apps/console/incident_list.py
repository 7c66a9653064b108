"""The list of single incidents, and the change of several at once."""

from collections.abc import Sequence
from functools import partial
from typing import Final
from uuid import UUID

from starlette.responses import Response

from serve_apps.console.bulk_changes import ListedRows, change_chosen
from serve_apps.console.incidents import counted_of
from serve_apps.console.list_filters import ANY_VERDICT, chosen_filters, filter_values
from serve_apps.console.pages import ConsolePage, Visit
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.saved_views import views_of
from serve_apps.console.views import View
from signals.services.incidents.views import ListRequest

PAGE_ROWS: Final = 50


def list_incidents(resources: ConsoleResources, visit: Visit) -> View:
    """Show one page of incidents; every filter stands in the address."""
    return _list_view(resources, visit)


def _list_view(resources: ConsoleResources, visit: Visit, failures: Sequence[str] = ()) -> View:
    filters = chosen_filters(visit, default_verdict=ANY_VERDICT)
    request = ListRequest(
        environment=filters.environment or None,
        status=filters.status,
        severity=filters.severity or None,
        verdict=filters.wanted_verdict,
        assignees=filters.assignees,
        text=filters.text or None,
        sort=filters.sort,
        limit=PAGE_ROWS,
        cursor=filters.cursor or None,
    )
    page = resources.incidents.page(visit.where.tenancy, request)
    unresolved = [one.id for one in page.incidents if one.status != "resolved"]
    return View(
        "incidents.html",
        {
            "incidents": page.incidents,
            "failures": failures,
            "numbers": resources.overview.latest(unresolved),
            "counted_of": counted_of,
            "counts": resources.incidents.unresolved(visit.where.tenancy, request),
            "older": filters.address(cursor=page.next_cursor) if page.next_cursor else "",
            "newest": filters.address() if request.cursor else "",
            **filter_values(resources, visit, filters),
            **views_of(resources, visit, "incidents"),
        },
    )


def set_status_of_many(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Set the status of the chosen incidents; those that cannot be changed are named, the others are."""

    def title_of(incident_id: UUID) -> str | None:
        detail = resources.incidents.detail(visit.where.tenancy, incident_id)
        return detail.incident.title if detail else None

    rows = ListedRows(
        set_status=resources.incidents.set_status,
        unknown="unknown_incident",
        title_of=title_of,
        timeline_of=partial(resources.incidents.timeline, visit.where.tenancy),
    )
    return change_chosen(resources, visit, rows, partial(_list_view, resources, visit))


_LIST: Final = "/console/p/{project_id}/incidents"
PAGES: Final = (
    ConsolePage(
        method="GET", path=_LIST, right="read", handler=list_incidents, active="outages", live="changes"
    ),
    ConsolePage(method="POST", path=_LIST, right="respond", handler=set_status_of_many, active="outages"),
)
