"""Answers questions about incidents: a conversation with the model, stored when it has ended."""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID, uuid4

import structlog
from psycopg_pool import ConnectionPool

from shared_types import Tenancy
from signals.clients.llm import Model, ModelRefused, ModelUnavailable
from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, reading, transaction
from signals.domain.access.limits import RateLimit
from signals.domain.summary.redaction import Redactor
from signals.errors import DependencyUnavailable, SettingsError
from signals.services.summary.case import assemble, surroundings_of
from signals.services.summary.conversing import (
    ConversationAbandoned,
    Listener,
    conversation_about,
    converse,
)
from signals.services.summary.spending import Spending
from signals.services.summary.toolbox import Toolbox, ToolSources
from signals.settings import ModelSettings
from signals.store.incidents import incident_views
from signals.store.summary import ai_outputs, questions
from signals.store.summary.questions import AnsweredQuestion, NewQuestion

MAX_SHOWN: Final = 50
AT_ONCE: Final = 4  # guess: in one process; each takes a thread for up to a minute
RefusalCode = Literal["no_such_incident", "no_model", "questions_spent", "tokens_spent", "busy"]
REFUSAL_STATUSES: Final[Mapping[RefusalCode, int]] = {
    "no_such_incident": 404,
    "no_model": 409,
    "questions_spent": 429,
    "tokens_spent": 429,
    "busy": 429,
}
"""How HTTP answers, in the API and in the console."""
NO_MODEL: Final = "Set GRADIENT_API_KEY (and GRADIENT_MODEL): without a model nobody answers questions."
OpenModel = Callable[[ModelSettings], AbstractContextManager[Model | None]]

log = structlog.get_logger(__name__)


class QuestionRefused(Exception):  # noqa: N818  # a verdict
    """A question that is not asked; `code` says why, the text what to do."""

    def __init__(self, code: RefusalCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedQuestion:
    """A stored question, ready to be asked once by `run`, which holds a thread for up to a minute."""

    question_id: UUID
    run: Callable[[Listener], None]


class Questions:
    """Asks a tenant's questions; safe to call from several threads.

    The model is opened for each question, so that a new key counts at once.
    """

    def __init__(
        self, sources: ToolSources, open_model: OpenModel, settings: Callable[[], ModelSettings]
    ) -> None:
        self._pool: ConnectionPool[Connection] = sources.pool
        self._sources = sources
        self._open_model = open_model
        self._settings = settings
        self._places = threading.BoundedSemaphore(AT_ONCE)

    def of_incident(self, tenancy: Tenancy, incident_id: UUID) -> Sequence[AnsweredQuestion] | None:
        """Return the newest questions about an incident; None when the project has no such one.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            if incident_views.get(connection, tenancy.project_id, incident_id) is None:
                return None
            return questions.of_incident(connection, tenancy.project_id, incident_id, rows=MAX_SHOWN)

    def asked_about(self, tenancy: Tenancy, incident_id: UUID, *, rows: int) -> Sequence[AnsweredQuestion]:
        """Return the newest questions about an incident; none for one of another project.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            return questions.of_incident(connection, tenancy.project_id, incident_id, rows=rows)

    def refusal(self, tenancy: Tenancy) -> str | None:
        """Say why the project can ask nothing now: no model, or the day's tokens are used; None: it may try.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        settings = self._settings()
        if not settings.has_key:
            return NO_MODEL
        spending = _spending(self._pool, settings)
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            is_spent = spending.is_spent_in(connection, tenancy.project_id)
        return spending.budget.spent_note if is_spent else None

    def prepare(self, tenancy: Tenancy, incident_id: UUID, question: str, *, actor: str) -> PreparedQuestion:
        """Store a question, and return how to ask it.

        Raises:
            QuestionRefused: when it may not be asked.
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        settings = self._settings()
        spending = _spending(self._pool, settings)
        new = NewQuestion(
            id=uuid4(),
            incident_id=incident_id,
            project_id=tenancy.project_id,
            actor=actor,
            question=question,
        )
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            if incident_views.get(connection, tenancy.project_id, incident_id) is None:
                raise QuestionRefused("no_such_incident", "Your project has no incident with this id.")
            if not settings.has_key:
                raise QuestionRefused("no_model", NO_MODEL)
            per_day = settings.signals_ai_questions_per_day
            if not questions.ask(connection, new, per_day=per_day):
                detail = f"The project has asked its {per_day} questions of this day (UTC), which "
                raise QuestionRefused("questions_spent", f"{detail}SIGNALS_AI_QUESTIONS_PER_DAY sets.")
            if spending.is_spent_in(connection, tenancy.project_id):
                connection.rollback()
                raise QuestionRefused("tokens_spent", spending.budget.spent_note)
            if not self._places.acquire(blocking=False):
                connection.rollback()
                raise QuestionRefused("busy", "Other questions are being answered; ask again in a minute.")
        return PreparedQuestion(question_id=new.id, run=lambda reader: self._run(new, settings, reader))

    def _run(self, new: NewQuestion, settings: ModelSettings, listener: Listener) -> None:
        """Ask, and store the answer, or why there is none."""
        try:
            answer = self._answered(new, settings, listener)
        except ConversationAbandoned:
            log.info("question abandoned", question_id=str(new.id))
            return
        except (ModelUnavailable, ModelRefused, DependencyUnavailable, SettingsError) as error:
            answer = {"failed": str(error)}
        finally:
            self._places.release()
        with transaction(self._pool) as connection:
            questions.finish(connection, new.id, answer)
        log.info("question answered", question_id=str(new.id), failed="failed" in answer)
        if "failed" in answer:
            listener.emit("failed", {"question_id": str(new.id), "detail": answer["failed"]})
        else:
            listener.emit("done", {"question_id": str(new.id), **answer})

    def _answered(self, new: NewQuestion, settings: ModelSettings, listener: Listener) -> dict[str, object]:
        redacts = settings.signals_ai_redact
        case = assemble(self._pool, new.incident_id, redacted=redacts)
        case = case.beside(surroundings_of(self._pool, case.known.incident, None)).fitted()
        question = Redactor().text(new.question) if redacts else new.question
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            named = ai_outputs.newest_causes(connection, new.incident_id)
        with self._open_model(settings) as model:
            if model is None:
                raise ModelRefused("GRADIENT_API_KEY", "set it to a model access key")
            return converse(
                model,
                conversation_about(case, question, named),
                Toolbox(self._sources, case.known, redacts=redacts),
                _spending(self._pool, settings),
                new.project_id,
                listener,
            )


def _spending(pool: ConnectionPool[Connection], settings: ModelSettings) -> Spending:
    return Spending(pool, settings.budget, RateLimit(per_minute=settings.signals_ai_requests_per_minute))
