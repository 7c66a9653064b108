"""The endpoints that try a draft rule on stored counts, and say why no incident opened."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from serve_apps.core.requests import BLANK, READ_ERRORS, CoreResources, Instant, ProjectId, check_project
from serve_apps.core.rule_requests import BODY_ERRORS, RULE_SCHEMA, bad_rule
from serve_apps.http.answers import encode, json_answer
from serve_apps.http.bodies import MAX_RULE_BYTES, read_body
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.parameters import NoParameters
from serve_apps.http.problems import Problem
from shared_types import Environment, EventType, Tenancy, parse_envelope
from shared_types.tidying import tidy_value
from signals.domain.access.scopes import Right
from signals.domain.detection.rule_text import BadRule
from signals.domain.queries.parameters import InvalidQuery, checked_text, instant
from signals.services.detection.preview_answers import RulePreview
from signals.services.detection.series_question import SeriesQuestion
from signals.services.detection.why_not import WhyNot
from signals.services.events.search import SearchRequest

_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)

SeriesValue = Annotated[Annotated[str, Field(max_length=512)] | None, BLANK]
SeriesAttribute = Literal["environment", "error_code", "route"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyNotQuery:
    """The parameters of the question why no incident opened: an event's id, or a series and an instant."""

    event_id: Annotated[
        UUID | None, BLANK, Field(description="of an event; takes the place of all others")
    ] = None
    event_type: Annotated[EventType, Field(description="error, or another type")] = EventType.ERROR
    environment: Environment = Environment.PROD
    error_code: SeriesValue = None
    route: SeriesValue = None
    release: SeriesValue = None
    method: SeriesValue = None
    status_code: SeriesValue = None
    at: Instant = None
    project_id: ProjectId = None


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
        raise Problem(400, "invalid_body", detail, members={"field": where} if where else {}) from error
    try:
        series = {str(name): value for name, value in request.series.items()}
        found = await call.in_thread(
            core.rule_previewer.preview, call.tenancy, request.rule, series, request.until
        )
    except BadRule as error:
        raise bad_rule(error) from error
    return json_answer(call.request, found)


def why_not(core: CoreResources, call: Call[WhyNotQuery]) -> Response:
    """Say why no incident opened: how near each rule came in the hour around an instant, and every blocker.

    Name a series by its attributes and an instant, or one of your events by its id.
    """
    query = call.query
    check_project(call.tenancy, query.project_id)
    if query.event_id is not None:
        question = _question_of_event(core, call.tenancy, query.event_id)
    elif query.at is None:
        raise InvalidQuery("at", "write an instant with its offset, or give an event_id")
    else:
        question = _question_of_series(query, _within_reach(instant("at", query.at)))
    return json_answer(call.request, core.why_not.answer(call.tenancy, question))


def _question_of_series(query: WhyNotQuery, at: datetime) -> SeriesQuestion:
    """Read the attributes that are asked about, as events have them."""
    given = {
        name: getattr(query, name) for name in ("error_code", "route", "release", "method", "status_code")
    }
    values = {
        name: str(tidy)
        for name, value in given.items()
        if value and (tidy := tidy_value(name, checked_text(name, value, max_length=512))) is not None
    }
    return SeriesQuestion(
        event_type=query.event_type,
        environment=query.environment,
        error_code=values.pop("error_code", None),
        route=values.pop("route", None),
        at=at,
        more=values,
    )


def _question_of_event(core: CoreResources, tenancy: Tenancy, event_id: UUID) -> SeriesQuestion:
    request = SearchRequest(filters=[f"event_id:{event_id}"], limit=1)
    events = core.event_finder.search(tenancy, request).events
    if not events:
        detail = (
            "Your project has no event of this id: it was not accepted, is not searchable yet, or expired."
        )
        raise Problem(404, "no_such_event", detail)
    event = parse_envelope(encode(events[0]))
    return SeriesQuestion(
        event_type=event.event_type,
        environment=event.environment,
        error_code=event.attributes.error_code,
        route=event.attributes.route,
        at=event.occurred_at,
        received_at=event.received_at,
        more={
            "release": event.attributes.release,
            "method": event.attributes.method,
            "status_code": None
            if event.attributes.status_code is None
            else str(event.attributes.status_code),
            "severity": event.severity.value,
        },
    )


def _within_reach(at: datetime) -> datetime:
    if not _EARLIEST <= at <= _LATEST:
        raise InvalidQuery("at", f"write an instant from {_EARLIEST:%Y} to {_LATEST:%Y}")
    return at


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
    Endpoint(
        method="GET",
        path="/v1/why-not",
        handler=why_not,
        tag="rules",
        right=Right.READ,
        query=WhyNotQuery,
        answers={200: Answer(description="Near misses and blockers.", model=WhyNot)},
        errors=READ_ERRORS | {404: "The key's project has no such event."},
    ),
)
