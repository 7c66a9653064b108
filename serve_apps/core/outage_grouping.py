"""The endpoints by which people merge outages, and split a series off."""

from typing import Annotated, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from serve_apps.core.outage_work import refused_work
from serve_apps.core.outages import named_outage, no_such_outage
from serve_apps.core.preconditions import IF_MATCH, OUTDATED, if_match
from serve_apps.core.requests import MODEL_ERRORS, CoreResources
from serve_apps.core.status_changes import ambiguous_id
from serve_apps.core.subject_rows import OUTAGE, SubjectPart, change
from serve_apps.http.answers import json_answer
from serve_apps.http.bodies import read_model
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.parameters import NoParameters
from serve_apps.http.problems import Problem
from signals.services.incidents.outage_answers import OutageDetail
from signals.store.incidents.incident_names import Named

SubjectName = Annotated[str, Field(min_length=1, max_length=64)]


class OutageMerge(BaseModel):
    """The body that merges an outage into another one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    into: SubjectName = Field(description="the outage that takes the incidents: id, first digits or latest")


class OutageSplit(BaseModel):
    """The body that splits a series off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    incident: SubjectName = Field(description="an incident of the series: id or first digits")


async def merge_outage(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Move all incidents of an outage to another one, with which both ids are answered then.

    Both must be settled, that is ten minutes old: before, the incidents are divided by their cause.
    """
    body, version = await read_model(call.request, OutageMerge), if_match(call)
    outage_id = await call.in_thread(named_outage, core, call)
    into_id = await call.in_thread(_found, core, call, "outage", body.into)
    work, actor = core.outage_work.merge, call.principal.actor
    with refused_work():
        merged = await call.in_thread(work, call.tenancy, outage_id, into_id, actor=actor, version=version)
    return json_answer(call.request, await call.in_thread(_detail, core, call, merged))


async def split_outage(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Move the series of an incident from its outage to a new one; later ones join it."""
    body, version = await read_model(call.request, OutageSplit), if_match(call)
    outage_id = await call.in_thread(named_outage, core, call)
    incident_id = await call.in_thread(_found, core, call, "incident", body.incident)
    work, actor = core.outage_work.split, call.principal.actor
    with refused_work():
        made = await call.in_thread(work, call.tenancy, outage_id, incident_id, actor=actor, version=version)
    return json_answer(call.request, await call.in_thread(_detail, core, call, made), status=201)


def _found(core: CoreResources, call: Call[NoParameters], named: Named, text: str) -> UUID:
    found = core.names.find(call.tenancy, named, text)
    if found == "ambiguous":
        raise ambiguous_id()
    if found == "unknown":
        raise Problem(422, f"unknown_{named}", f"The body names an {named} that your project does not have.")
    return found


def _detail(core: CoreResources, call: Call[NoParameters], outage_id: UUID | None) -> OutageDetail:
    detail = core.outages.detail(call.tenancy, outage_id) if outage_id else None
    if detail is None:
        raise no_such_outage()
    return detail


_ERRORS: Final = (
    MODEL_ERRORS
    | OUTDATED
    | {409: "Several ids begin like this, or the outages cannot be divided so; the problem says why."}
)
_HEADERS: Final = (IF_MATCH,)
_MERGED: Final = {200: Answer(description="The outage that has the incidents now.", model=OutageDetail)}
_SPLIT: Final = {201: Answer(description="The new outage.", model=OutageDetail)}
_MERGING: Final = SubjectPart(of=OUTAGE, name="merge", tag="outages")
_SPLITTING: Final = SubjectPart(of=OUTAGE, name="split", tag="outages")

ENDPOINTS: tuple[Endpoint[CoreResources], ...] = (
    change(_MERGING, merge_outage, OutageMerge, _MERGED, _ERRORS, _HEADERS),
    change(_SPLITTING, split_outage, OutageSplit, _SPLIT, _ERRORS, _HEADERS),
)
