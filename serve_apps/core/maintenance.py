"""The endpoints of maintenance windows, in which messages wait."""

from typing import Final
from uuid import UUID

from starlette.responses import Response

from serve_apps.core.requests import MODEL_ERRORS, READ_ERRORS, CoreResources
from serve_apps.http.answers import json_answer
from serve_apps.http.bodies import read_model
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.parameters import NoParameters
from serve_apps.http.problems import NOT_STORED, Problem
from signals.domain.access.scopes import Right
from signals.services.notifications.maintenance import MaintenanceRefused, MaintenanceView, NewMaintenance


def list_maintenance(core: CoreResources, call: Call[NoParameters]) -> Response:
    """List the project's maintenance windows that have not ended."""
    return json_answer(call.request, core.maintenance.current(call.principal))


async def start_maintenance(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Begin or plan a window: messages about matching incidents wait until it ends; counting goes on."""
    new = await read_model(call.request, NewMaintenance)
    try:
        created = await call.in_thread(core.maintenance.start, call.principal, new)
    except MaintenanceRefused as error:
        raise Problem(422, error.code, str(error)) from error
    return json_answer(call.request, created, status=201)


def end_maintenance(core: CoreResources, call: Call[NoParameters]) -> Response:
    """End a window now: people are notified about what opened or worsened in it and is not resolved."""
    try:
        window_id = UUID(call.request.path_params["maintenance_id"])
    except ValueError as error:
        raise _no_such_window() from error
    if not core.maintenance.end(call.principal, window_id):
        raise _no_such_window()
    return Response(status_code=204, headers=NOT_STORED)


def _no_such_window() -> Problem:
    return Problem(404, "no_such_maintenance", "Your project has no window with this id that has not ended.")


_ALL: Final = "/v1/maintenance"

ENDPOINTS: tuple[Endpoint[CoreResources], ...] = (
    Endpoint(
        method="GET",
        path=_ALL,
        handler=list_maintenance,
        tag="notifications",
        right=Right.READ,
        query=NoParameters,
        answers={200: Answer(description="Those that have not ended.", model=list[MaintenanceView])},
        errors=READ_ERRORS,
    ),
    Endpoint(
        method="POST",
        path=_ALL,
        handler=start_maintenance,
        tag="notifications",
        right=Right.CHANGE_NOTIFICATIONS,
        query=NoParameters,
        body={"application/json": NewMaintenance},
        answers={201: Answer(description="The window.", model=MaintenanceView)},
        errors=READ_ERRORS | MODEL_ERRORS,
    ),
    Endpoint(
        method="DELETE",
        path=f"{_ALL}/{{maintenance_id}}",
        handler=end_maintenance,
        tag="notifications",
        right=Right.CHANGE_NOTIFICATIONS,
        query=NoParameters,
        answers={204: Answer(description="It has ended.")},
        errors=READ_ERRORS | {404: "The key's project has no such window that has not ended."},
    ),
)
