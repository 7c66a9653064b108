"""Maintenance windows on the page of notifications: begin or plan one, and end it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from serve_apps.console.form_faults import HINTS, BadForm, model_of
from serve_apps.console.notifications import notifications_view, to_section
from serve_apps.console.pages import ConsolePage, Visit, missing
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.views import View
from serve_apps.console.words import MAINTENANCE_LENGTHS
from signals.services.notifications.maintenance import MaintenanceRefused, NewMaintenance

LABELS: Final[Mapping[str, str]] = {
    "reason": "Reason",
    "starts_at": "Begins",
    "ends_at": "Lasts",
    "environment": "Environment",
    "fingerprint": "Fingerprint",
}


def start_maintenance(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Hold messages from now, or from a planned instant in the reader's time zone, for a chosen length."""
    try:
        resources.maintenance.start(visit.caller, model_of(NewMaintenance, _window_in(visit), LABELS))
    except (BadForm, MaintenanceRefused) as error:
        shown = {"refusal": str(error), "refused_in": "maintenance", "typed": visit.form}
        return notifications_view(resources, visit, status=422, **shown)
    return to_section(visit, "maintenance")


def _window_in(visit: Visit) -> dict[str, Any]:
    form = visit.form
    begins = visit.clock.now
    fields: dict[str, Any] = {"reason": form.get("reason", "")}
    if given := form.get("begins", ""):
        try:
            begins = datetime.fromisoformat(given)
        except ValueError:
            raise BadForm(f"{LABELS['starts_at']}: write it like {HINTS['starts_at']}.") from None
        if begins.tzinfo is None:
            begins = begins.replace(tzinfo=visit.clock.zone)
        fields["starts_at"] = begins.isoformat()
    length = MAINTENANCE_LENGTHS.get(form.get("lasts", ""))
    if length is None:
        raise BadForm(f"{LABELS['ends_at']}: it is one of {', '.join(MAINTENANCE_LENGTHS)}.")
    fields["ends_at"] = (begins + length).isoformat()
    for name in ("environment", "fingerprint"):
        if form.get(name):
            fields[name] = form[name]
    return fields


def end_maintenance(resources: ConsoleResources, visit: Visit) -> Response:
    """End a window now: people are notified about what opened or worsened in it and is not resolved."""
    try:
        window_id = UUID(visit.form.get("window", ""))
    except ValueError as error:
        raise missing("maintenance") from error
    if not resources.maintenance.end(visit.caller, window_id):
        raise missing("maintenance")
    return to_section(visit, "maintenance")


_PAGE: Final = "/console/p/{project_id}/notifications"
PAGES: Final = tuple(
    ConsolePage(method="POST", path=f"{_PAGE}/{name}", right="administer", handler=handler, active="settings")
    for name, handler in (("start-maintenance", start_maintenance), ("end-maintenance", end_maintenance))
)
