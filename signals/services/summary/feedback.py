"""Takes feedback on summaries, lists it, and computes how often summaries are useful."""

from collections.abc import Sequence
from typing import Final, Literal
from uuid import UUID

import structlog
from psycopg_pool import ConnectionPool

from shared_types import Tenancy
from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, reading, transaction
from signals.domain.queries.parameters import instant
from signals.domain.summary.feedback import SummaryFeedback, SummaryPrecision, precision_of
from signals.store.incidents import incident_views
from signals.store.summary import feedback
from signals.store.summary.feedback import FeedbackEntry

MAX_OF_INCIDENT: Final = 100  # guess: a summary has few versions, a team few people

log = structlog.get_logger(__name__)

FeedbackOutcome = Literal["given", "unknown_incident", "no_such_version"]


class FeedbackBook:
    """Feedback of a tenant's people; safe to call from several threads."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool

    def give(
        self, tenancy: Tenancy, incident_id: UUID, said: SummaryFeedback, *, actor: str
    ) -> FeedbackOutcome:
        """Store an answer; the timeline names the `actor`, and a further answer of theirs replaces it.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer; the answer may have been stored.
        """
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            incident = incident_views.get(connection, tenancy.project_id, incident_id)
            if incident is None:
                return "unknown_incident"
            if not feedback.give(connection, tenancy.project_id, incident_id, said, actor=actor):
                return "no_such_version"
        log.info("feedback on a summary", incident_id=str(incident_id), useful=said.useful)
        return "given"

    def of_incident(self, tenancy: Tenancy, incident_id: UUID) -> Sequence[FeedbackEntry] | None:
        """Return the answers on one incident, newest first; None when the project has no such one.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            if incident_views.get(connection, tenancy.project_id, incident_id) is None:
                return None
            return _of_incident(connection, tenancy, incident_id)

    def answers_on(self, tenancy: Tenancy, incident_id: UUID) -> Sequence[FeedbackEntry]:
        """Return the answers on one incident, newest first; none for one of another project.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            return _of_incident(connection, tenancy, incident_id)

    def newest(self, tenancy: Tenancy, *, since: str | None, limit: int) -> Sequence[FeedbackEntry]:
        """Return the newest answers of the project.

        Raises:
            InvalidQuery: when `since` is no instant.
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        begin = instant("since", since) if since else None
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            return feedback.newest(connection, tenancy.project_id, since=begin, rows=limit)

    def precision(self, tenancy: Tenancy, *, since: str | None) -> list[SummaryPrecision]:
        """Return the share of useful summaries by rule, model and version of the prompt.

        Raises:
            InvalidQuery: when `since` is no instant.
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        begin = instant("since", since) if since else None
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            return precision_of(feedback.counts(connection, tenancy.project_id, since=begin))


def _of_incident(connection: Connection, tenancy: Tenancy, incident_id: UUID) -> Sequence[FeedbackEntry]:
    return feedback.newest(connection, tenancy.project_id, incident_id=incident_id, rows=MAX_OF_INCIDENT)
