"""A rule's verdict at one minute, condition by condition."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleCondition:
    """One comparison of a rule: what it has, what it needs."""

    name: str
    have: float
    compared: Literal["at least", "at most"]
    need: float

    @property
    def is_met(self) -> bool:
        """Whether the comparison holds."""
        return self.have >= self.need if self.compared == "at least" else self.have <= self.need

    @property
    def shortfall(self) -> float:
        """How far it is from being met, as a share of the need: 0 when met."""
        return 0.0 if self.is_met else abs(self.have - self.need) / max(1.0, abs(self.need))


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleVerdict:
    """One rule's verdict on one series at one minute.

    `count` events in the window of `length` minutes that ends with `minute`, `normal` events usual for it,
    `threshold` what the count is compared with. `level` is the seasonal rule's, else 1.
    """

    rule: str
    minute: int
    length: int
    count: int
    normal: float
    threshold: float
    conditions: tuple[RuleCondition, ...]
    level: float = 1.0
    is_critical: bool = False

    @property
    def fires(self) -> bool:
        """Whether all conditions are met."""
        return all(condition.is_met for condition in self.conditions)

    @property
    def shortfall(self) -> float:
        """The largest shortfall of a condition: the distance to firing."""
        return max((condition.shortfall for condition in self.conditions), default=0.0)
