"""The endpoints of feedback on summaries: give it, list it, and how often summaries are useful."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from starlette.responses import Response

from serve_apps.core.incidents import named_incident, no_such_incident
from serve_apps.core.outages import named_outage, no_such_outage
from serve_apps.core.requests import READ_ERRORS, CoreResources, Instant, Limit
from serve_apps.core.subject_rows import INCIDENT, OUTAGE, SubjectPart, change, reading
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
    return await _give(core, call, await call.in_thread(named_incident, core, call))


async def give_outage_feedback(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Say whether an outage's summary was useful: it is that of the incident that opened first."""
    return await _give(core, call, await call.in_thread(_summarized, core, call))


async def _give(core: CoreResources, call: Call[NoParameters], incident_id: UUID) -> Response:
    said = await read_model(call.request, SummaryFeedback)
    actor = call.principal.actor
    outcome = await call.in_thread(core.feedback.give, call.tenancy, incident_id, said, actor=actor)
    if outcome == "unknown_incident":
        raise no_such_incident()
    if outcome == "no_such_version":
        detail = "The incident has no summary of this version; leave version out for the newest."
        raise Problem(409, "no_such_version", detail)
    return json_answer(
        call.request, await call.in_thread(core.feedback.of_incident, call.tenancy, incident_id)
    )


def _summarized(core: CoreResources, call: Call[NoParameters]) -> UUID:
    """Return the incident whose summary is that of the outage in the path; it may block."""
    found = core.outages.first_incident(call.tenancy, named_outage(core, call))
    if found is None:
        raise no_such_outage()
    return found


def incident_feedback(core: CoreResources, call: Call[NoParameters]) -> Response:
    """List the feedback on one incident's summaries, newest first."""
    found = core.feedback.of_incident(call.tenancy, named_incident(core, call))
    if found is None:
        raise no_such_incident()
    return json_answer(call.request, found)


def outage_feedback(core: CoreResources, call: Call[NoParameters]) -> Response:
    """List the feedback on one outage's summaries, newest first: those of the incident that opened first."""
    return json_answer(call.request, core.feedback.of_incident(call.tenancy, _summarized(core, call)))


def list_feedback(core: CoreResources, call: Call[FeedbackQuery]) -> Response:
    """List the newest feedback on the project's summaries, with what each had named first."""
    query = call.query
    return json_answer(call.request, core.feedback.newest(call.tenancy, since=query.since, limit=query.limit))


def feedback_precision(core: CoreResources, call: Call[PrecisionQuery]) -> Response:
    """Return the share of useful summaries by rule, model and version of the prompt, with 95 % intervals."""
    return json_answer(call.request, core.feedback.precision(call.tenancy, since=call.query.since))


_SAID: Final = Answer(description="What was said.", model=list[FeedbackEntry])
_GIVEN: Final = {200: Answer(description="What was said, this included.", model=list[FeedbackEntry])}
_OF_INCIDENT: Final = SubjectPart(of=INCIDENT, name="feedback", tag="feedback")
_OF_OUTAGE: Final = SubjectPart(of=OUTAGE, name="feedback", tag="feedback")
_NO_VERSION: Final = {409: "There is no summary, or none of this version; or several ids begin like this."}

ENDPOINTS: tuple[Endpoint[CoreResources], ...] = (
    reading(_OF_INCIDENT, incident_feedback, _SAID),
    change(_OF_INCIDENT, give_feedback, SummaryFeedback, _GIVEN, _NO_VERSION),
    reading(_OF_OUTAGE, outage_feedback, _SAID),
    change(_OF_OUTAGE, give_outage_feedback, SummaryFeedback, _GIVEN, _NO_VERSION),
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
