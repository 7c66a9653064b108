"""What is known of one incident when it is summarized."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import unquote
from uuid import UUID

from signals.domain.events.fingerprints import metric_of


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

    @property
    def is_signup_drop(self) -> bool:
        """Whether signups went missing, as opposed to errors piling up."""
        return metric_of(self.fingerprint) == "signup_count"

    @property
    def error_code(self) -> str | None:
        """The error code in the fingerprint, unescaped."""
        return self._part(0)

    @property
    def route(self) -> str | None:
        """The route in the fingerprint, unescaped."""
        return self._part(1)

    def _part(self, index: int) -> str | None:
        parts = self.fingerprint.split("|")
        if self.is_signup_drop or len(parts) <= index + 1 or parts[index] == "-":
            return None
        return unquote(parts[index])  # the fingerprint's escapes are percent codes


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The numbers of one firing of a rule; `count` and `baseline` are of windows of the same length."""

    moment: Literal["opened", "latest"]
    rule: Literal["error_spike", "signup_drop"]
    minute_at: datetime
    count: int
    baseline: float
    threshold: float


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
    """Everything a summary may rest on. `events` are newest first; `deploys` is None when unknown."""

    incident: BriefIncident
    evaluations: tuple[Evaluation, ...]
    events: tuple[BriefEvent, ...]
    deploys: tuple[BriefEvent, ...] | None = None

    @property
    def latest(self) -> Evaluation | None:
        """The newest evaluation, None when no rule's numbers were kept."""
        return max(self.evaluations, key=lambda evaluation: evaluation.minute_at, default=None)
