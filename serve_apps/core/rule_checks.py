"""The endpoint that tries a draft rule on the stored counts of its project."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from serve_apps.core.requests import READ_ERRORS, CoreResources
from serve_apps.core.rules import BODY_ERRORS, RULE_SCHEMA, bad_rule
from serve_apps.http.answers import json_answer
from serve_apps.http.bodies import MAX_RULE_BYTES, read_body
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.parameters import NoParameters
from serve_apps.http.problems import Problem
from signals.domain.access.scopes import Right
from signals.domain.detection.rule_text import BadRule
from signals.services.detection.rule_preview import RulePreview

_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)

SeriesAttribute = Literal["environment", "error_code", "route"]


class PreviewRequest(BaseModel):
    """A draft rule, and where to try it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    rule: Annotated[dict[str, Any], Field(json_schema_extra=RULE_SCHEMA)]
    series: Annotated[
        dict[SeriesAttribute, Annotated[str, Field(max_length=512, pattern=r"^[^\x00]*$")]],
        Field(description="values that a series must have; left out: every series of the project"),
    ] = {}
    until: Annotated[
        Annotated[AwareDatetime, Field(ge=_EARLIEST, le=_LATEST)] | None,
        Field(description="end of the fortnight; left out: now"),
    ] = None


async def preview_rule(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Return the incidents that a draft would have opened in the last 14 days. Nothing is stored."""
    try:
        request = PreviewRequest.model_validate_json(await read_body(call.request, MAX_RULE_BYTES))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        detail = f'{where or "the body"}: {fault["msg"]}. Send JSON like {{"rule": {{…}}, "series": {{…}}}}.'
        raise Problem(400, "invalid_body", detail) from error
    try:
        series = {str(name): value for name, value in request.series.items()}
        found = await call.in_thread(
            core.rule_previewer.preview, call.tenancy, request.rule, series, request.until
        )
    except BadRule as error:
        raise bad_rule(error) from error
    return json_answer(call.request, found)


ENDPOINTS: tuple[Endpoint[CoreResources], ...] = (
    Endpoint(
        method="POST",
        path="/v1/rules/preview",
        handler=preview_rule,
        tag="rules",
        right=Right.READ,
        query=NoParameters,
        body={"application/json": PreviewRequest},
        answers={200: Answer(description="The incidents.", model=RulePreview)},
        errors=READ_ERRORS
        | BODY_ERRORS
        | {422: "The rule cannot be used; `field` names the field at fault, the detail its bounds."},
    ),
)
