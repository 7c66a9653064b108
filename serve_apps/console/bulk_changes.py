"""The change of several rows of a list at once: what was chosen, and what could not be changed."""

from collections.abc import Callable
from typing import Final
from uuid import UUID

from serve_apps.console.pages import Visit
from signals.services.incidents.bulk_status import BulkStatus, StatusSetter, StatusWish
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


def change_chosen(
    visit: Visit, set_status: StatusSetter, unknown: str, title_of: Callable[[UUID], str | None]
) -> list[str]:
    """Set the status of the chosen rows in the person's name; return a line for each that was not changed."""

    def find(_: object, text: str) -> UUID | str:
        found = _id(text)
        return unknown if found is None else found

    chosen = [name.removeprefix(PICKED) for name in visit.form if name.startswith(PICKED)]
    if not chosen:
        return [NOTHING_CHOSEN]
    bulk = BulkStatus(find=find, set_status=set_status)
    wishes = [StatusWish(name=text, shown=_status_shown(visit.form[PICKED + text])) for text in chosen]
    outcomes = bulk.change(visit.where.tenancy, wishes, visit.form.get("status", ""), actor=visit.who.actor)
    refused = [one for one in zip(chosen, outcomes, strict=True) if one[1] != "changed"]
    return [f"{_title(text, title_of)}: {REASONS[outcome]}" for text, outcome in refused]


def _status_shown(value: str) -> str | None:
    """Return the status that the row showed, None when the form does not say."""
    return value if value in STATUSES else None


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _title(text: str, title_of: Callable[[UUID], str | None]) -> str:
    found = _id(text)
    return (title_of(found) if found else None) or "One of another project, or none"
