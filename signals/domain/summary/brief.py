"""The facts of one incident that a summary rests on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from shared_types import RuleFingerprint, SeriesFingerprint, read_fingerprint
from signals.domain.detection.counted import CountedEvents, counted_in
from signals.domain.incidents.lifecycle import IncidentKind


@dataclass(frozen=True, slots=True, kw_only=True)
class BriefIncident:
    """The incident's record."""

    incident_id: UUID
    org_id: str
    project_id: str
    environment: str
    fingerprint: str
    status: str
    severity: str
    title: str
    opened_at: datetime
    last_seen_at: datetime
    kind: IncidentKind = "change"

    @property
    def parts(self) -> SeriesFingerprint:
        """The fingerprint's named parts."""
        return read_fingerprint(self.fingerprint)

    @property
    def counted(self) -> CountedEvents:
        """The events that it counts."""
        return counted_in(self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class BriefEvaluation:
    """The numbers of one firing of a rule; `count` and `baseline` are of windows of the same length."""

    moment: Literal["opened", "latest"]
    rule: str
    minute_at: datetime
    count: int
    baseline: float
    threshold: float
    window_minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BriefEvent:
    """One event that bears on the incident: a representative of it, or a deploy near it."""

    event_id: UUID
    occurred_at: datetime
    event_type: str
    severity: str
    attributes: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """Everything a summary may rest on. `events` and `deploys` are newest first."""

    incident: BriefIncident
    evaluations: tuple[BriefEvaluation, ...]
    events: tuple[BriefEvent, ...]
    deploys: tuple[BriefEvent, ...] = ()

    @property
    def normal(self) -> float | None:
        """The normal, frozen at the opening: None when the series had no history, or no numbers were kept.

        Later baselines are polluted by the outage itself. A rule that compares with a bound has none.
        """
        parts = self.incident.parts
        if self.incident.kind == "new" or (isinstance(parts, RuleFingerprint) and not parts.has_normal):
            return None
        opened = min(self.evaluations, key=lambda evaluation: evaluation.minute_at, default=None)
        return opened.baseline if opened else None

    @property
    def opened_minute_at(self) -> datetime:
        """The minute at which the rule fired first."""
        minutes = [evaluation.minute_at for evaluation in self.evaluations]
        return min(minutes, default=self.incident.opened_at)

    @property
    def latest(self) -> BriefEvaluation | None:
        """The newest evaluation, None when no rule's numbers were kept."""
        return max(self.evaluations, key=lambda evaluation: evaluation.minute_at, default=None)
