"""The endpoints of notifications: destinations, their test, and routes."""

from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from starlette.responses import Response

from serve_apps.core.incidents import named_incident, no_such_incident
from serve_apps.core.requests import BLANK, MODEL_ERRORS, READ_ERRORS, CoreResources, Limit
from serve_apps.http.answers import json_answer
from serve_apps.http.bodies import read_model
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.parameters import NoParameters
from serve_apps.http.problems import NOT_STORED, Problem
from signals.domain.access.scopes import Right
from signals.domain.notifications.route_fields import RouteFields
from signals.services.notifications.destination_bodies import (
    CreatedDestination,
    DestinationChange,
    DestinationRefused,
    DestinationView,
    NewDestination,
    TestOutcome,
)
from signals.services.notifications.notices import NoticeStatus
from signals.services.notifications.routes import RouteMatch, RouteRefused, RouteView
from signals.store.notifications.notice_list import NoticeRow


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeQuery:
    """The parameters of a list of notices."""

    status: Annotated[NoticeStatus | None, BLANK] = None
    incident_id: Annotated[UUID | None, BLANK] = None
    limit: Limit = 50


def list_destinations(core: CoreResources, call: Call[NoParameters]) -> Response:
    """List the project's destinations by name; secrets are never read back."""
    return json_answer(call.request, core.destinations.all(call.principal))


async def create_destination(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Create a destination. A webhook without a signing key gets one, which this answer alone shows."""
    new = await read_model(call.request, NewDestination)
    try:
        created = await call.in_thread(core.destinations.create, call.principal, new)
    except DestinationRefused as error:
        raise _refused(error) from error
    return json_answer(call.request, created, status=201)


def get_destination(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Return one destination with its state: active, failing or disabled."""
    found = core.destinations.get(call.principal, _id(call, "destination_id"))
    return json_answer(call.request, _known(found))


async def change_destination(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Change a destination: fields that are left out stay, secrets among them."""
    destination_id = _id(call, "destination_id")
    change = await read_model(call.request, DestinationChange)
    try:
        found = await call.in_thread(core.destinations.change, call.principal, destination_id, change)
    except DestinationRefused as error:
        raise _refused(error) from error
    return json_answer(call.request, _known(found))


def delete_destination(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Delete a destination with its routes, and forget what it was told."""
    if not core.destinations.delete(call.principal, _id(call, "destination_id")):
        raise no_such_destination()
    return Response(status_code=204, headers=NOT_STORED)


def test_destination(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Send a message that is marked as a test, and say how that went."""
    try:
        outcome = core.destinations.test(call.principal, _id(call, "destination_id"))
    except DestinationRefused as error:
        raise _refused(error) from error
    if outcome is None:
        raise no_such_destination()
    return json_answer(call.request, outcome)


def list_routes(core: CoreResources, call: Call[NoParameters]) -> Response:
    """List the project's routes, oldest first."""
    return json_answer(call.request, core.routes.all(call.principal))


async def create_route(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Create a route: which incidents of the project one destination is notified about."""
    fields = await read_model(call.request, RouteFields)
    try:
        created = await call.in_thread(core.routes.create, call.principal, fields)
    except RouteRefused as error:
        raise Problem(422, error.code, str(error)) from error
    return json_answer(call.request, created, status=201)


def delete_route(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Delete a route; incidents that were told already are still told when they end."""
    if not core.routes.delete(call.principal, _id(call, "route_id")):
        raise Problem(404, "no_such_route", "Your project has no route with this id.")
    return Response(status_code=204, headers=NOT_STORED)


def match_routes(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Say of each route whether it tells of the incident, and if not, why."""
    matches = core.routes.match(call.principal, named_incident(core, call))
    if matches is None:
        raise no_such_incident()
    return json_answer(call.request, matches)


def list_notices(core: CoreResources, call: Call[NoticeQuery]) -> Response:
    """List what the project's destinations were told, or could not be told, newest first."""
    query = call.query
    found = core.notices.newest(
        call.principal, status=query.status, incident_id=query.incident_id, limit=query.limit
    )
    return json_answer(call.request, found)


def no_such_destination() -> Problem:
    """Return the answer for another project's destination as for none."""
    return Problem(404, "no_such_destination", "Your project has no destination with this id.")


def _known(found: DestinationView | None) -> DestinationView:
    if found is None:
        raise no_such_destination()
    return found


def _id(call: Call[NoParameters], name: str) -> UUID:
    try:
        return UUID(call.request.path_params[name])
    except ValueError as error:
        what = name.removesuffix("_id")
        raise Problem(404, f"no_such_{what}", f"Your project has no {what} with this id.") from error


def _refused(error: DestinationRefused) -> Problem:
    members = {"field": error.field} if error.field else {}
    status = 503 if error.code in ("no_secret_key", "secret_unreadable") else 422
    return Problem(status, error.code, str(error), members=members)


_ALL: Final = "/v1/destinations"
_ONE: Final = "/v1/destinations/{destination_id}"
_NO_SUCH: Final = {404: "The key's project has no such destination."}

ENDPOINTS: tuple[Endpoint[CoreResources], ...] = (
    Endpoint(
        method="GET",
        path=_ALL,
        handler=list_destinations,
        tag="notifications",
        right=Right.READ,
        query=NoParameters,
        answers={200: Answer(description="All of them.", model=list[DestinationView])},
        errors=READ_ERRORS,
    ),
    Endpoint(
        method="POST",
        path=_ALL,
        handler=create_destination,
        tag="notifications",
        right=Right.CHANGE_NOTIFICATIONS,
        query=NoParameters,
        body={"application/json": NewDestination},
        answers={201: Answer(description="The destination.", model=CreatedDestination)},
        errors=READ_ERRORS | MODEL_ERRORS,
    ),
    Endpoint(
        method="GET",
        path=_ONE,
        handler=get_destination,
        tag="notifications",
        right=Right.READ,
        query=NoParameters,
        answers={200: Answer(description="The destination.", model=DestinationView)},
        errors=READ_ERRORS | _NO_SUCH,
    ),
    Endpoint(
        method="PATCH",
        path=_ONE,
        handler=change_destination,
        tag="notifications",
        right=Right.CHANGE_NOTIFICATIONS,
        query=NoParameters,
        body={"application/json": DestinationChange},
        answers={200: Answer(description="The destination as it is now.", model=DestinationView)},
        errors=READ_ERRORS | _NO_SUCH | MODEL_ERRORS,
    ),
    Endpoint(
        method="DELETE",
        path=_ONE,
        handler=delete_destination,
        tag="notifications",
        right=Right.CHANGE_NOTIFICATIONS,
        query=NoParameters,
        answers={204: Answer(description="It is gone.")},
        errors=READ_ERRORS | _NO_SUCH,
    ),
    Endpoint(
        method="POST",
        path=f"{_ONE}/test",
        handler=test_destination,
        tag="notifications",
        right=Right.CHANGE_NOTIFICATIONS,
        query=NoParameters,
        answers={200: Answer(description="How the test went.", model=TestOutcome)},
        errors=READ_ERRORS | _NO_SUCH,
    ),
    Endpoint(
        method="GET",
        path="/v1/routes",
        handler=list_routes,
        tag="notifications",
        right=Right.READ,
        query=NoParameters,
        answers={200: Answer(description="All of them.", model=list[RouteView])},
        errors=READ_ERRORS,
    ),
    Endpoint(
        method="POST",
        path="/v1/routes",
        handler=create_route,
        tag="notifications",
        right=Right.CHANGE_NOTIFICATIONS,
        query=NoParameters,
        body={"application/json": RouteFields},
        answers={201: Answer(description="The route.", model=RouteView)},
        errors=READ_ERRORS | MODEL_ERRORS,
    ),
    Endpoint(
        method="DELETE",
        path="/v1/routes/{route_id}",
        handler=delete_route,
        tag="notifications",
        right=Right.CHANGE_NOTIFICATIONS,
        query=NoParameters,
        answers={204: Answer(description="It is gone.")},
        errors=READ_ERRORS | {404: "The key's project has no such route."},
    ),
    Endpoint(
        method="GET",
        path="/v1/notices",
        handler=list_notices,
        tag="notifications",
        right=Right.READ,
        query=NoticeQuery,
        answers={200: Answer(description="The newest.", model=list[NoticeRow])},
        errors=READ_ERRORS,
    ),
    Endpoint(
        method="GET",
        path="/v1/incidents/{incident_id}/routes",
        handler=match_routes,
        tag="notifications",
        right=Right.READ,
        query=NoParameters,
        answers={200: Answer(description="Each route's verdict.", model=list[RouteMatch])},
        errors=READ_ERRORS | {404: "The key's project has no such incident."},
    ),
)
