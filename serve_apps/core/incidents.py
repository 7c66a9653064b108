"""The endpoints of incidents: list them, read one, set its status."""

from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field
from starlette.responses import Response

from serve_apps.core.preconditions import IF_MATCH, OUTDATED, version_changed
from serve_apps.core.requests import (
    BLANK,
    IF_NONE_MATCH,
    READ_ERRORS,
    TAG,
    UNCHANGED,
    Assignee,
    CoreResources,
    Cursor,
    Instant,
    Limit,
    ProjectId,
    SearchedText,
    Sort,
    check_project,
)
from serve_apps.core.status_changes import CHANGE_ERRORS, StatusChange, apply_change, id_in_path
from serve_apps.core.verdicts import ANY, AnyUnlessAsked, verdict_of
from serve_apps.http.answers import json_answer, tagged_answer
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.parameters import NoParameters
from serve_apps.http.problems import Problem
from shared_types import Environment
from signals.domain.access.scopes import Right
from signals.domain.incidents.episode import StatusWanted
from signals.domain.notifications.routing import SeverityWord
from signals.services.incidents.views import IncidentDetail, IncidentPage, ListRequest
from signals.store.incidents.incident_changes import TimelineEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentQuery:
    """The parameters of a list of incidents."""

    project_id: ProjectId = None
    env: Annotated[Environment | None, BLANK] = None
    status: Annotated[StatusWanted | None, BLANK, Field(description="unresolved: all but resolved")] = None
    severity: Annotated[SeverityWord | None, BLANK] = None
    verdict: AnyUnlessAsked = ANY
    since: Instant = None
    until: Instant = None
    assignee: Annotated[Assignee | None, BLANK, Field(description="of the incident's outage")] = None
    text: SearchedText = None
    sort: Sort = "opened"
    limit: Limit = 50
    cursor: Cursor = None


def list_incidents(core: CoreResources, call: Call[IncidentQuery]) -> Response:
    """List the project's incidents, in the order of sort; since and until select those active between.

    Without `verdict`, all of them; `/v1/outages` shows confirmed ones then.
    """
    query = call.query
    check_project(call.tenancy, query.project_id)
    request = ListRequest(
        environment=query.env and query.env.value,
        status=query.status,
        severity=query.severity,
        verdict=verdict_of(query.verdict),
        since=query.since,
        until=query.until,
        assignees=(query.assignee,) if query.assignee else (),
        text=query.text,
        sort=query.sort,
        limit=query.limit,
        cursor=query.cursor,
    )
    return tagged_answer(call.request, core.incidents.page(call.tenancy, request))


def get_incident(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Return one incident: why it fired, its chart, representative events, AI jobs, latest summary."""
    return tagged_answer(call.request, _detail(core, call))


def incident_timeline(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Return what happened to the incident, oldest first: each change, when, and by whom."""
    changes = core.incidents.timeline(call.tenancy, named_incident(core, call))
    if changes is None:
        raise no_such_incident()
    return tagged_answer(call.request, changes)


async def change_status(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Set an incident's status. A read key may do this."""
    incident_id = await call.in_thread(named_incident, core, call)
    await apply_change(call, core.incidents.set_status, incident_id, refusals())
    return json_answer(call.request, await call.in_thread(_detail, core, call))


def no_such_incident() -> Problem:
    """Return the answer for another project's incident as for none."""
    return Problem(404, "no_such_incident", "Your project has no incident with this id.")


def _detail(core: CoreResources, call: Call[NoParameters]) -> IncidentDetail:
    detail = core.incidents.detail(call.tenancy, named_incident(core, call))
    if detail is None:
        raise no_such_incident()
    return detail


def named_incident(core: CoreResources, call: Call[Any]) -> UUID:
    """Return the id of the incident in the path; it may block. Raises as `id_in_path` does."""
    return id_in_path(core, call, "incident", no_such_incident)


def refusals() -> dict[str, Problem]:
    """Return the answers to a change of status that is refused, by its outcome."""
    return {
        "unknown_incident": no_such_incident(),
        "version_changed": version_changed("incident"),
        "stale": Problem(409, "stale", "Somebody changed the status meanwhile; read the incident again."),
        "another_open": Problem(
            409, "another_open", "A newer incident of the same fingerprint is not resolved; work on that one."
        ),
    }


_ONE: Final = "/v1/incidents/{incident_id}"
_NO_SUCH: Final = {404: "The key's project has no such incident."}

ENDPOINTS: tuple[Endpoint[CoreResources], ...] = (
    Endpoint(
        method="GET",
        path="/v1/incidents",
        handler=list_incidents,
        tag="incidents",
        right=Right.READ,
        query=IncidentQuery,
        headers=(IF_NONE_MATCH,),
        answers={
            200: Answer(description="One page.", model=IncidentPage, headers=TAG),
            304: UNCHANGED,
        },
        errors=READ_ERRORS,
    ),
    Endpoint(
        method="GET",
        path=_ONE,
        handler=get_incident,
        tag="incidents",
        right=Right.READ,
        query=NoParameters,
        headers=(IF_NONE_MATCH,),
        answers={
            200: Answer(description="The incident.", model=IncidentDetail, headers=TAG),
            304: UNCHANGED,
        },
        errors=READ_ERRORS | _NO_SUCH,
    ),
    Endpoint(
        method="GET",
        path=f"{_ONE}/timeline",
        handler=incident_timeline,
        tag="incidents",
        right=Right.READ,
        query=NoParameters,
        headers=(IF_NONE_MATCH,),
        answers={
            200: Answer(description="Its changes.", model=list[TimelineEntry], headers=TAG),
            304: UNCHANGED,
        },
        errors=READ_ERRORS | _NO_SUCH,
    ),
    Endpoint(
        method="PATCH",
        path=_ONE,
        handler=change_status,
        tag="incidents",
        right=Right.CHANGE_INCIDENTS,
        query=NoParameters,
        body={"application/json": StatusChange},
        headers=(IF_MATCH,),
        answers={200: Answer(description="The incident as it is now.", model=IncidentDetail)},
        errors=READ_ERRORS | _NO_SUCH | CHANGE_ERRORS | OUTDATED,
    ),
)
