"""The endpoints of everyday work on an outage: assignee, comments, snooze, timeline."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.responses import Response

from serve_apps.core.outages import named_outage, no_such_outage
from serve_apps.core.preconditions import IF_MATCH, OUTDATED, if_match, version_changed
from serve_apps.core.requests import (
    IF_NONE_MATCH,
    MODEL_ERRORS,
    READ_ERRORS,
    TAG,
    UNCHANGED,
    Assignee,
    CoreResources,
)
from serve_apps.http.answers import json_answer, tagged_answer
from serve_apps.http.bodies import read_model
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.parameters import NoParameters
from serve_apps.http.problems import Problem
from shared_types.envelope import Timestamp
from signals.domain.access.scopes import Right
from signals.services.incidents.outage_answers import OutageDetail
from signals.services.incidents.outage_work import Snooze
from signals.services.incidents.precondition import Precondition
from signals.services.incidents.work_refused import VERSION_CHANGED, WorkRefused
from signals.store.incidents.incident_changes import OutageEntry

MAX_COMMENT: Final = 4_096  # characters; guess: longer texts belong into a document
MAX_EVENTS: Final = 1_000_000_000


def _storable(text: str) -> str:
    if not text.strip():
        raise ValueError("write a text")
    if any(not (one.isprintable() or one in "\n\t") for one in text):
        raise ValueError("it has control characters")
    return text


class NewComment(BaseModel):
    """The body of a comment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: Annotated[str, Field(min_length=1, max_length=MAX_COMMENT), AfterValidator(_storable)]


class AssigneeChange(BaseModel):
    """The body that assigns an outage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    assignee: Assignee | None = Field(description="a name or mail address; null: no person")


class SnoozeChange(BaseModel):
    """The body that snoozes an outage. A worse severity wakes it always."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    until: Timestamp = Field(description="RFC 3339; 30 days at most")
    events: Annotated[int, Field(ge=1, le=MAX_EVENTS)] | None = Field(
        default=None, description="so many more events of its series wake it before"
    )


def outage_timeline(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Return what happened to the outage and its incidents, oldest first: each change, when, and by whom."""
    changes = core.outage_work.timeline(call.tenancy, named_outage(core, call))
    if changes is None:
        raise no_such_outage()
    return tagged_answer(call.request, changes)


async def comment_on_outage(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Add a comment to the outage's timeline."""
    body = await read_model(call.request, NewComment)
    outage_id = await call.in_thread(named_outage, core, call)
    work = core.outage_work.comment
    _found(await call.in_thread(work, call.tenancy, outage_id, body.text, actor=_actor(call)))
    return await _timeline(core, call, outage_id)


async def assign_outage(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Set who works on the outage; null takes it back."""
    body = await read_model(call.request, AssigneeChange)
    outage_id = await call.in_thread(named_outage, core, call)
    with refused_work():
        work, only_if = core.outage_work.assign, Precondition(version=if_match(call))
        actor = _actor(call)
        _found(
            await call.in_thread(work, call.tenancy, outage_id, body.assignee, actor=actor, only_if=only_if)
        )
    return await _outage(core, call, outage_id)


async def snooze_outage(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Hold the outage's messages until an instant, more events, or a worse severity; its end is sent."""
    body = await read_model(call.request, SnoozeChange)
    outage_id = await call.in_thread(named_outage, core, call)
    wanted = Snooze(until=body.until, events=body.events)
    with refused_work():
        work, only_if = core.outage_work.snooze, Precondition(version=if_match(call))
        actor = _actor(call)
        _found(await call.in_thread(work, call.tenancy, outage_id, wanted, actor=actor, only_if=only_if))
    return await _outage(core, call, outage_id)


async def wake_outage(core: CoreResources, call: Call[NoParameters]) -> Response:
    """End the snooze of an outage; without one nothing changes."""
    outage_id = await call.in_thread(named_outage, core, call)
    _found(await call.in_thread(core.outage_work.wake, call.tenancy, outage_id, actor=_actor(call)))
    return await _outage(core, call, outage_id)


@contextmanager
def refused_work() -> Iterator[None]:
    """Turn a refusal of the work into its answer."""
    try:
        yield
    except WorkRefused as error:
        if error.code == VERSION_CHANGED:
            raise version_changed("outage") from error
        raise Problem(422 if error.code == "invalid_until" else 409, error.code, str(error)) from error


def _actor(call: Call[NoParameters]) -> str:
    return call.principal.actor


def _found(was_found: bool) -> None:
    if not was_found:
        raise no_such_outage()


async def _outage(core: CoreResources, call: Call[NoParameters], outage_id: UUID) -> Response:
    detail = await call.in_thread(core.outages.detail, call.tenancy, outage_id)
    if detail is None:
        raise no_such_outage()
    return json_answer(call.request, detail)


async def _timeline(core: CoreResources, call: Call[NoParameters], outage_id: UUID) -> Response:
    return json_answer(
        call.request, await call.in_thread(core.outage_work.timeline, call.tenancy, outage_id), status=201
    )


_ONE: Final = "/v1/outages/{outage_id}"
_NO_SUCH: Final = {
    404: "The key's project has no such outage.",
    409: "Several ids begin like this, or the outage is over; the problem says which.",
}
_DETAIL: Final = {200: Answer(description="The outage as it is now.", model=OutageDetail)}

ENDPOINTS: tuple[Endpoint[CoreResources], ...] = (
    Endpoint(
        method="GET",
        path=f"{_ONE}/timeline",
        handler=outage_timeline,
        tag="outages",
        right=Right.READ,
        query=NoParameters,
        headers=(IF_NONE_MATCH,),
        answers={
            200: Answer(description="Its changes.", model=list[OutageEntry], headers=TAG),
            304: UNCHANGED,
        },
        errors=READ_ERRORS | _NO_SUCH,
    ),
    Endpoint(
        method="POST",
        path=f"{_ONE}/comments",
        handler=comment_on_outage,
        tag="outages",
        right=Right.CHANGE_INCIDENTS,
        query=NoParameters,
        body={"application/json": NewComment},
        answers={201: Answer(description="The timeline with the comment.", model=list[OutageEntry])},
        errors=READ_ERRORS | _NO_SUCH | MODEL_ERRORS,
    ),
    Endpoint(
        method="PUT",
        path=f"{_ONE}/assignee",
        handler=assign_outage,
        tag="outages",
        right=Right.CHANGE_INCIDENTS,
        query=NoParameters,
        body={"application/json": AssigneeChange},
        headers=(IF_MATCH,),
        answers=_DETAIL,
        errors=READ_ERRORS | _NO_SUCH | MODEL_ERRORS | OUTDATED,
    ),
    Endpoint(
        method="PUT",
        path=f"{_ONE}/snooze",
        handler=snooze_outage,
        tag="outages",
        right=Right.CHANGE_INCIDENTS,
        query=NoParameters,
        body={"application/json": SnoozeChange},
        headers=(IF_MATCH,),
        answers=_DETAIL,
        errors=READ_ERRORS | _NO_SUCH | MODEL_ERRORS | OUTDATED,
    ),
    Endpoint(
        method="DELETE",
        path=f"{_ONE}/snooze",
        handler=wake_outage,
        tag="outages",
        right=Right.CHANGE_INCIDENTS,
        query=NoParameters,
        answers=_DETAIL,
        errors=READ_ERRORS | _NO_SUCH,
    ),
)
