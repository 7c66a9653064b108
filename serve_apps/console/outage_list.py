"""The list of outages, and the change of several at once."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final
from uuid import UUID

from starlette.responses import Response

from serve_apps.console.bulk_changes import ListedRows, change_chosen
from serve_apps.console.list_filters import chosen_filters, filter_values
from serve_apps.console.pages import ConsolePage, Visit
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.saved_views import views_of
from serve_apps.console.views import View
from signals.services.incidents.outage_answers import OutageView
from signals.services.incidents.outage_views import OutageListRequest
from signals.store.incidents.incident_overview import LatestNumbers

PAGE_ROWS: Final = 50
DEFAULT_VERDICT: Final = "confirmed_or_learning"
"""A young project has no other verdict than `learning`; its outages must not be overlooked."""


def list_outages(resources: ConsoleResources, visit: Visit) -> View:
    """Show one page of outages; every filter stands in the address."""
    return _list_view(resources, visit)


def _list_view(resources: ConsoleResources, visit: Visit, failures: Sequence[str] = ()) -> View:
    filters = chosen_filters(visit, default_verdict=DEFAULT_VERDICT)
    request = OutageListRequest(
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
    tenancy = visit.where.tenancy
    page = resources.outages.page(tenancy, request)
    return View(
        "outages.html",
        {
            "outages": page.outages,
            "failures": failures,
            "numbers": numbers_of(resources, page.outages),
            "counts": resources.outages.unresolved(tenancy, request),
            "unconfirmed": resources.overview.unresolved_outages(tenancy).unconfirmed,
            "older": filters.address(cursor=page.next_cursor) if page.next_cursor else "",
            "newest": filters.address() if request.cursor else "",
            **filter_values(resources, visit, filters),
            **views_of(resources, visit, "outages"),
        },
    )


def numbers_of(resources: ConsoleResources, outages: Sequence[OutageView]) -> Mapping[UUID, LatestNumbers]:
    """Return the last numbers of the unresolved outages of one incident, by that incident."""
    alone = [one.first_incident_id for one in outages if one.incidents == 1 and one.status != "resolved"]
    return resources.overview.latest(alone)


def set_status_of_many(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Set the status of the chosen outages; those that cannot be changed are named, the others are."""

    def title_of(outage_id: UUID) -> str | None:
        detail = resources.outages.detail(visit.where.tenancy, outage_id)
        return detail.outage.title if detail else None

    rows = ListedRows(
        set_status=resources.outages.set_status,
        unknown="unknown_outage",
        title_of=title_of,
        timeline_of=partial(resources.outage_work.timeline, visit.where.tenancy),
    )
    return change_chosen(resources, visit, rows, partial(_list_view, resources, visit))


_LIST: Final = "/console/p/{project_id}/outages"
PAGES: Final = (
    ConsolePage(
        method="GET", path=_LIST, right="read", handler=list_outages, active="outages", live="changes"
    ),
    ConsolePage(method="POST", path=_LIST, right="respond", handler=set_status_of_many, active="outages"),
)
