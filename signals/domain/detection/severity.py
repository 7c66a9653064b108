"""How bad an incident is."""

from enum import IntEnum
from typing import Final

from signals.domain.detection.fixed_rules import CRITICAL_MULTIPLE
from signals.domain.detection.rule_types import Direction
from signals.domain.detection.verdict import RuleVerdict

# Multiples of the threshold at which a spike is worse (guess: a doubling is worth a second look).
ERROR_MULTIPLE: Final = 2


class IncidentSeverity(IntEnum):
    """How bad an incident is, ordered; the lower-case name is what the table stores."""

    WARN = 1
    ERROR = 2
    CRITICAL = 3

    @property
    def label(self) -> str:
        """The stored word: warn, error or critical."""
        return self.name.lower()

    @classmethod
    def parse(cls, label: str) -> "IncidentSeverity":
        """Read the stored word."""
        return cls[label.upper()]


def severity_of(verdict: RuleVerdict, direction: Direction) -> IncidentSeverity:
    """Return how bad a firing is: a rise by multiples of its threshold, a drop by what is left."""
    if direction == "down":
        return IncidentSeverity.CRITICAL if verdict.count == 0 else IncidentSeverity.ERROR
    if verdict.count >= CRITICAL_MULTIPLE * verdict.threshold:
        return IncidentSeverity.CRITICAL
    if verdict.count >= ERROR_MULTIPLE * verdict.threshold:
        return IncidentSeverity.ERROR
    return IncidentSeverity.WARN
