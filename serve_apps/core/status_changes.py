"""The body that sets a status, of an incident or an outage, and the errors that come with it."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serve_apps.http.bodies import MAX_PATCH_BYTES, read_body
from serve_apps.http.endpoint import Call
from serve_apps.http.parameters import NoParameters
from serve_apps.http.problems import Problem

UNKNOWN_STATUS: Final = (422, "The status is one of open, investigating, resolved.")
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
