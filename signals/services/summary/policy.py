"""How summary jobs run, and how they end."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Self
from uuid import UUID

from signals.domain.access.limits import RateLimit
from signals.domain.summary.budget import ModelBudget
from signals.settings import ModelSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long a job is leased, how many run at once, how often the model is asked, and what it may see."""

    lease: timedelta
    concurrency: int
    rate: RateLimit
    redacts: bool
    budget: ModelBudget
    investigates: bool = False

    @classmethod
    def of(cls, settings: ModelSettings) -> Self:
        """Take the policy from the settings."""
        return cls(
            lease=timedelta(seconds=settings.signals_ai_lease_s),
            concurrency=settings.signals_ai_concurrency,
            rate=RateLimit(per_minute=settings.signals_ai_requests_per_minute),
            redacts=settings.signals_ai_redact,
            budget=settings.budget,
            investigates=settings.signals_ai_investigates,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOutcome:
    """How one run of a job ended. `fenced`: another process holds it now, the result was discarded."""

    job_id: UUID
    state: Literal["succeeded", "retrying", "failed", "fenced"]
    model: str | None = None
    error: str | None = None
