"""The endpoints of questions about an incident: ask one and follow its answer, and read former ones."""

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.responses import Response

from serve_apps.core.incidents import named_incident, no_such_incident
from serve_apps.core.requests import CoreResources
from serve_apps.core.subject_rows import INCIDENT, SubjectPart, change, reading
from serve_apps.http.answers import json_answer
from serve_apps.http.bodies import read_model
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.event_stream import Emit, HasLeft, event_stream
from serve_apps.http.parameters import NoParameters
from serve_apps.http.problems import Problem
from signals.domain.summary.answer import tidy
from signals.domain.summary.conversation.asking import MAX_QUESTION_CHARS
from signals.services.summary.conversing import Listener
from signals.services.summary.questions import REFUSAL_STATUSES, QuestionRefused
from signals.store.summary.questions import AnsweredQuestion

RETRY_AFTER_S: Final = {"questions_spent": 3600, "tokens_spent": 3600, "busy": 30}  # guess: worth another try


def _printable(text: str) -> str:
    found = tidy(text, MAX_QUESTION_CHARS)
    if not found:
        raise ValueError("must hold printable text")
    return found


class AskedQuestion(BaseModel):
    """The body of a question."""

    model_config = ConfigDict(extra="forbid")

    question: Annotated[str, Field(min_length=1, max_length=MAX_QUESTION_CHARS), AfterValidator(_printable)]


async def ask_question(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Ask the model about an incident, and follow its tools and checked statements as server-sent events.

    Events: `tool`, `statement`, `dropped`, then `done` with all of it, or `failed`. A read key may do this.
    """
    incident_id = await call.in_thread(named_incident, core, call)
    asked = await read_model(call.request, AskedQuestion)
    actor = call.principal.actor
    try:
        prepared = await call.in_thread(
            core.questions.prepare, call.tenancy, incident_id, asked.question, actor=actor
        )
    except QuestionRefused as error:
        retry = RETRY_AFTER_S.get(error.code)
        headers = {"Retry-After": str(retry)} if retry else None
        raise Problem(REFUSAL_STATUSES[error.code], error.code, str(error), headers=headers) from error

    def work(emit: Emit, has_left: HasLeft) -> None:
        prepared.run(Listener(emit=emit, has_left=has_left))

    return event_stream(work, call.threads)


def incident_questions(core: CoreResources, call: Call[NoParameters]) -> Response:
    """List the newest questions about an incident with their answers."""
    found = core.questions.of_incident(call.tenancy, named_incident(core, call))
    if found is None:
        raise no_such_incident()
    return json_answer(call.request, found)


_PART: Final = SubjectPart(of=INCIDENT, name="questions", tag="questions")
_REFUSALS: Final = {
    409: "No model is configured, which the problem names; or several ids begin like this.",
    429: "The day's questions or tokens are used, or others are being answered; see Retry-After.",
}
_STREAM: Final = {200: Answer(description="A stream of server-sent events (text/event-stream).")}

ENDPOINTS: tuple[Endpoint[CoreResources], ...] = (
    reading(_PART, incident_questions, Answer(description="The newest.", model=list[AnsweredQuestion])),
    change(_PART, ask_question, AskedQuestion, _STREAM, _REFUSALS),
)
