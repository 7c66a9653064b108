"""The everyday work on an outage: a note, an assignee, a snooze."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Protocol
from uuid import UUID

from starlette.responses import Response

from serve_apps.console.history import ASSIGNEE, SNOOZE
from serve_apps.console.pages import ConsolePage, Visit, missing, own_path, see_other
from serve_apps.console.refused_forms import refused, refused_as_stale
from serve_apps.console.resources import ConsoleResources
from serve_apps.http.problems import Problem
from signals.domain.access.team import TeamMember
from signals.domain.incidents.silence import silent_until
from signals.services.incidents.outage_work import Snooze
from signals.services.incidents.precondition import Precondition
from signals.services.incidents.work_refused import VERSION_CHANGED, WorkRefused

MAX_NOTE: Final = 4_000  # characters; guess: longer texts belong into a document
SNOOZES: Final[Mapping[str, tuple[timedelta, str]]] = {
    "1h": (timedelta(hours=1), "1 hour"),
    "4h": (timedelta(hours=4), "4 hours"),
    "1d": (timedelta(days=1), "1 day"),
    "7d": (timedelta(days=7), "7 days"),
}


class CaredFor(Protocol):
    """An outage that people work on."""

    @property
    def assignee(self) -> str | None:
        """The person who works on it, if any."""

    @property
    def snoozed_until(self) -> datetime | None:
        """The end of its last snooze."""


def care_values(
    visit: Visit, outage: CaredFor | None, team: Mapping[str, TeamMember], path: str
) -> Mapping[str, Any]:
    """Return what the page at a path shows of the work: who has it, and until when it is silent."""
    has_it = outage.assignee if outage else None
    return {
        "assignee": next((one.shown for one in team.values() if one.written == has_it), has_it),
        "assigned_text": has_it or "",
        "snoozed_until": outage and silent_until(outage.snoozed_until, visit.clock.now),
        "snoozes": SNOOZES,
        "team": team,
        "max_note": MAX_NOTE,
        "work_next": path,
    }


def add_note(resources: ConsoleResources, visit: Visit) -> Response:
    """Add a note to the timeline of an outage."""
    text = visit.form.get("text", "").replace("\r\n", "\n")
    if not 0 < len(text) <= MAX_NOTE or any(not (one.isprintable() or one in "\n\t") for one in text):
        raise Problem(
            422, "invalid_note", f"A note has 1 to {MAX_NOTE} characters, and no control characters."
        )
    outage_id = visit.id("outage_id", "outage")
    return _done(
        visit, resources.outage_work.comment(visit.where.tenancy, outage_id, text, actor=visit.who.actor)
    )


def assign(resources: ConsoleResources, visit: Visit) -> Response:
    """Assign an outage to a member of the organisation, or take it from its assignee."""
    wanted, shown = visit.form.get("assignee", ""), visit.form.get("shown")
    chosen = resources.overview.team(visit.where.tenancy).get(wanted)
    if wanted and chosen is None and wanted != shown:
        raise Problem(422, "unknown_person", "Choose a member of the organisation, or nobody.")
    work = partial(
        resources.outage_work.assign,
        visit.where.tenancy,
        visit.id("outage_id", "outage"),
        chosen.written if chosen else wanted or None,
        actor=visit.who.actor,
        only_if=Precondition(shown=shown),
    )
    return _tried(resources, visit, work, ASSIGNEE)


def snooze(resources: ConsoleResources, visit: Visit) -> Response:
    """Hold the messages of an outage for a while, or end that."""
    work, outage_id, wanted = (
        resources.outage_work,
        visit.id("outage_id", "outage"),
        visit.form.get("for", ""),
    )
    tenancy, actor = visit.where.tenancy, visit.who.actor
    only_if = Precondition(shown=visit.form.get("shown"))
    if wanted == "wake":
        wake = partial(work.wake, tenancy, outage_id, actor=actor, only_if=only_if)
        return _tried(resources, visit, wake, SNOOZE)
    if wanted not in SNOOZES:
        raise Problem(422, "invalid_until", f"A snooze lasts one of {', '.join(SNOOZES)}.")
    until = Snooze(until=visit.clock.now + SNOOZES[wanted][0])
    hold = partial(work.snooze, tenancy, outage_id, until, actor=actor, only_if=only_if)
    return _tried(resources, visit, hold, SNOOZE)


def _tried(
    resources: ConsoleResources, visit: Visit, work: Callable[[], bool], about: Collection[str]
) -> Response:
    """Do the work, or lead back to the page that says why it was refused."""
    try:
        return _done(visit, work())
    except WorkRefused as error:
        outage_id, tenancy = visit.id("outage_id", "outage"), visit.where.tenancy
        page = own_path(visit.form.get("next") or f"{visit.base}/outages/{outage_id}")
        if error.code != VERSION_CHANGED:
            return refused(visit, page, str(error))
        changes = resources.outage_work.timeline(tenancy, outage_id) or []
        return refused_as_stale(resources, visit, page, changes, about)


def _done(visit: Visit, was_found: bool) -> Response:
    if not was_found:
        raise missing("outage")
    outage_id: UUID = visit.id("outage_id", "outage")
    return see_other(own_path(visit.form.get("next") or f"{visit.base}/outages/{outage_id}"))


_ONE: Final = "/console/p/{project_id}/outages/{outage_id}"


def _work(name: str, handler: Callable[[ConsoleResources, Visit], Response]) -> ConsolePage:
    return ConsolePage(
        method="POST", path=f"{_ONE}/{name}", right="respond", handler=handler, active="outages"
    )


PAGES: Final = (_work("note", add_note), _work("assign", assign), _work("snooze", snooze))
