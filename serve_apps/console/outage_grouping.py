"""Merging and splitting outages: a page of its own with the outages and series to choose from."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol
from uuid import UUID

from starlette.responses import Response

from serve_apps.console.history import ANY_CHANGE
from serve_apps.console.outages import outage_detail
from serve_apps.console.pages import ConsolePage, Visit, see_other
from serve_apps.console.refused_forms import REFUSAL, refused, refused_as_stale
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.shown_once import shown_once
from serve_apps.console.views import View
from shared_types import Tenancy
from signals.services.incidents.outage_answers import OutageDetail
from signals.services.incidents.outage_views import OutageListRequest
from signals.services.incidents.work_refused import VERSION_CHANGED, WorkRefused
from signals.store.incidents.outage_members import OutageMember

STALE: Final = frozenset({VERSION_CHANGED, "same_outage", "not_in_outage"})
"""Refusals that only a page can meet that shows what was true before."""
CHOICES: Final = 50  # outages to merge with; guess: of more, the words narrow the list


class Regroup(Protocol):
    """Merges or splits an outage with what was chosen; returns the outage to show, None when one is gone."""

    def __call__(
        self, tenancy: Tenancy, outage_id: UUID, chosen: UUID, /, *, actor: str, version: int | None
    ) -> UUID | None:
        """Regroup."""


def show_grouping(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Show what an outage can be merged with, and which of its series can leave it."""
    outage_id = visit.id("outage_id", "outage")
    detail = outage_detail(resources, visit, outage_id)
    if detail.outage.id != outage_id:  # it was merged
        return see_other(f"{visit.base}/outages/{detail.outage.id}/grouping")
    return shown_once(
        visit, _page(visit), lambda once: _view(resources, visit, detail, once.get(REFUSAL, ""))
    )


def _page(visit: Visit) -> str:
    return f"{visit.base}/outages/{visit.id('outage_id', 'outage')}/grouping"


def _view(resources: ConsoleResources, visit: Visit, detail: OutageDetail, refusal: str) -> View:
    wanted = OutageListRequest(status="unresolved", text=visit.query("text") or None, limit=CHOICES)
    found = resources.outages.page(visit.where.tenancy, wanted)
    values = {
        "outage": detail.outage,
        "others": [one for one in found.outages if one.id != detail.outage.id],
        "has_more": found.next_cursor is not None,
        "text": visit.query("text"),
        "series": list(_series(detail.incidents).values()),
        "refusal": refusal,
    }
    return View("grouping.html", values)


def _series(members: Sequence[OutageMember]) -> Mapping[tuple[str, str], OutageMember]:
    """Return the newest incident of each series, which stands for it."""
    return {(one.environment, one.fingerprint): one for one in members}


def merge_outage(resources: ConsoleResources, visit: Visit) -> Response:
    """Move all incidents of an outage to the chosen one, whose page both addresses lead to then."""
    work = resources.outage_work.merge
    return _done(resources, visit, work, "into", "Choose the outage that takes the incidents.")


def split_outage(resources: ConsoleResources, visit: Visit) -> Response:
    """Move the series of the chosen incident to an outage of its own, and show that one."""
    work = resources.outage_work.split
    return _done(resources, visit, work, "incident", "Choose the series that leaves the outage.")


def _done(resources: ConsoleResources, visit: Visit, work: Regroup, name: str, remedy: str) -> Response:
    outage_id, tenancy, page = visit.id("outage_id", "outage"), visit.where.tenancy, _page(visit)
    before = outage_detail(resources, visit, outage_id)
    try:
        chosen = UUID(visit.form.get(name, ""))
    except ValueError:
        return refused(visit, page, remedy)
    try:
        made = work(tenancy, outage_id, chosen, actor=visit.who.actor, version=_version(visit))
    except WorkRefused as error:
        if error.code not in STALE:
            return refused(visit, page, str(error))
        changes = resources.outage_work.timeline(tenancy, outage_id) or []
        if before.outage.id != outage_id:  # it was merged: its page leads to the other one's
            page = f"{visit.base}/outages/{before.outage.id}/grouping"
        return refused_as_stale(resources, visit, page, changes, ANY_CHANGE)
    if made is None:
        return refused(visit, page, f"It is gone. {remedy}")
    return see_other(f"{visit.base}/outages/{made}")


def _version(visit: Visit) -> int | None:
    """Return the version that the page showed, None from a form without one."""
    text = visit.form.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


_ONE: Final = "/console/p/{project_id}/outages/{outage_id}"
PAGES: Final = (
    ConsolePage(
        method="GET", path=_ONE + "/grouping", right="respond", handler=show_grouping, active="outages"
    ),
    ConsolePage(method="POST", path=_ONE + "/merge", right="respond", handler=merge_outage, active="outages"),
    ConsolePage(method="POST", path=_ONE + "/split", right="respond", handler=split_outage, active="outages"),
)
