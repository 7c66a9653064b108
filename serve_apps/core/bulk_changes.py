"""The endpoints that set the status of several outages or incidents, with one outcome each."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from serve_apps.core import incidents, outages
from serve_apps.core.requests import MODEL_ERRORS, READ_ERRORS, CoreResources
from serve_apps.core.status_changes import UNKNOWN_STATUS, ambiguous_id
from serve_apps.http.answers import json_answer
from serve_apps.http.bodies import read_model
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.parameters import NoParameters
from serve_apps.http.problems import Problem
from shared_types import Tenancy
from signals.domain.access.scopes import Right
from signals.services.incidents.bulk_status import MAX_AT_ONCE, BulkStatus, StatusSetter, StatusWish
from signals.services.incidents.precondition import Precondition
from signals.services.incidents.views import STATUSES
from signals.store.incidents.incident_names import Named

MAX_NAME: Final = 64  # characters: an id has 36


class BulkItem(BaseModel):
    """One to be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(min_length=1, max_length=MAX_NAME, description="whole, or its first digits")]
    version: Annotated[int, Field(ge=0, le=999_999_999)] | None = Field(
        default=None, description="as last read: it is changed only while it has this version"
    )


class BulkChange(BaseModel):
    """The body of a change of several."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Annotated[str, Field(max_length=64, description="open, investigating or resolved")]
    items: Annotated[list[BulkItem], Field(min_length=1, max_length=MAX_AT_ONCE)]


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkOutcome:
    """The outcome of one: 200 `changed`, else the status, code and detail that it alone would have got."""

    id: str
    status: int
    code: str
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkAnswer:
    """One outcome for each item, in their order."""

    items: list[BulkOutcome]


async def change_outages(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Set the status of up to 100 outages, each on its own; 207 when one was refused."""
    return await _change(core, call, "outage", core.outages.set_status, outages.refusals())


async def change_incidents(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Set the status of up to 100 incidents, each on its own; 207 when one was refused."""
    return await _change(core, call, "incident", core.incidents.set_status, incidents.refusals())


async def _change(
    core: CoreResources,
    call: Call[NoParameters],
    named: Named,
    set_status: StatusSetter,
    refusals: Mapping[str, Problem],
) -> Response:
    body = await read_model(call.request, BulkChange)
    if body.status not in STATUSES:
        raise Problem(*UNKNOWN_STATUS)
    bulk = BulkStatus(find=partial(_find, core, named), set_status=set_status)
    wishes = [StatusWish(name=one.id, only_if=Precondition(version=one.version)) for one in body.items]
    outcomes = await call.in_thread(
        bulk.change, call.tenancy, wishes, body.status, actor=call.principal.actor
    )
    known = {**refusals, "unknown": refusals[f"unknown_{named}"], "ambiguous": ambiguous_id()}
    answers = [
        _outcome(wish.name, known.get(outcome)) for wish, outcome in zip(wishes, outcomes, strict=True)
    ]
    is_whole = all(answer.status == 200 for answer in answers)
    return json_answer(call.request, BulkAnswer(items=answers), status=200 if is_whole else 207)


def _find(core: CoreResources, named: Named, tenancy: Tenancy, text: str) -> UUID | str:
    return core.names.find(tenancy, named, text)


def _outcome(name: str, refusal: Problem | None) -> BulkOutcome:
    if refusal is None:
        return BulkOutcome(id=name, status=200, code="changed", detail=None)
    return BulkOutcome(id=name, status=refusal.status, code=refusal.code, detail=refusal.detail)


_ANSWERS: Final = {
    200: Answer(description="All were changed.", model=BulkAnswer),
    207: Answer(description="Some were refused; each item says why.", model=BulkAnswer),
}

ENDPOINTS: tuple[Endpoint[CoreResources], ...] = (
    Endpoint(
        method="PATCH",
        path="/v1/outages",
        handler=change_outages,
        tag="outages",
        right=Right.CHANGE_INCIDENTS,
        query=NoParameters,
        body={"application/json": BulkChange},
        answers=_ANSWERS,
        errors=READ_ERRORS | MODEL_ERRORS,
    ),
    Endpoint(
        method="PATCH",
        path="/v1/incidents",
        handler=change_incidents,
        tag="incidents",
        right=Right.CHANGE_INCIDENTS,
        query=NoParameters,
        body={"application/json": BulkChange},
        answers=_ANSWERS,
        errors=READ_ERRORS | MODEL_ERRORS,
    ),
)
