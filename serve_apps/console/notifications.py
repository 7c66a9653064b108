"""The page of notifications: destinations with a test, routes, and the log of messages."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final, cast, get_args
from uuid import UUID

from starlette.responses import Response

from serve_apps.console.form_faults import BadForm, model_of
from serve_apps.console.pages import ConsolePage, Visit, missing, query_of, see_other
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.shown_once import show_once, shown_once
from serve_apps.console.target_forms import FORMS, labels_of, target_in, typed_in
from serve_apps.console.views import View
from serve_apps.console.words import MAINTENANCE_LENGTHS
from shared_types import Environment
from signals.domain.notifications.route_fields import RouteFields
from signals.services.notifications.destination_bodies import (
    DestinationChange,
    DestinationRefused,
    NewDestination,
)
from signals.services.notifications.notices import NoticeStatus
from signals.services.notifications.routes import SEVERITIES, VERDICTS, RouteRefused

NOTICES: Final = 30  # guess: what people scroll through; `signals notices` lists more
STATUSES: Final[tuple[NoticeStatus, ...]] = get_args(NoticeStatus)
ROUTE_LABELS: Final[Mapping[str, str]] = {
    "destination_id": "Destination",
    "min_severity": "Least severity",
    "verdicts": "Verdicts",
    "environments": "Environments",
    "fingerprint": "Fingerprint",
    "begins": "Quiet from",
    "ends": "Quiet until",
    "zone": "Time zone of quiet hours",
}
DELIVERY_TABS: Final = ("all", *STATUSES)


def show_notifications(resources: ConsoleResources, visit: Visit) -> View:
    """Show destinations, routes and the newest messages, and what came of a change, this once."""
    return shown_once(visit, _page(visit), lambda once: notifications_view(resources, visit, **once))


def _page(visit: Visit) -> str:
    return f"{visit.base}/notifications"


def notifications_view(resources: ConsoleResources, visit: Visit, *, status: int = 200, **shown: Any) -> View:
    """Render the page; `shown` holds a refusal, an outcome or a new signing key."""
    delivery = visit.chosen("messages", DELIVERY_TABS, "all")
    wanted = None if delivery == "all" else cast(NoticeStatus, delivery)
    destinations = resources.destinations.all(visit.caller)
    values: dict[str, Any] = {
        "destinations": destinations,
        "names": {one.id: one.name for one in destinations},
        "routes": resources.routes.all(visit.caller),
        "notices": resources.notices.newest(visit.caller, status=wanted, incident_id=None, limit=NOTICES),
        "windows": resources.maintenance.current(visit.caller),
        "lengths": list(MAINTENANCE_LENGTHS),
        "delivery": delivery,
        "delivery_tabs": DELIVERY_TABS,
        "address": lambda name: query_of(messages=name),
        "forms": FORMS,
        "severities": SEVERITIES,
        "verdicts": VERDICTS,
        "environments": list(Environment),
        "created": None,
        "tested": None,
        "tested_id": None,
        "refusal": "",
        "refused_in": "",
        "opened_form": "",
        "typed": {},
    }
    return View("notifications.html", values | shown, status)


def create_destination(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Create a destination, and lead to the signing key that was made for it, shown this once."""
    form = visit.form
    try:
        fields = {"name": form.get("name", ""), "target": target_in(form)}
        new = model_of(NewDestination, fields, labels_of(form.get("kind", "")))
        created = resources.destinations.create(visit.caller, new)
        if form.get("everything"):
            route = RouteFields(destination_id=created.destination.id)
            resources.routes.create(visit.caller, route)
    except (BadForm, DestinationRefused, RouteRefused) as error:
        shown = {"refusal": str(error), "refused_in": "destinations", "typed": typed_in(form)}
        return notifications_view(resources, visit, status=422, opened_form=form.get("kind", ""), **shown)
    shown_key = {"name": created.destination.name, "signing_key": created.signing_key}
    return show_once(visit, _page(visit), {"created": shown_key})


def test_destination(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Send a message that is marked as a test, and lead to how that went: loading again sends none."""
    destination_id = _id(visit, "destination")
    try:
        outcome = resources.destinations.test(visit.caller, destination_id)
    except DestinationRefused as error:
        return notifications_view(resources, visit, status=503, refusal=str(error), refused_in="destinations")
    if outcome is None:
        raise missing("destination")
    shown = {"tested": asdict(outcome), "tested_id": str(destination_id)}
    return show_once(visit, _page(visit), shown, section="destinations")


def switch_destination(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Let a destination be told nothing, or everything again that its routes say."""
    change = DestinationChange(enabled=visit.form.get("enabled") == "true")
    if resources.destinations.change(visit.caller, _id(visit, "destination"), change) is None:
        raise missing("destination")
    return to_section(visit, "destinations")


def delete_destination(resources: ConsoleResources, visit: Visit) -> Response:
    """Delete a destination with its routes."""
    if not resources.destinations.delete(visit.caller, _id(visit, "destination")):
        raise missing("destination")
    return to_section(visit, "destinations")


def create_route(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Create a route from the fields of the form."""
    try:
        resources.routes.create(visit.caller, model_of(RouteFields, _route_in(visit.form), ROUTE_LABELS))
    except (BadForm, RouteRefused) as error:
        shown = {"refusal": str(error), "refused_in": "routes", "typed": visit.form}
        return notifications_view(resources, visit, status=422, **shown)
    return to_section(visit, "routes")


def _route_in(form: Mapping[str, str]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "destination_id": form.get("destination", ""),
        "min_severity": form.get("min_severity") or "warn",
        "verdicts": [one for one in VERDICTS if form.get(f"verdict_{one}")] or ["confirmed"],
    }
    environments = [one.value for one in Environment if form.get(f"env_{one.value}")]
    if environments and len(environments) < len(Environment):
        fields["environments"] = environments
    if form.get("fingerprint"):
        fields["fingerprint"] = form["fingerprint"]
    if form.get("begins") or form.get("ends"):
        quiet = {"begins": form.get("begins", ""), "ends": form.get("ends", "")}
        fields["quiet"] = quiet | {"zone": form.get("zone") or "UTC"}
    return fields


def delete_route(resources: ConsoleResources, visit: Visit) -> Response:
    """Delete a route."""
    if not resources.routes.delete(visit.caller, _id(visit, "route")):
        raise missing("route")
    return to_section(visit, "routes")


def _id(visit: Visit, thing: str) -> UUID:
    try:
        return UUID(visit.form.get(thing, ""))
    except ValueError as error:
        raise missing(thing) from error


def to_section(visit: Visit, section: str) -> Response:
    """Go back to a section of the page after a change."""
    return see_other(f"{visit.base}/notifications#{section}")


_PAGE: Final = "/console/p/{project_id}/notifications"


def _change(name: str, handler: Callable[[ConsoleResources, Visit], View | Response]) -> ConsolePage:
    return ConsolePage(
        method="POST", path=f"{_PAGE}/{name}", right="administer", handler=handler, active="settings"
    )


PAGES: Final = (
    ConsolePage(method="GET", path=_PAGE, right="read", handler=show_notifications, active="settings"),
    _change("create-destination", create_destination),
    _change("test-destination", test_destination),
    _change("switch-destination", switch_destination),
    _change("delete-destination", delete_destination),
    _change("create-route", create_route),
    _change("delete-route", delete_route),
)
