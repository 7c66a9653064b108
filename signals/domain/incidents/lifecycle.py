"""Decides from a series' evaluations about its incidents: open, keep fresh, worsen, summarize, end.

The numbers of the opening are frozen: an outage never becomes the normal that it is compared with. The replay
of counts (`tracking`) shares the limits, and also confirms and reopens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from shared_types import Fingerprint
from signals.domain.detection.buckets import Series
from signals.domain.detection.builtin_rules import RULES, Evaluation, IncidentSeverity
from signals.domain.incidents.episode import IDLE_MINUTES, NOT_A_LEVEL, USUAL_AFTER, ResolveReason

IncidentKind = Literal["change", "new"]
"""`new`: the series had no history when the incident opened, so that its normal is unknown."""

SUMMARY_COOLDOWN_S: Final = 900  # guess: a still firing incident is worth a new summary each quarter hour


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownHistory:
    """When a series' normal is known. `known_from`: the first minute (since the epoch) with a whole history.

    `is_learning`: the project itself had no event before the history of the opening minute.
    """

    known_from: int
    is_learning: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIncident:
    """An incident that is not resolved. `summary_asked_s_ago` is None when no summary was ever asked.

    `normal` is the baseline frozen at its opening; `last_fired` and `last_seen` are minutes since the epoch.
    `known_from` is set for the kind `new` only: see `SeriesHistory`.
    """

    id: UUID
    severity: IncidentSeverity
    summary_asked_s_ago: float | None
    normal: float
    last_fired: int
    last_seen: int
    known_from: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentChange:
    """A change of one incident; `incident_id` is None when a new one is to be opened.

    `minutes` are the minutes whose events represent the incident. `last_fired` is None when the rule did not
    fire. `ended` is why the incident is over after this change, None while it goes on.
    """

    series: Series
    incident_id: UUID | None
    opened: Evaluation | None
    opened_at: datetime | None
    latest: Evaluation | None
    last_seen_at: datetime | None
    severity: IncidentSeverity
    summarize: bool
    minutes: tuple[int, ...]
    last_fired: int | None
    known_from: int | None = None
    is_learning: bool = False
    ended: ResolveReason | None = None

    @property
    def kind(self) -> IncidentKind:
        """The kind of an incident that opens now."""
        return "change" if self.known_from is None else "new"


def decide(
    series: Series,
    evaluations: Sequence[Evaluation],
    seen_at: Mapping[int, datetime],
    current: OpenIncident | None,
    history: KnownHistory | None = None,
) -> list[IncidentChange]:
    """Turn the evaluations of one series, oldest first, into changes: at most one for each incident.

    `seen_at` gives the newest event time of each evaluated minute. Nothing opens unless a rule fires; what
    is open, or opens here, stays fresh while its rule's `sustains` holds against the frozen baseline.
    `history` is None when the series' history is whole. All but the last change end their incident.
    """
    changes = []
    life = _Life(series, seen_at, current=current) if current else None
    for evaluation in evaluations:
        if life is not None and (reason := life.ends_before(evaluation)):
            changes.append(life.change(reason))
            life = None
        if life is None and evaluation.fires:
            life = _Life(series, seen_at, opened=evaluation, history=history)
        if life is not None and life.lasts(evaluation):
            life.take(evaluation)
    if life is not None and life.relevant:
        changes.append(life.change(None))
    return changes


class _Life:
    """One incident while a batch's evaluations are applied to it."""

    def __init__(
        self,
        series: Series,
        seen_at: Mapping[int, datetime],
        *,
        current: OpenIncident | None = None,
        opened: Evaluation | None = None,
        history: KnownHistory | None = None,
    ) -> None:
        self.relevant: list[Evaluation] = []
        self._series = series
        self._seen_at = seen_at
        self._current = current
        self._opened = opened
        self._is_learning = False
        if current is not None:
            self._normal, self._last_fired = current.normal, current.last_fired
            self._last_seen = current.last_seen
            self._known_from = current.known_from
        elif opened is not None:
            self._normal, self._last_fired = opened.baseline, opened.minute
            self._last_seen = opened.minute
            self._known_from = None
            if history is not None and opened.minute < history.known_from:
                self._is_learning = history.is_learning
                # Missing minutes count as zero. That exaggerates a rise, and hides a drop.
                if RULES[opened.rule].direction == "up":
                    self._known_from = history.known_from

    def lasts(self, evaluation: Evaluation) -> bool:
        """Whether the evaluation keeps it fresh."""
        rule = RULES[evaluation.rule]
        return evaluation.fires or rule.sustains(evaluation.count, self._normal)

    def ends_before(self, evaluation: Evaluation) -> ResolveReason | None:
        """Say why the evaluation no longer belongs to this incident, None when it may."""
        calm = evaluation.minute - self._last_fired
        if evaluation.fires:
            # A level that came with the series hides an outage on top of it. What was idle is the resolver's.
            is_known = self._known_from is not None and evaluation.minute >= self._known_from
            is_level = evaluation.minute - self._last_seen <= IDLE_MINUTES <= calm
            return "superseded" if is_known and is_level else None
        is_usual = calm >= USUAL_AFTER and self.lasts(evaluation)
        # Next to nothing never becomes usual: a drop to zero lasts until signups come back.
        is_level = evaluation.count >= NOT_A_LEVEL * self._normal
        return "became_usual" if is_usual and is_level else None

    def take(self, evaluation: Evaluation) -> None:
        """Let the evaluation keep it fresh."""
        self.relevant.append(evaluation)
        self._last_seen = max(self._last_seen, evaluation.minute)
        if evaluation.fires:
            self._last_fired = max(self._last_fired, evaluation.minute)

    def change(self, ended: ResolveReason | None) -> IncidentChange:
        """Return what all evaluations taken do to it."""
        current, relevant = self._current, self.relevant
        severities = [self._severity(evaluation) for evaluation in relevant]
        if current is not None:
            severities.append(current.severity)
        severity = max(severities)
        return IncidentChange(
            series=self._series,
            incident_id=current.id if current else None,
            opened=self._opened,
            opened_at=self._seen_at[self._opened.minute] if self._opened else None,
            latest=relevant[-1] if relevant else None,
            last_seen_at=max((self._seen_at[e.minute] for e in relevant), default=None),
            severity=severity,
            summarize=bool(relevant) and (current is None or _wants_summary(current, severity, relevant)),
            minutes=tuple(evaluation.minute for evaluation in relevant),
            last_fired=self._last_fired if any(evaluation.fires for evaluation in relevant) else None,
            known_from=self._known_from,
            is_learning=self._is_learning,
            ended=ended,
        )

    def _severity(self, evaluation: Evaluation) -> IncidentSeverity:
        """Return how bad it is; a multiple of an unknown normal says nothing."""
        is_unknown = self._known_from is not None and evaluation.minute < self._known_from
        return IncidentSeverity.WARN if is_unknown else evaluation.severity


def _wants_summary(current: OpenIncident, severity: IncidentSeverity, relevant: Sequence[Evaluation]) -> bool:
    if severity > current.severity or current.summary_asked_s_ago is None:
        return True
    fires = any(evaluation.fires for evaluation in relevant)
    return fires and current.summary_asked_s_ago >= SUMMARY_COOLDOWN_S


def title_of(series: Series, evaluation: Evaluation, kind: IncidentKind = "change") -> str:
    """Name a new incident until a summary names it better."""
    rule, named = RULES[evaluation.rule], Fingerprint.parse(series.fingerprint)
    title = rule.title_without_normal if kind == "new" else rule.title
    return title.format(
        error_code=named.error_code or "unknown",
        route=named.route or "unknown",
        environment=series.environment,
        count=evaluation.count,
        window=rule.window_minutes,
        baseline=evaluation.baseline,
    )
