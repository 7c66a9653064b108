"""The caller of a request: its tenancy, its rights and its limits."""

from dataclasses import dataclass
from uuid import UUID

from shared_types import Tenancy
from signals.domain.access.api_keys import Scope
from signals.domain.access.limits import NO_LIMITS, KeyLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """An authenticated caller. API keys are the only kind so far, each with one scope."""

    key_id: UUID
    tenancy: Tenancy
    scopes: frozenset[Scope]
    limits: KeyLimits = NO_LIMITS
