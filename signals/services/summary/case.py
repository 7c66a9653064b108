"""Assembles what is known of an incident before the model is asked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Self
from uuid import UUID

from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.deploys.beginning import BEFORE
from signals.domain.deploys.deploy import Deploy
from signals.domain.findings.causes import Findings
from signals.domain.summary.answer import MAX_TEXT_CHARS, SummaryAnswer, tidy
from signals.domain.summary.brief import Brief, BriefEvent, BriefIncident
from signals.domain.summary.builtin import answer_from
from signals.domain.summary.checking import CheckedSummary, Grounds, ModelRun, check
from signals.domain.summary.exhibits import MAX_DEPLOYS, MAX_EVENTS, Exhibit, exhibits
from signals.domain.summary.explained import answer_from_findings, grounds_of, with_figures, with_findings
from signals.domain.summary.figures import figures_of
from signals.domain.summary.prompt import fitting
from signals.domain.summary.redaction import redact
from signals.domain.summary.surroundings import RelatedIncidents, sentences_of
from signals.services.summary.comparing import ComparedIncident
from signals.store.deploys import deploys
from signals.store.deploys.deploys import DeployFilter
from signals.store.summary import incident_briefs, surroundings

TICK: Final = timedelta(microseconds=1)  # an end is exclusive


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryCase:
    """The facts of an incident that a model may see, and the built-in answer, which rests on all of them.

    `known` is the brief with everything; `figures` are what a comparison found, as data.
    """

    brief: Brief
    shown: Mapping[str, Exhibit]
    recorded: Mapping[str, Exhibit]
    builtin: SummaryAnswer
    known: Brief
    figures: Mapping[str, object] | None = None
    surroundings: Mapping[str, object] | None = None
    grounds: Grounds | None = None

    def summary(self, answer: SummaryAnswer, run: ModelRun | None = None) -> CheckedSummary:
        """Check a model's answer against the exhibits that it was shown."""
        checked = check(answer, self.shown, fallback=self.builtin, grounds=self.grounds)
        return replace(checked, findings=self.figures, surroundings=self.surroundings, run=run)

    def builtin_summary(self, note: str) -> CheckedSummary:
        """Return the built-in answer; `note` says why it answers."""
        checked = check(self.builtin, self.recorded, fallback=self.builtin, note=note)
        return replace(checked, findings=self.figures, surroundings=self.surroundings)

    def explained(self, compared: ComparedIncident) -> Self:
        """Return the case with what a comparison found, or with what it could not say."""
        findings, notes = compared.findings, compared.notes
        if findings is None:
            return replace(self, builtin=answer_from(self.known, self.recorded, notes)) if notes else self
        recorded, shown = with_findings(self.recorded, findings), with_findings(self.shown, findings)
        return replace(
            self,
            shown=shown,
            grounds=grounds_of(shown, findings),
            recorded=recorded,
            builtin=answer_from_findings(self.known, recorded, findings, notes),
            figures=figures_of(self.known, findings, notes),
        )

    def beside(self, around: RelatedIncidents) -> Self:
        """Return the case with former incidents like it, and those of the same minutes."""
        said = list(sentences_of(around))
        if not said:
            return self
        impact = " ".join([self.builtin.impact, *said])
        return replace(
            self,
            shown=with_figures(self.shown, said),
            recorded=with_figures(self.recorded, said),
            builtin=self.builtin.model_copy(update={"impact": tidy(impact, MAX_TEXT_CHARS)}),
            surroundings=around.to_json(),
        )

    def fitted(self) -> Self:
        """Return the case with as many exhibits for the model as its prompt may hold."""
        shown = fitting(self.brief, self.shown)
        grounds = self.grounds
        if grounds is not None:
            causes = {ref: text for ref, text in grounds.causes.items() if ref in shown}
            grounds = replace(grounds, causes=causes)
        return replace(self, shown=shown, grounds=grounds)


def surroundings_of(
    pool: ConnectionPool[Connection], incident: BriefIncident, findings: Findings | None
) -> RelatedIncidents:
    """Read the incidents around one; of former ones with the same first cause, that of `findings`."""
    segment = findings.causes[0].segment if findings and findings.causes else None
    labels = list(segment.labels) if segment is not None else []
    with transaction(pool) as connection:
        return surroundings.surroundings(connection, incident, json.dumps(labels))


def assemble(pool: ConnectionPool[Connection], incident_id: UUID, *, redacted: bool) -> SummaryCase:
    """Read the incident, its numbers, its newest events and the deploys before it.

    What a model may see is `redacted`; the built-in answer stays in our own database.
    """
    with transaction(pool) as connection:
        incident = incident_briefs.incident(connection, incident_id)
        brief = Brief(
            incident=incident,
            evaluations=tuple(incident_briefs.evaluations(connection, incident_id)),
            events=tuple(incident_briefs.newest_events(connection, incident_id, limit=MAX_EVENTS)),
            deploys=tuple(_deploys_before(connection, incident)),
        )
    recorded = exhibits(brief)
    sent = redact(brief) if redacted else brief
    return SummaryCase(
        brief=sent, shown=exhibits(sent), recorded=recorded, builtin=answer_from(brief, recorded), known=brief
    )


def _deploys_before(connection: Connection, incident: BriefIncident) -> list[BriefEvent]:
    wanted = DeployFilter(
        project_id=incident.project_id,
        environment=incident.environment,
        since=incident.opened_at - BEFORE,
        until=incident.opened_at + TICK,
    )
    return [_as_event(deploy) for deploy in deploys.list_deploys(connection, wanted, limit=MAX_DEPLOYS)]


def _as_event(deploy: Deploy) -> BriefEvent:
    said = {"release": deploy.release, "service": deploy.service, "previous_release": deploy.previous}
    return BriefEvent(
        event_id=deploy.event_id,
        occurred_at=deploy.occurred_at,
        event_type="deploy",
        severity="info" if deploy.status == "success" else "error",
        attributes={name: text for name, text in said.items() if text is not None},
    )
