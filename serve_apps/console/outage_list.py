"""The list of outages, and the change of several at once."""

from collections.abc import Mapping, Sequence
from typing import Final, cast
from uuid import UUID

from starlette.responses import Response

from serve_apps.console.incidents import TABS
from serve_apps.console.pages import ConsolePage, Visit, query_of, see_other
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.saved_views import views_of
from serve_apps.console.views import View
from shared_types import Environment
from signals.domain.incidents.episode import IncidentStatus, IncidentVerdict
from signals.services.incidents.bulk_status import BulkStatus, StatusWish
from signals.services.incidents.outage_answers import OutageView
from signals.services.incidents.outage_views import OutageListRequest
from signals.store.incidents.incident_overview import LatestNumbers

PAGE_ROWS: Final = 50
VERDICTS: Final = ("confirmed", "unconfirmed", "learning", "any")
FILTERS: Final = ("status", "env", "verdict", "cursor")
PICKED: Final = "pick:"
"""Begins the name of a chosen outage in a form; its id follows."""
REASONS: Final = {
    "unknown_outage": "this project has no such outage",
    "unknown_status": "there is no such status",
    "stale": "it changed meanwhile; try again",
    "another_open": "a newer incident of one of its series is not resolved",
}


def list_outages(resources: ConsoleResources, visit: Visit) -> View:
    """Show one page of outages, newest opening first; every filter stands in the address."""
    return _list_view(resources, visit)


def _list_view(resources: ConsoleResources, visit: Visit, failures: Sequence[str] = ()) -> View:
    tab = visit.chosen("status", TABS, "open")
    environment = visit.chosen("env", list(Environment), "")
    verdict = visit.chosen("verdict", VERDICTS, "confirmed")
    request = OutageListRequest(
        environment=environment or None,
        status=cast(IncidentStatus, tab) if tab != "all" else None,
        verdict=cast(IncidentVerdict, verdict) if verdict != "any" else None,
        limit=PAGE_ROWS,
        cursor=visit.query("cursor") or None,
    )
    page = resources.outages.page(visit.where.tenancy, request)

    def address(tab: str, cursor: str | None = None) -> str:
        return query_of(status=tab, env=environment, verdict=visit.query("verdict"), cursor=cursor or "")

    return View(
        "outages.html",
        {
            "outages": page.outages,
            "failures": failures,
            "here_query": query_of(**{name: visit.query(name) for name in FILTERS}),
            "numbers": numbers_of(resources, page.outages),
            "tab": tab,
            "tabs": TABS,
            "environment": environment,
            "environments": list(Environment),
            "verdict": verdict,
            "verdicts": VERDICTS,
            "counts": resources.overview.unresolved_outages(visit.where.tenancy),
            "older": address(tab, page.next_cursor) if page.next_cursor else "",
            "newest": address(tab) if request.cursor else "",
            "address": address,
            **views_of(resources, visit, "outages"),
        },
    )


def numbers_of(resources: ConsoleResources, outages: Sequence[OutageView]) -> Mapping[UUID, LatestNumbers]:
    """Return the last numbers of the unresolved outages of one incident, by that incident."""
    alone = [one.first_incident_id for one in outages if one.incidents == 1 and one.status != "resolved"]
    return resources.overview.latest(alone)


def set_status_of_many(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Set the status of the chosen outages; those that cannot be changed are named, the others are."""
    wanted, failures = visit.form.get("status", ""), []
    chosen = [name.removeprefix(PICKED) for name in visit.form if name.startswith(PICKED)]
    bulk = BulkStatus(find=lambda _, text: _id_of(text), set_status=resources.outages.set_status)
    wishes = [StatusWish(name=text) for text in chosen]
    outcomes = bulk.change(visit.where.tenancy, wishes, wanted, actor=visit.who.actor)
    for text, outcome in zip(chosen, outcomes, strict=True):
        if outcome != "changed":
            failures.append(f"{_title(resources, visit, text)}: {REASONS[outcome]}")
    if not chosen:
        failures.append("Choose outages first: press x on one, or its box.")
    if failures:
        return _list_view(resources, visit, failures)
    return see_other(f"{visit.base}/outages{visit.request.url.query and '?'}{visit.request.url.query}")


def _id_of(text: str) -> UUID | str:
    try:
        return UUID(text)
    except ValueError:
        return "unknown_outage"


def _title(resources: ConsoleResources, visit: Visit, text: str) -> str:
    try:
        detail = resources.outages.detail(visit.where.tenancy, UUID(text))
    except ValueError:
        detail = None
    return detail.outage.title if detail else "An outage of another project, or none"


_LIST: Final = "/console/p/{project_id}/outages"
PAGES: Final = (
    ConsolePage(
        method="GET", path=_LIST, right="read", handler=list_outages, active="outages", live="changes"
    ),
    ConsolePage(method="POST", path=_LIST, right="respond", handler=set_status_of_many, active="outages"),
)
