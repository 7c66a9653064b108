"""What the routes of core-api have in common: resources, the reader's key, and the kinds of parameters."""

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Query, Request
from pydantic import BeforeValidator, Field
from starlette.concurrency import run_in_threadpool

from serve_apps.http.authorization import api_key, require
from serve_apps.http.parameters import check_documented
from serve_apps.http.problems import Problem
from shared_types import Tenancy
from signals.domain.access.api_keys import Scope
from signals.domain.queries import cursors
from signals.services.access.authentication import Authenticating
from signals.services.events.search import Searching
from signals.services.incidents.views import Investigating
from signals.services.ledger.audit import Auditing
from signals.services.operations.readiness import CheckingReadiness

MAX_PAGE: Final = 200
MAX_INSTANT_TEXT: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreResources:
    """What the routes need; opened by whoever hosts the app."""

    auditing: Auditing
    authenticating: Authenticating
    investigating: Investigating
    searching: Searching
    readiness: CheckingReadiness


async def _resources(request: Request) -> CoreResources:
    resources = request.app.state.resources
    assert isinstance(resources, CoreResources)
    return resources


Core = Annotated[CoreResources, Depends(_resources)]


async def _threads(request: Request) -> Executor:
    threads = request.app.state.threads
    assert isinstance(threads, Executor)
    return threads


Threads = Annotated[Executor, Depends(_threads)]
"""Threads that stay: in a replica those of AnyIO, which FastAPI would take, end with each request."""


async def _reader(
    request: Request,
    core: Core,
) -> Tenancy:
    key = api_key(request.headers)
    verdict = core.authenticating.check_cached(key)
    if verdict is None:
        verdict = await run_in_threadpool(core.authenticating.check, key)
    tenancy = require(verdict, Scope.READ).tenancy
    check_documented(request)
    return tenancy


def _blank_as_absent(value: object) -> object:
    return None if value == "" else value


Reader = Annotated[Tenancy, Depends(_reader)]
BLANK = BeforeValidator(_blank_as_absent)
Instant = Annotated[
    Annotated[str, Field(max_length=MAX_INSTANT_TEXT)] | None,
    BLANK,
    Query(description="RFC 3339 with its offset; write + as %2B"),
]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Cursor = Annotated[
    Annotated[str, Field(max_length=cursors.MAX_LENGTH)] | None,
    BLANK,
    Query(description="next_cursor of the page before"),
]
ProjectId = Annotated[
    Annotated[str, Field(max_length=64)] | None,
    BLANK,
    Query(description="the key's own project; others are refused"),
]


def no_such_incident() -> Problem:
    """Return the answer for another project's incident as for none."""
    return Problem(404, "no_such_incident", "Your project has no incident with this id.")


def check_project(reader: Tenancy, project_id: str | None) -> None:
    """Accept a request that names the reader's own project or none.

    Raises:
        Problem: 403 when it names another one.
    """
    if project_id not in (None, reader.project_id):
        raise Problem(403, "other_project", "This key reads its own project only; leave project_id out.")
