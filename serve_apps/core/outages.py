"""The endpoints of outages: list them, read one, set its status."""

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
from serve_apps.core.verdicts import TOLD, ToldUnlessAsked, verdict_of
from serve_apps.http.answers import json_answer, tagged_answer
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.parameters import NoParameters
from serve_apps.http.problems import Problem
from shared_types import Environment
from signals.domain.access.scopes import Right
from signals.domain.incidents.episode import StatusWanted
from signals.domain.notifications.routing import SeverityWord
from signals.services.incidents.outage_answers import OutageDetail, OutagePage
from signals.services.incidents.outage_views import OutageListRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageQuery:
    """The parameters of a list of outages."""

    project_id: ProjectId = None
    env: Annotated[Environment | None, BLANK, Field(description="of one incident at least")] = None
    status: Annotated[StatusWanted | None, BLANK, Field(description="unresolved: all but resolved")] = None
    severity: Annotated[SeverityWord | None, BLANK] = None
    verdict: ToldUnlessAsked = TOLD
    since: Instant = None
    assignee: Annotated[Assignee | None, BLANK] = None
    text: SearchedText = None
    sort: Sort = "opened"
    limit: Limit = 50
    cursor: Cursor = None


def list_outages(core: CoreResources, call: Call[OutageQuery]) -> Response:
    """List the project's outages, in the order of sort; since selects those active since then.

    Without `verdict`, confirmed ones only: those that people are notified about.
    """
    query = call.query
    check_project(call.tenancy, query.project_id)
    request = OutageListRequest(
        environment=query.env and query.env.value,
        status=query.status,
        severity=query.severity,
        verdict=verdict_of(query.verdict),
        since=query.since,
        assignees=(query.assignee,) if query.assignee else (),
        text=query.text,
        sort=query.sort,
        limit=query.limit,
        cursor=query.cursor,
    )
    return tagged_answer(call.request, core.outages.page(call.tenancy, request))


def get_outage(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Return one outage: its cause, its incidents, their sum as a chart, the first incident's summary."""
    return tagged_answer(call.request, _detail(core, call))


async def change_outage_status(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Set the status of an outage and of its incidents. As with an incident, a read key may do this."""
    outage_id = await call.in_thread(named_outage, core, call)
    await apply_change(call, core.outages.set_status, outage_id, refusals())
    return json_answer(call.request, await call.in_thread(_detail, core, call))


def no_such_outage() -> Problem:
    """Return the answer for another project's outage as for none."""
    return Problem(404, "no_such_outage", "Your project has no outage with this id.")


def _detail(core: CoreResources, call: Call[NoParameters]) -> OutageDetail:
    detail = core.outages.detail(call.tenancy, named_outage(core, call))
    if detail is None:
        raise no_such_outage()
    return detail


def named_outage(core: CoreResources, call: Call[Any]) -> UUID:
    """Return the id of the outage in the path; it may block. Raises as `id_in_path` does."""
    return id_in_path(core, call, "outage", no_such_outage)


def refusals() -> dict[str, Problem]:
    """Return the answers to a change of status that is refused, by its outcome."""
    return {
        "unknown_outage": no_such_outage(),
        "version_changed": version_changed("outage"),
        "stale": Problem(409, "stale", "Its status or incidents changed meanwhile; read the outage again."),
        "another_open": Problem(
            409, "another_open", "A series of it has a newer incident that is not resolved; work on that one."
        ),
    }


_ONE: Final = "/v1/outages/{outage_id}"
_NO_SUCH: Final = {404: "The key's project has no such outage."}

ENDPOINTS: tuple[Endpoint[CoreResources], ...] = (
    Endpoint(
        method="GET",
        path="/v1/outages",
        handler=list_outages,
        tag="outages",
        right=Right.READ,
        query=OutageQuery,
        headers=(IF_NONE_MATCH,),
        answers={200: Answer(description="One page.", model=OutagePage, headers=TAG), 304: UNCHANGED},
        errors=READ_ERRORS,
    ),
    Endpoint(
        method="GET",
        path=_ONE,
        handler=get_outage,
        tag="outages",
        right=Right.READ,
        query=NoParameters,
        headers=(IF_NONE_MATCH,),
        answers={200: Answer(description="The outage.", model=OutageDetail, headers=TAG), 304: UNCHANGED},
        errors=READ_ERRORS | _NO_SUCH,
    ),
    Endpoint(
        method="PATCH",
        path=_ONE,
        handler=change_outage_status,
        tag="outages",
        right=Right.CHANGE_INCIDENTS,
        query=NoParameters,
        body={"application/json": StatusChange},
        headers=(IF_MATCH,),
        answers={200: Answer(description="The outage as it is now.", model=OutageDetail)},
        errors=READ_ERRORS | _NO_SUCH | CHANGE_ERRORS | OUTDATED,
    ),
)
