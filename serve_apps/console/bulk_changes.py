"""The change of several rows of a list at once: what was chosen, and what could not be changed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from starlette.responses import Response

from serve_apps.console.history import STATUS, TimelineChange, changes_by_people, newest_change
from serve_apps.console.pages import Visit, see_other
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.views import View
from signals.domain.access.team import names_of
from signals.services.incidents.bulk_status import BulkStatus, StatusSetter, StatusWish
from signals.services.incidents.precondition import Precondition
from signals.services.incidents.views import STATUSES

PICKED: Final = "pick:"
"""Begins the name of a chosen row in a form; its id follows."""
NOTHING_CHOSEN: Final = "Choose some first: press x on one, or its box."
REASONS: Final = {
    "unknown_outage": "this project has no such outage",
    "unknown_incident": "this project has no such incident",
    "unknown_status": "there is no such status",
    "stale": "it changed meanwhile; try again",
    "another_open": "a newer incident of one of its series is not resolved",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRows:
    """The rows of a list: how one is changed, named, and what happened to it; `unknown` is no row of it."""

    set_status: StatusSetter
    unknown: str
    title_of: Callable[[UUID], str | None]
    timeline_of: Callable[[UUID], Sequence[TimelineChange] | None]


def change_chosen(
    resources: ConsoleResources, visit: Visit, rows: ListedRows, show: Callable[[Sequence[str]], View]
) -> View | Response:
    """Set the status of the chosen rows in the person's name; `show` the list with each refusal."""
    failures = _failures(resources, visit, rows)
    if failures:
        return show(failures)
    url = visit.request.url
    return see_other(url.path + (url.query and f"?{url.query}"))


def _failures(resources: ConsoleResources, visit: Visit, rows: ListedRows) -> list[str]:
    def find(_: object, text: str) -> UUID | str:
        found = _id(text)
        return rows.unknown if found is None else found

    chosen = [name.removeprefix(PICKED) for name in visit.form if name.startswith(PICKED)]
    if not chosen:
        return [NOTHING_CHOSEN]
    bulk = BulkStatus(find=find, set_status=rows.set_status)
    wishes = [StatusWish(name=text, only_if=_only_if(visit.form[PICKED + text])) for text in chosen]
    outcomes = bulk.change(visit.where.tenancy, wishes, visit.form.get("status", ""), actor=visit.who.actor)
    refused = [one for one in zip(chosen, outcomes, strict=True) if one[1] != "changed"]
    names = names_of(resources.overview.team(visit.where.tenancy)) if refused else {}
    return [
        f"{_title(text, rows)}: {_reason(text, outcome, rows, names, visit)}" for text, outcome in refused
    ]


def _reason(text: str, outcome: str, rows: ListedRows, names: Mapping[str, str], visit: Visit) -> str:
    """Say why a row was not changed; of a stale one, who was faster."""
    found = _id(text)
    changes = rows.timeline_of(found) if found and outcome == "stale" else None
    done = newest_change(changes_by_people(changes or [], names, visit.clock), visit.clock, STATUS)
    return f"{done}; look at it, then try again" if done else REASONS[outcome]


def _only_if(value: str) -> Precondition:
    """Return the status that the row showed, if the form says it."""
    return Precondition(shown=value if value in STATUSES else None)


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _title(text: str, rows: ListedRows) -> str:
    found = _id(text)
    return (rows.title_of(found) if found else None) or "One of another project, or none"
