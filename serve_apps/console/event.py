"""The page of one event: all that it carries, and links that find more like it, or all others."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from serve_apps.console.pages import ConsolePage, Visit
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.search_address import SearchAddress
from serve_apps.console.views import View
from serve_apps.console.words import instant_of, message_of
from serve_apps.http.problems import Problem
from signals.domain.findings.labels import labels_of
from signals.domain.queries.search import FIELDS
from signals.services.events.search import SearchRequest

OWN: Final = ("event_type", "severity", "environment")
"""Members of an event that are filters, beside its attributes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventField:
    """One member of an event; the addresses of searches with and without its value are empty for most."""

    name: str
    value: object
    only: str
    without: str


def show_event(resources: ConsoleResources, visit: Visit) -> View:
    """Show one event with all that it carries; its address keeps the search that it was found by."""
    event_id = visit.id("event_id", "event")
    request = SearchRequest(filters=[f"event_id:{event_id}"], limit=1)
    found = resources.event_finder.search(visit.where.tenancy, request)
    if not found.events:
        raise _no_event(event_id)
    event = found.events[0]
    return View(
        "event.html",
        {
            "event": event,
            "fields": list(_fields(event, visit)),
            "message": message_of(event),
            "occurred_at": instant_of(event["occurred_at"]),
            "source": json.dumps(event, indent=2, ensure_ascii=False, default=str),
            "search": f"{visit.base}/search{SearchAddress(visit).link()}",
        },
    )


def _fields(event: Mapping[str, Any], visit: Visit) -> Iterator[EventField]:
    attributes = event.get("attributes")
    shown = attributes if isinstance(attributes, dict) else {}
    labels = labels_of(shown)
    address = SearchAddress(visit)

    def field(name: str, value: object) -> EventField:
        key, wanted = ("", "")
        if name in FIELDS and (name in OWN or name in shown):
            key, wanted = name, str(value)
        elif f"{name}={value}" in labels:
            key, wanted = "label", f"{name}={value}"
        if not key:
            return EventField(name=name, value=value, only="", without="")
        only, without = (address.narrowed(key, wanted, excludes=excludes) for excludes in (False, True))
        return EventField(
            name=name, value=value, only=f"{visit.base}/search{only}", without=f"{visit.base}/search{without}"
        )

    for name in OWN:
        yield field(name, event.get(name))
    for name, value in shown.items():
        yield field(name, value)


def _no_event(event_id: UUID) -> Problem:
    return Problem(
        404, "no_such_event", f"This project has no event {event_id}, or it is older than events are kept."
    )


PAGES: Final = (
    ConsolePage(
        method="GET",
        path="/console/p/{project_id}/events/{event_id}",
        right="read",
        handler=show_event,
        active="search",
    ),
)
