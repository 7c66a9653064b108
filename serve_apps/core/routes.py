"""The routes of core-api: parse, authenticate, call, answer. What an answer means is decided in services."""

import asyncio
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serve_apps.core import ledger_routes
from serve_apps.core.answers import json_answer
from serve_apps.core.requests import (
    BLANK,
    Core,
    Cursor,
    Instant,
    Limit,
    ProjectId,
    Reader,
    Threads,
    check_project,
    no_such_incident,
)
from serve_apps.http.bodies import read_body
from serve_apps.http.problems import Problem
from shared_types import Environment
from signals.domain.queries.search import MAX_FILTERS_TEXT, MAX_PAIRS, MAX_TEXT
from signals.services.events.search import SearchPage, SearchRequest
from signals.services.incidents.views import IncidentDetail, IncidentPage, ListRequest, Outcome
from signals.services.operations.readiness import Readiness
from signals.store.incidents.incident_views import Status

MAX_PATCH_BYTES: Final = 4096

router = APIRouter()
router.include_router(ledger_routes.router)


class StatusChange(BaseModel):
    """The body of a status change."""

    model_config = ConfigDict(extra="forbid")

    status: Annotated[str, Field(max_length=64, description="open, investigating or resolved")]


class Liveness(BaseModel):
    """The process answers."""

    status: str = "ok"


class Welcome(BaseModel):
    """Where to look."""

    name: str = "Customer Signals Copilot"
    documentation: str = "/docs"
    openapi: str = "/openapi.json"
    readiness: str = "/readyz"


async def _incident_id(incident_id: str) -> UUID:
    try:
        return UUID(incident_id)
    except ValueError as error:
        raise no_such_incident() from error


async def _status_change(request: Request, _: Reader) -> StatusChange:
    body = await read_body(request, MAX_PATCH_BYTES)
    try:
        return StatusChange.model_validate_json(body)
    except ValidationError as error:
        detail = 'Send JSON like {"status": "investigating"}.'
        raise Problem(400, "invalid_body", detail) from error


@router.get("/", tags=["about"])
async def welcome() -> Welcome:
    """Say where to look."""
    return Welcome()


@router.get("/healthz", tags=["about"])
async def healthz() -> Liveness:
    """Answer as long as the process lives; asks no server."""
    return Liveness()


@router.get("/readyz", tags=["about"], responses={503: {"model": Readiness}})
def readyz(core: Core, response: Response) -> Readiness:
    """Name every server and every expected consumer with its state; 503 unless all are well."""
    readiness = core.readiness.check()
    response.status_code = 200 if readiness.ready else 503
    return readiness


@router.get("/v1/incidents", tags=["incidents"], response_model=IncidentPage)
def list_incidents(
    reader: Reader,
    core: Core,
    project_id: ProjectId = None,
    env: Annotated[Environment | None, BLANK, Query()] = None,
    status: Annotated[Status | None, BLANK, Query()] = None,
    since: Instant = None,
    until: Instant = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """List the project's incidents, newest opening first; since and until select those active between."""
    check_project(reader, project_id)
    request = ListRequest(
        environment=env and env.value, status=status, since=since, until=until, limit=limit, cursor=cursor
    )
    return json_answer(core.investigating.page(reader, request))


@router.get("/v1/incidents/{incident_id}", tags=["incidents"], response_model=IncidentDetail)
def get_incident(reader: Reader, core: Core, incident_id: Annotated[UUID, Depends(_incident_id)]) -> Response:
    """Return one incident: why it fired, its chart, representative events, AI jobs, latest summary."""
    detail = core.investigating.detail(reader, incident_id)
    if detail is None:
        raise no_such_incident()
    return json_answer(detail)


@router.patch(
    "/v1/incidents/{incident_id}",
    tags=["incidents"],
    response_model=IncidentDetail,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": StatusChange.model_json_schema()}},
        }
    },
)
def change_status(
    reader: Reader,
    core: Core,
    incident_id: Annotated[UUID, Depends(_incident_id)],
    change: Annotated[StatusChange, Depends(_status_change)],
) -> Response:
    """Set an incident's status. There are two scopes only, so a read key may do this."""
    outcome = core.investigating.set_status(reader, incident_id, change.status)
    if outcome != "changed":
        raise _refused(outcome)
    return get_incident(reader, core, incident_id)


def _refused(outcome: Outcome) -> Problem:
    if outcome == "unknown_incident":
        return no_such_incident()
    detail = {
        "unknown_status": "The status is one of open, investigating, resolved.",
        "stale": "Somebody changed the status meanwhile; read the incident again.",
        "another_open": "A newer incident of the same fingerprint is not resolved; work on that one.",
    }[outcome]
    return Problem(409, outcome, detail)


@router.get("/v1/search/events", tags=["events"], response_model=SearchPage)
async def search_events(
    reader: Reader,
    core: Core,
    threads: Threads,
    q: Annotated[
        Annotated[str, Field(max_length=MAX_TEXT)] | None,
        BLANK,
        Query(description='words (all must occur), "phrases", -not, prefix*, a | b'),
    ] = None,
    filters: Annotated[
        list[Annotated[str, Field(max_length=MAX_FILTERS_TEXT)]],
        Query(
            max_length=MAX_PAIRS,
            description='key:value pairs, like `severity:error,route:"/a b",status_code:>=500`; '
            "repeat a key for alternatives; ranges like `occurred_at:[2025-12-27T10:00:00Z TO *]`",
        ),
    ] = [],  # noqa: B006  # FastAPI copies defaults
    project_id: ProjectId = None,
    since: Instant = None,
    until: Instant = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Search the project's events, newest first; facets and histogram come with the first page."""
    check_project(reader, project_id)
    request = SearchRequest(text=q, filters=filters, since=since, until=until, limit=limit, cursor=cursor)
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(threads, lambda: json_answer(core.searching.search(reader, request)))
