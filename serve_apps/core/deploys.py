"""The endpoints of deploys: list them, and compare the minutes before one with those after."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from pydantic import Field
from starlette.responses import Response

from serve_apps.core.requests import (
    BLANK,
    READ_ERRORS,
    CoreResources,
    Cursor,
    Instant,
    Limit,
    ProjectId,
    check_project,
)
from serve_apps.http.answers import json_answer
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.parameters import NoParameters
from serve_apps.http.problems import Problem
from shared_types import Environment
from signals.domain.access.scopes import Right
from signals.services.deploys.views import MAX_SERVICE_CHARS, DeployDetail, DeployPage, DeployRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployQuery:
    """The parameters of a list of deploys."""

    project_id: ProjectId = None
    env: Annotated[Environment | None, BLANK] = None
    service: Annotated[
        Annotated[str, Field(max_length=MAX_SERVICE_CHARS)] | None,
        BLANK,
        Field(description="deploys of this service only"),
    ] = None
    since: Instant = None
    until: Instant = None
    limit: Limit = 50
    cursor: Cursor = None


def list_deploys(core: CoreResources, call: Call[DeployQuery]) -> Response:
    """List the project's deploys, newest first; since and until select when they occurred."""
    query = call.query
    check_project(call.tenancy, query.project_id)
    request = DeployRequest(
        environment=query.env and query.env.value,
        service=query.service,
        since=query.since,
        until=query.until,
        limit=query.limit,
        cursor=query.cursor,
    )
    return json_answer(call.request, core.deploys.page(call.tenancy, request))


def get_deploy(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Return one deploy: errors and signups before and after, and the incidents that began after it."""
    try:
        deploy_id = UUID(call.request.path_params["deploy_id"])
    except ValueError as error:
        raise _no_such_deploy() from error
    detail = core.deploys.detail(call.tenancy, deploy_id)
    if detail is None:
        raise _no_such_deploy()
    return json_answer(call.request, detail)


def _no_such_deploy() -> Problem:
    return Problem(404, "no_such_deploy", "Your project has no deploy with this id.")


ENDPOINTS: tuple[Endpoint[CoreResources], ...] = (
    Endpoint(
        method="GET",
        path="/v1/deploys",
        handler=list_deploys,
        tag="deploys",
        right=Right.READ,
        query=DeployQuery,
        answers={200: Answer(description="One page.", model=DeployPage)},
        errors=READ_ERRORS,
    ),
    Endpoint(
        method="GET",
        path="/v1/deploys/{deploy_id}",
        handler=get_deploy,
        tag="deploys",
        right=Right.READ,
        query=NoParameters,
        answers={200: Answer(description="The deploy.", model=DeployDetail)},
        errors=READ_ERRORS | {404: "The key's project has no such deploy."},
    ),
)
