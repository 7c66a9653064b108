"""Findings as values: causes with their parts, cleared suspects, and what was compared."""

from dataclasses import dataclass
from typing import Final, Literal

from signals.domain.findings.comparison import Comparison
from signals.domain.findings.mechanisms import Mechanism
from signals.domain.findings.segments import Segment
from signals.domain.findings.shifts import RequestSurge
from signals.domain.findings.suspects import Cleared, Suspect

ComparedWith = Literal["working", "errors", "nothing"]
"""Working requests, errors of the hour before where too few requests work, or nothing at all."""

NOT_VISIBLE: Final = 0.1  # confidence of an answer that names no cause


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseMessage:
    """A message of the failing events, safe to quote; `is_new` when it was rare in the hour before."""

    text: str
    share: float
    count: int
    before: int
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One cause: where (group, or surge), by what (mechanism, message), after what (change).

    `coincidence` is a change that came just before without a link to the group. `lost` is set for a drop of
    signups: the group is what stays away. `elsewhere` when the message is of routes without signups.
    """

    confidence: float
    segment: Segment | None = None
    mechanism: Mechanism | None = None
    message: CauseMessage | None = None
    surge: RequestSurge | None = None
    change: Suspect | None = None
    coincidence: Suspect | None = None
    lost: bool = False
    elsewhere: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The answer of a comparison. Without causes none is visible, and `compared` says what was compared."""

    causes: tuple[Cause, ...]
    cleared: tuple[Cleared, ...]
    compared: tuple[str, ...]
    comparison: Comparison
    reference: ComparedWith

    @property
    def confidence(self) -> float:
        """How sure the first cause is, or that there is none to be seen."""
        return self.causes[0].confidence if self.causes else NOT_VISIBLE
