"""Turns a series' evaluations into changes of its incident: open, touch, worsen, summarize."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from shared_types import Fingerprint
from signals.domain.detection.buckets import Series
from signals.domain.detection.rules import RULES, Evaluation, IncidentSeverity

SUMMARY_COOLDOWN_S: Final = 900  # guess: a still firing incident is worth a new summary each quarter hour


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIncident:
    """An incident that is not resolved. `summary_asked_s_ago` is None when no summary was ever asked."""

    id: UUID
    severity: IncidentSeverity
    summary_asked_s_ago: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentChange:
    """A change of one incident; `incident_id` is None when a new one is to be opened.

    `minutes` are the minutes whose events represent the incident.
    """

    series: Series
    incident_id: UUID | None
    opened: Evaluation | None
    opened_at: datetime | None
    latest: Evaluation
    last_seen_at: datetime
    severity: IncidentSeverity
    summarize: bool
    minutes: tuple[int, ...]


def decide(
    series: Series,
    evaluations: Sequence[Evaluation],
    seen_at: Mapping[int, datetime],
    current: OpenIncident | None,
) -> IncidentChange | None:
    """Turn the evaluations of one series, oldest first, into at most one change.

    `seen_at` gives the newest event time of each evaluated minute. Nothing opens unless a rule fires;
    what is open, or opens here, stays fresh while the rule sustains.
    """
    relevant = _relevant(evaluations, is_open=current is not None)
    if not relevant:
        return None
    severity = max(evaluation.severity for evaluation in relevant)
    opened = None
    if current is None:
        opened = relevant[0]
    else:
        severity = max(severity, current.severity)
    return IncidentChange(
        series=series,
        incident_id=current.id if current else None,
        opened=opened,
        opened_at=seen_at[opened.minute] if opened else None,
        latest=relevant[-1],
        last_seen_at=max(seen_at[evaluation.minute] for evaluation in relevant),
        severity=severity,
        summarize=current is None or _wants_summary(current, severity, relevant),
        minutes=tuple(evaluation.minute for evaluation in relevant),
    )


def _relevant(evaluations: Sequence[Evaluation], *, is_open: bool) -> list[Evaluation]:
    relevant = []
    for evaluation in evaluations:
        if evaluation.fires or (is_open and evaluation.sustains):
            is_open = True
            relevant.append(evaluation)
    return relevant


def _wants_summary(current: OpenIncident, severity: IncidentSeverity, relevant: Sequence[Evaluation]) -> bool:
    if severity > current.severity or current.summary_asked_s_ago is None:
        return True
    fires = any(evaluation.fires for evaluation in relevant)
    return fires and current.summary_asked_s_ago >= SUMMARY_COOLDOWN_S


def title_of(series: Series, evaluation: Evaluation) -> str:
    """Name a new incident until a summary names it better."""
    rule, named = RULES[evaluation.rule], Fingerprint.parse(series.fingerprint)
    return rule.title.format(
        error_code=named.error_code or "unknown",
        route=named.route or "unknown",
        environment=series.environment,
        count=evaluation.count,
        window=rule.window_minutes,
        baseline=evaluation.baseline,
    )
