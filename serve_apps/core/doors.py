"""The endpoints of doors: which events of other products' clients are signups, and which parts are kept."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from serve_apps.core.requests import ADMIN_ERRORS, READ_ERRORS, CoreResources
from serve_apps.http.answers import json_answer
from serve_apps.http.bodies import MAX_EVENT_BYTES, read_body
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.parameters import NoParameters
from serve_apps.http.problems import Problem
from signals.domain.access.scopes import Right
from signals.domain.events.door_settings import MAX_NAME_CHARS, MAX_SIGNUP_NAMES, KeptField
from signals.services.events.project_doors import DoorsChange, DoorSettingsRefused, ProjectDoors

_PATH = "/v1/doors"


class DoorSettingsPatch(BaseModel):
    """Settings to replace; a member that is left out stays. `signup_names` of null is the built-in list."""

    model_config = ConfigDict(extra="forbid")

    signup_names: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]] | None,
        Field(max_length=MAX_SIGNUP_NAMES),
    ] = None
    kept_fields: list[KeptField] = []
    vercel_secret: Annotated[
        str | None, Field(max_length=MAX_NAME_CHARS, description="signs Vercel's hooks; never shown again")
    ] = None


def get_door_settings(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Return the project's settings for the payloads of other products' clients."""
    return json_answer(call.request, core.door_settings.read(call.tenancy.project_id))


async def change_door_settings(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Change the project's settings; needs an admin key. ingest-api follows within a minute."""
    try:
        patch = DoorSettingsPatch.model_validate_json(await read_body(call.request, MAX_EVENT_BYTES))
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"])) or "body"
        raise Problem(400, "invalid_body", f"{where}: {fault['msg']}.") from error
    given = patch.model_fields_set
    change = DoorsChange(
        signup_names=patch.signup_names,
        default_names="signup_names" in given and patch.signup_names is None,
        kept_fields=patch.kept_fields if "kept_fields" in given else None,
        vercel_secret=(patch.vercel_secret or "") if "vercel_secret" in given else None,
    )
    try:
        change_settings, actor = core.door_settings.change, call.principal.actor
        settings = await call.in_thread(change_settings, call.tenancy.project_id, change, actor=actor)
    except DoorSettingsRefused as error:
        detail = f"{error.field}: {error}."
        raise Problem(422, "invalid_setting", detail, members={"field": error.field}) from error
    return json_answer(call.request, settings)


ENDPOINTS: tuple[Endpoint[CoreResources], ...] = (
    Endpoint(
        method="GET",
        path=_PATH,
        handler=get_door_settings,
        tag="doors",
        right=Right.READ,
        query=NoParameters,
        answers={200: Answer(description="The settings.", model=ProjectDoors)},
        errors=READ_ERRORS,
    ),
    Endpoint(
        method="PATCH",
        path=_PATH,
        handler=change_door_settings,
        tag="doors",
        right=Right.CHANGE_DOORS,
        query=NoParameters,
        body={"application/json": DoorSettingsPatch},
        answers={200: Answer(description="The settings as they are now.", model=ProjectDoors)},
        errors=ADMIN_ERRORS
        | {
            408: "The body did not arrive in time.",
            413: "The body is too large.",
            415: "Content-Encoding is not supported.",
            422: "A value cannot be set; the problem names it.",
        },
    ),
)
