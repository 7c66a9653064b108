"""Reads the context of one incident: why it fired, its events, its AI jobs, its latest summary."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, LiteralString
from uuid import UUID

import msgspec
from psycopg.rows import class_row, kwargs_row

from signals.clients.postgres import Connection
from signals.domain.detection.verdict import RuleVerdict
from signals.domain.incidents.episode import IncidentStatus, IncidentVerdict, ResolveReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """The numbers of one evaluation: `count` events in the window that ends with the minute `minute_at`.

    `baseline` is the average of as many minutes over the hour before; `threshold` is what the count was
    compared with. During an outage the hour before is part of it: the incident's normal is the opening's.
    """

    moment: Literal["opened", "latest"]
    rule: str
    minute_at: datetime
    count: int
    baseline: float
    threshold: float
    window_minutes: int


REASONS: LiteralString = """
SELECT moment, rule, minute_at, count, baseline, threshold, window_minutes
FROM pipeline.incident_evaluations
WHERE incident_id = %(incident_id)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The state of an incident beside its row; `known_from` is set for the kind `new` only."""

    kind: Literal["change", "new"]
    verdict: IncidentVerdict | None
    grouping: int
    known_from: datetime | None
    resolve_reason: ResolveReason | None
    rule_version: int | None = None
    confirmed_at: datetime | None = None
    numbers: RuleVerdict | None = None
    reopened: int = 0


STATE: LiteralString = """
SELECT kind, verdict, grouping, known_from, resolve_reason, rule_version, confirmed_at, numbers, reopened
FROM pipeline.incident_states
WHERE incident_id = %(incident_id)s
"""


def _state(*, numbers: dict[str, object] | None, **columns: Any) -> State:
    return State(numbers=msgspec.convert(numbers, RuleVerdict) if numbers else None, **columns)


UNREMEMBERED: Final = State(kind="change", verdict=None, grouping=1, known_from=None, resolve_reason=None)
"""The state of an incident that an earlier release opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepresentativeEvent:
    """An event, or a tick, that stands for the incident."""

    event_id: UUID
    occurred_at: datetime
    event_type: str
    severity: str
    attributes: dict[str, object] | None


EVENTS: LiteralString = """
SELECT event_id, occurred_at, event_type, severity, attributes_json AS attributes
FROM incident_events
WHERE incident_id = %(incident_id)s
ORDER BY occurred_at DESC, id DESC
LIMIT %(events)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AiJob:
    """How the work on a summary stands."""

    id: UUID
    job_type: str
    status: Literal["queued", "running", "succeeded", "failed"]
    attempt_count: int
    max_attempts: int
    run_after: datetime
    leased_until: datetime | None
    last_error: str | None
    created_at: datetime
    updated_at: datetime


JOBS: LiteralString = """
SELECT id, job_type, status, attempt_count, max_attempts, run_after, leased_until, last_error,
       created_at, updated_at
FROM ai_jobs
WHERE incident_id = %(incident_id)s
ORDER BY created_at DESC, id DESC
LIMIT %(jobs)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSummary:
    """The text of the model, or of the built-in summarizer; `version` counts from 1, the first stored."""

    version: int
    model: str
    content: dict[str, object]
    created_at: datetime


SUMMARY: LiteralString = """
SELECT (count(*) OVER ())::int AS version, model, content_json AS content, created_at
FROM ai_outputs
WHERE incident_id = %(incident_id)s AND output_type = 'summary'
ORDER BY created_at DESC
LIMIT 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageLink:
    """The outage that an incident belongs to, how many incidents it has, and who cares for it.

    `snoozed_until` may be over.
    """

    id: UUID
    status: IncidentStatus
    verdict: IncidentVerdict
    incidents: int
    assignee: str | None
    snoozed_until: datetime | None


OUTAGE: LiteralString = """
SELECT o.id, o.status, o.verdict,
       (SELECT count(*)::int FROM pipeline.outage_members WHERE outage_id = o.id) AS incidents,
       c.assignee, c.snoozed_until
FROM pipeline.outage_members m JOIN pipeline.outages o ON o.id = m.outage_id
LEFT JOIN pipeline.outage_cares c ON c.outage_id = o.id
WHERE m.incident_id = %(incident_id)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Everything around one incident, newest first; `summary` is None before the first.

    `outage` is None for the moment after an update in which an incident of an earlier release has none.
    """

    reasons: Sequence[Reason]
    state: State
    events: list[RepresentativeEvent]
    ai_jobs: list[AiJob]
    summary: StoredSummary | None
    outage: OutageLink | None


def context_of(connection: Connection, incident_id: UUID, *, events: int, jobs: int) -> Context:
    """Return what stands around an incident: six questions in one round trip of a `reading` transaction."""
    parameters = {"incident_id": incident_id, "events": events, "jobs": jobs}
    reasons = connection.cursor(row_factory=class_row(Reason)).execute(REASONS, parameters)
    state = connection.cursor(row_factory=kwargs_row(_state)).execute(STATE, parameters)
    newest = connection.cursor(row_factory=class_row(RepresentativeEvent)).execute(EVENTS, parameters)
    work = connection.cursor(row_factory=class_row(AiJob)).execute(JOBS, parameters)
    summary = connection.cursor(row_factory=class_row(StoredSummary)).execute(SUMMARY, parameters)
    outage = connection.cursor(row_factory=class_row(OutageLink)).execute(OUTAGE, parameters)
    return Context(
        reasons=reasons.fetchall(),
        state=state.fetchone() or UNREMEMBERED,
        events=newest.fetchall(),
        ai_jobs=work.fetchall(),
        summary=summary.fetchone(),
        outage=outage.fetchone(),
    )
