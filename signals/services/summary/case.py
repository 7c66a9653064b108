"""Assembles what is known of an incident before the model is asked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.summary.answer import SummaryAnswer
from signals.domain.summary.brief import Brief, BriefEvent, BriefIncident
from signals.domain.summary.builtin import answer_from
from signals.domain.summary.checking import CheckedSummary, check
from signals.domain.summary.exhibits import MAX_EVENTS, Exhibit, exhibits
from signals.domain.summary.redaction import redact
from signals.errors import DependencyUnavailable
from signals.store.summary import incident_briefs

RecentDeploys = Callable[[BriefIncident], Sequence[BriefEvent]]
"""Finds deploys near an incident, newest first; may raise `DependencyUnavailable`."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryCase:
    """The facts of an incident that a model may see, and the built-in answer, which rests on all of them."""

    brief: Brief
    shown: Mapping[str, Exhibit]
    recorded: Mapping[str, Exhibit]
    builtin: SummaryAnswer

    def summary(self, answer: SummaryAnswer) -> CheckedSummary:
        """Check a model's answer against the exhibits that it was shown."""
        return check(answer, self.shown, fallback=self.builtin)

    def builtin_summary(self, note: str) -> CheckedSummary:
        """Return the built-in answer; `note` says why it answers."""
        return check(self.builtin, self.recorded, fallback=self.builtin, note=note)


def assemble(
    pool: ConnectionPool[Connection],
    incident_id: UUID,
    recent_deploys: RecentDeploys | None,
    *,
    redacted: bool,
) -> SummaryCase:
    """Read the incident, its numbers and its newest events; ask the search for deploys near it.

    What a model may see is `redacted`; the built-in answer stays in our own database.
    """
    with transaction(pool) as connection:
        brief = Brief(
            incident=incident_briefs.incident(connection, incident_id),
            evaluations=tuple(incident_briefs.evaluations(connection, incident_id)),
            events=tuple(incident_briefs.newest_events(connection, incident_id, limit=MAX_EVENTS)),
        )
    if recent_deploys is not None:
        brief = replace(brief, deploys=_deploys_near(brief.incident, recent_deploys))
    recorded = exhibits(brief)
    sent = redact(brief) if redacted else brief
    return SummaryCase(
        brief=sent, shown=exhibits(sent), recorded=recorded, builtin=answer_from(brief, recorded)
    )


def _deploys_near(incident: BriefIncident, search: RecentDeploys) -> tuple[BriefEvent, ...] | None:
    try:
        return tuple(search(incident))
    except DependencyUnavailable as error:  # without the search an incident is still worth a summary
        log.warning("deploys unknown", incident_id=str(incident.incident_id), reason=str(error))
        return None
