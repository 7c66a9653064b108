"""Feedback on summaries: one row of each actor and version of a summary."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from signals.clients.postgres import Connection
from signals.domain.summary.feedback import AnswerCount, SummaryFeedback

GIVE: LiteralString = """
WITH versions AS (
    SELECT id, row_number() OVER (ORDER BY created_at, id)::int AS version
    FROM ai_outputs WHERE incident_id = %(incident_id)s AND output_type = 'summary'
)
INSERT INTO pipeline.summary_feedback (output_id, actor, incident_id, project_id, version, useful, cause,
                                       facts, is_visible)
SELECT id, %(actor)s, %(incident_id)s, %(project_id)s, version, %(useful)s, %(cause)s, %(facts)s,
       %(is_visible)s
FROM versions
WHERE version = coalesce(%(version)s, (SELECT max(version) FROM versions))
ON CONFLICT (output_id, actor) DO UPDATE
SET useful = excluded.useful, cause = excluded.cause, facts = excluded.facts,
    is_visible = excluded.is_visible, given_at = now()
"""


def give(
    connection: Connection, project_id: str, incident_id: UUID, said: SummaryFeedback, *, actor: str
) -> bool:
    """Store an actor's answer in place of a former one; False when there is no such version."""
    values = {
        "incident_id": incident_id,
        "project_id": project_id,
        "actor": actor,
        "version": said.version,
        "useful": said.useful,
        "cause": said.cause,
        "facts": list(said.facts),
        "is_visible": said.is_visible,
    }
    return connection.execute(GIVE, values).rowcount == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackEntry:
    """One answer, with the summary and the incident that it is about.

    `first_cause` and `labels` are those that the summary named first.
    """

    incident_id: UUID
    version: int
    useful: bool
    cause: str | None
    facts: list[str]
    is_visible: bool
    actor: str
    given_at: datetime
    title: str
    fingerprint: str
    environment: str
    opened_at: datetime
    rule: str | None
    model: str
    prompt: str | None
    confidence: float | None
    first_cause: str | None
    labels: list[str]


LIST: LiteralString = """
SELECT f.incident_id, f.version, f.useful, f.cause, f.facts, f.is_visible, f.actor, f.given_at,
       coalesce(i.title, '') AS title, i.fingerprint, i.environment, i.opened_at, s.rule, o.model,
       o.content_json #>> '{run,prompt}' AS prompt, (o.content_json ->> 'confidence')::float8 AS confidence,
       o.content_json #>> '{likely_causes,0}' AS first_cause,
       coalesce(o.content_json #> '{findings,causes,0,group,labels}', '[]') AS labels
FROM pipeline.summary_feedback f
JOIN ai_outputs o ON o.id = f.output_id
JOIN incidents i ON i.id = f.incident_id
LEFT JOIN pipeline.incident_states s ON s.incident_id = f.incident_id
WHERE f.project_id = %(project_id)s
  AND (%(incident_id)s::uuid IS NULL OR f.incident_id = %(incident_id)s)
  AND (%(since)s::timestamptz IS NULL OR f.given_at >= %(since)s)
ORDER BY f.given_at DESC, f.output_id
LIMIT %(rows)s
"""


def newest(
    connection: Connection,
    project_id: str,
    *,
    incident_id: UUID | None = None,
    since: datetime | None = None,
    rows: int,
) -> Sequence[FeedbackEntry]:
    """Return a project's newest answers, of one incident or of all."""
    values = {"project_id": project_id, "incident_id": incident_id, "since": since, "rows": rows}
    with connection.cursor(row_factory=class_row(FeedbackEntry)) as cursor:
        return cursor.execute(LIST, values).fetchall()


COUNTS: LiteralString = """
SELECT s.rule, o.model, o.content_json #>> '{run,prompt}' AS prompt, count(*)::int AS answers,
       (count(*) FILTER (WHERE f.useful))::int AS useful
FROM pipeline.summary_feedback f
JOIN ai_outputs o ON o.id = f.output_id
LEFT JOIN pipeline.incident_states s ON s.incident_id = f.incident_id
WHERE f.project_id = %(project_id)s AND (%(since)s::timestamptz IS NULL OR f.given_at >= %(since)s)
GROUP BY 1, 2, 3
ORDER BY answers DESC, s.rule, o.model, prompt
"""


def counts(connection: Connection, project_id: str, *, since: datetime | None) -> Sequence[AnswerCount]:
    """Count a project's answers by rule, model and version of the prompt."""
    with connection.cursor(row_factory=class_row(AnswerCount)) as cursor:
        return cursor.execute(COUNTS, {"project_id": project_id, "since": since}).fetchall()
