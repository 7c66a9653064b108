"""Talking about a summary: feedback on it, and questions to the model about its incident."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serve_apps.console.form_faults import BadForm, model_of
from serve_apps.console.pages import ConsolePage, Visit, missing, own_path, see_other
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.summaries import shown_answer
from serve_apps.http.event_stream import Emit, HasLeft, event_stream
from serve_apps.http.problems import NOT_STORED, Problem
from signals.domain.summary.answer import tidy
from signals.domain.summary.conversation.asking import MAX_QUESTION_CHARS
from signals.domain.summary.feedback import MAX_CAUSE_CHARS, SummaryFeedback
from signals.services.summary.conversing import SILENT, Listener
from signals.services.summary.questions import (
    AT_ONCE,
    REFUSAL_STATUSES,
    PreparedQuestion,
    QuestionRefused,
)
from signals.store.incidents.incident_context import StoredSummary

EVENT_STREAM: Final = "text/event-stream"
FORM_WAIT_S: Final = 20.0  # the proxy of Ray Serve gives up after 30 s without a byte (measured)
UNDER_WAY: Final = timedelta(minutes=2)  # an answer takes a minute at most; later its reader had left
FEEDBACK_LABELS: Final = {
    "useful": "Useful",
    "cause": "What it really was",
    "facts": "Words that a right cause names",
}
SHOWN_QUESTIONS: Final = 10  # guess: the newest; `signals incidents questions` lists more

log = structlog.get_logger(__name__)
_answering: Final = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="answering")
"""As many threads as there are places for questions: none waits for another."""


def talk_values(
    resources: ConsoleResources,
    visit: Visit,
    incident_id: UUID,
    summary: StoredSummary | None,
    names: Mapping[str, str],
) -> Mapping[str, Any]:
    """Return what a page shows below the summary of an incident; `names` are those of the people here."""
    tenancy = visit.where.tenancy
    may_change = visit.where.role.may("respond")
    return {
        "talk_incident": incident_id,
        "talk_version": summary.version if summary else None,
        "feedback": resources.feedback.answers_on(tenancy, incident_id) if summary else (),
        "names_of": names,
        "questions": resources.questions.asked_about(tenancy, incident_id, rows=SHOWN_QUESTIONS),
        "answer_of": shown_answer,
        "under_way_since": visit.clock.now - UNDER_WAY,
        "ask_refusal": resources.questions.refusal(tenancy) if may_change else None,
        "max_question": MAX_QUESTION_CHARS,
        "max_cause": MAX_CAUSE_CHARS,
    }


def give_feedback(resources: ConsoleResources, visit: Visit) -> Response:
    """Store whether the summary was useful, and what it really was, in the person's name."""
    form, incident_id = visit.form, visit.id("incident_id", "incident")
    fields: dict[str, Any] = {"is_visible": not form.get("not_visible")}
    if form.get("useful") in ("true", "false"):
        fields["useful"] = form["useful"] == "true"
    if form.get("version", "").isdecimal():
        fields["version"] = int(form["version"])
    if form.get("cause"):
        fields["cause"] = form["cause"]
    facts = tuple(one.strip() for one in form.get("facts", "").split(",") if one.strip())
    try:
        said = model_of(SummaryFeedback, fields | {"facts": facts}, FEEDBACK_LABELS)
    except BadForm as error:
        raise Problem(422, "invalid_feedback", str(error)) from error
    outcome = resources.feedback.give(visit.where.tenancy, incident_id, said, actor=visit.who.actor)
    if outcome == "unknown_incident":
        raise missing("incident")
    if outcome == "no_such_version":
        raise Problem(409, "no_such_version", "This version of the summary does not exist; reload the page.")
    return _back(visit, incident_id, "feedback")


def ask(resources: ConsoleResources, visit: Visit) -> Response:
    """Ask the model about an incident; the answer is streamed to a script, else shown when it is there."""
    incident_id = visit.id("incident_id", "incident")
    question = tidy(visit.form.get("question", ""), MAX_QUESTION_CHARS)
    if not question or len(visit.form["question"]) > MAX_QUESTION_CHARS:
        detail = f"A question has 1 to {MAX_QUESTION_CHARS} printable characters."
        raise Problem(422, "invalid_question", detail)
    try:
        prepared = resources.questions.prepare(
            visit.where.tenancy, incident_id, question, actor=visit.who.actor
        )
    except QuestionRefused as error:
        raise Problem(REFUSAL_STATUSES[error.code], error.code, str(error)) from error
    if EVENT_STREAM in visit.request.headers.get("accept", ""):
        return AnswerStream(prepared)
    answer = _answering.submit(prepared.run, SILENT)
    answer.add_done_callback(_log_crash)
    wait([answer], timeout=FORM_WAIT_S)
    return _back(visit, incident_id, "questions")


class AnswerStream(Response):
    """The steps and statements of one answer as server-sent events; the application sends it in its loop."""

    def __init__(self, prepared: PreparedQuestion) -> None:
        super().__init__(headers=NOT_STORED)
        self._prepared = prepared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events as they come."""

        def work(emit: Emit, has_left: HasLeft) -> None:
            self._prepared.run(Listener(emit=emit, has_left=has_left))

        await event_stream(work, _answering)(scope, receive, send)


def _log_crash(answer: "Future[None]") -> None:
    if (error := answer.exception()) is not None:
        log.error("question not answered", error=str(error), kind=type(error).__name__)


def _back(visit: Visit, incident_id: UUID, section: str) -> Response:
    path = own_path(visit.form.get("next") or f"{visit.base}/incidents/{incident_id}")
    return see_other(f"{path.partition('#')[0]}#{section}")


_ONE: Final = "/console/p/{project_id}/incidents/{incident_id}"
PAGES: Final = (
    ConsolePage(
        method="POST", path=f"{_ONE}/feedback", right="respond", handler=give_feedback, active="outages"
    ),
    ConsolePage(method="POST", path=f"{_ONE}/ask", right="respond", handler=ask, active="outages"),
)
