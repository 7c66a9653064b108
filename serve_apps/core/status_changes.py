"""Sets the status of an incident or an outage: the body, the id in the path, and the refusals."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serve_apps.core.preconditions import if_match
from serve_apps.core.requests import CoreResources
from serve_apps.http.bodies import MAX_PATCH_BYTES, read_body
from serve_apps.http.endpoint import Call
from serve_apps.http.parameters import NoParameters
from serve_apps.http.problems import Problem
from signals.services.incidents.bulk_status import StatusSetter
from signals.services.incidents.precondition import Precondition
from signals.store.incidents.incident_names import Named

UNKNOWN_STATUS: Final = (422, "unknown_status", "The status is one of open, investigating, resolved.")
CHANGE_ERRORS: Final = {
    408: "The body did not arrive in time.",
    409: "This status cannot be set now; the problem says why.",
    413: "The body is too large.",
    415: "Content-Encoding is not supported.",
    422: "There is no such status.",
}
"""What an endpoint that sets a status may answer, beside the errors of reading."""


class StatusChange(BaseModel):
    """The body of a status change."""

    model_config = ConfigDict(extra="forbid")

    status: Annotated[str, Field(max_length=64, description="open, investigating or resolved")]


async def read_change(call: Call[NoParameters]) -> str:
    """Return the status that the body asks for; it may be unknown.

    Raises:
        Problem: 400 when the body is not one, or what reading it raises.
    """
    try:
        change = StatusChange.model_validate_json(await read_body(call.request, MAX_PATCH_BYTES))
    except ValidationError as error:
        detail = 'Send JSON like {"status": "investigating"}.'
        raise Problem(400, "invalid_body", detail) from error
    return change.status


async def apply_change(
    call: Call[NoParameters], set_status: StatusSetter, subject_id: UUID, refusals: Mapping[str, Problem]
) -> None:
    """Set the status that the body asks for, in the name of the key; If-Match may name the version.

    Raises:
        Problem: what `refusals` has for the outcome, 422 for an unknown status, or what `read_change` raises.
    """
    status, only_if = await read_change(call), Precondition(version=if_match(call))
    outcome = await call.in_thread(
        set_status, call.tenancy, subject_id, status, actor=call.principal.actor, only_if=only_if
    )
    if outcome == "unknown_status":
        raise Problem(*UNKNOWN_STATUS)
    if outcome != "changed":
        raise refusals[outcome]


def id_in_path(core: CoreResources, call: Call[Any], named: Named, missing: Callable[[], Problem]) -> UUID:
    """Return the id of the incident or outage that the path names: whole, by its first digits, or `latest`.

    It may ask PostgreSQL, and so block. An incident's digits lead to its outage where one is asked for.

    Raises:
        Problem: `missing`, when nothing has this name; 409 when several have.
    """
    text = call.request.path_params[f"{named}_id"]
    if named == "incident":
        with suppress(ValueError):
            return UUID(text)
    found = core.names.find(call.tenancy, named, text)
    if found == "unknown":
        raise missing()
    if found == "ambiguous":
        raise ambiguous_id()
    return found


def ambiguous_id() -> Problem:
    """Return the answer to first digits that several ids have."""
    return Problem(409, "ambiguous_id", "Several ids begin like this; write more digits.")
