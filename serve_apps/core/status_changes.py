"""Sets the status of an incident or an outage: the body, the id in the path, and the refusals."""

from collections.abc import Callable, Mapping
from typing import Annotated, Final, Protocol
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serve_apps.http.bodies import MAX_PATCH_BYTES, read_body
from serve_apps.http.endpoint import Call
from serve_apps.http.parameters import NoParameters
from serve_apps.http.problems import Problem
from shared_types import Tenancy

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


class SetStatus(Protocol):
    """Sets the status of what has an id, for an actor; returns `changed`, or why not."""

    def __call__(self, tenancy: Tenancy, subject_id: UUID, status: str, /, *, actor: str) -> str:
        """Return the outcome."""


async def apply_change(
    call: Call[NoParameters], set_status: SetStatus, subject_id: UUID, refusals: Mapping[str, Problem]
) -> None:
    """Set the status that the body asks for, in the name of the key.

    Raises:
        Problem: what `refusals` has for the outcome, 422 for an unknown status, or what `read_change` raises.
    """
    status = await read_change(call)
    actor = f"key:{call.principal.key_id}"
    outcome = await call.in_thread(set_status, call.tenancy, subject_id, status, actor=actor)
    if outcome == "unknown_status":
        raise Problem(*UNKNOWN_STATUS)
    if outcome != "changed":
        raise refusals[outcome]


def id_in_path(call: Call[NoParameters], name: str, missing: Callable[[], Problem]) -> UUID:
    """Return the id that the path names.

    Raises:
        Problem: `missing`, when the text is no id: nothing has it.
    """
    try:
        return UUID(call.request.path_params[name])
    except ValueError as error:
        raise missing() from error
