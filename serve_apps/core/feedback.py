"""The endpoints of feedback on summaries: give it, list it, and how often summaries are useful."""

from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from serve_apps.core.incidents import named_incident, no_such_incident
from serve_apps.core.requests import READ_ERRORS, CoreResources, Instant, Limit
from serve_apps.core.status_changes import CHANGE_ERRORS
from serve_apps.http.answers import json_answer
from serve_apps.http.bodies import read_model
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.parameters import NoParameters
from serve_apps.http.problems import Problem
from signals.domain.access.scopes import Right
from signals.domain.summary.feedback import SummaryFeedback, SummaryPrecision
from signals.store.summary.feedback import FeedbackEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackQuery:
    """The parameters of a list of feedback."""

    since: Instant = None
    limit: Limit = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionQuery:
    """The parameters of precision."""

    since: Instant = None


async def give_feedback(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Say whether a summary was useful, and what it really was. A read key may do this."""
    incident_id = await call.in_thread(named_incident, core, call)
    said = await read_model(call.request, SummaryFeedback)
    actor = f"key:{call.principal.key_id}"
    outcome = await call.in_thread(core.feedback.give, call.tenancy, incident_id, said, actor=actor)
    if outcome == "unknown_incident":
        raise no_such_incident()
    if outcome == "no_such_version":
        detail = "The incident has no summary of this version; leave version out for the newest."
        raise Problem(409, "no_such_version", detail)
    return json_answer(
        call.request, await call.in_thread(core.feedback.of_incident, call.tenancy, incident_id)
    )


def incident_feedback(core: CoreResources, call: Call[NoParameters]) -> Response:
    """List the feedback on one incident's summaries, newest first."""
    found = core.feedback.of_incident(call.tenancy, named_incident(core, call))
    if found is None:
        raise no_such_incident()
    return json_answer(call.request, found)


def list_feedback(core: CoreResources, call: Call[FeedbackQuery]) -> Response:
    """List the newest feedback on the project's summaries, with what each had named first."""
    query = call.query
    return json_answer(call.request, core.feedback.newest(call.tenancy, since=query.since, limit=query.limit))


def feedback_precision(core: CoreResources, call: Call[PrecisionQuery]) -> Response:
    """Return the share of useful summaries by rule, model and version of the prompt, with 95 % intervals."""
    return json_answer(call.request, core.feedback.precision(call.tenancy, since=call.query.since))


_OF_INCIDENT: Final = "/v1/incidents/{incident_id}/feedback"
_NO_SUCH: Final = {404: "The key's project has no such incident."}
_GIVE_ERRORS: Final = {code: text for code, text in CHANGE_ERRORS.items() if code not in (409, 422)}

ENDPOINTS: tuple[Endpoint[CoreResources], ...] = (
    Endpoint(
        method="GET",
        path=_OF_INCIDENT,
        handler=incident_feedback,
        tag="feedback",
        right=Right.READ,
        query=NoParameters,
        answers={200: Answer(description="What was said.", model=list[FeedbackEntry])},
        errors=READ_ERRORS | _NO_SUCH,
    ),
    Endpoint(
        method="POST",
        path=_OF_INCIDENT,
        handler=give_feedback,
        tag="feedback",
        right=Right.CHANGE_INCIDENTS,
        query=NoParameters,
        body={"application/json": SummaryFeedback},
        answers={200: Answer(description="What was said, this included.", model=list[FeedbackEntry])},
        errors=READ_ERRORS
        | _NO_SUCH
        | _GIVE_ERRORS
        | {409: "The incident has no summary, or none of this version."},
    ),
    Endpoint(
        method="GET",
        path="/v1/feedback",
        handler=list_feedback,
        tag="feedback",
        right=Right.READ,
        query=FeedbackQuery,
        answers={200: Answer(description="The newest.", model=list[FeedbackEntry])},
        errors=READ_ERRORS,
    ),
    Endpoint(
        method="GET",
        path="/v1/feedback/precision",
        handler=feedback_precision,
        tag="feedback",
        right=Right.READ,
        query=PrecisionQuery,
        answers={200: Answer(description="Each kind of summary.", model=list[SummaryPrecision])},
        errors=READ_ERRORS,
    ),
)
