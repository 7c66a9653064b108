"""Which rules watch one series together, sharing its one open incident."""

import math
from collections.abc import Sequence
from functools import cached_property

import msgspec

from signals.domain.detection.default_rules import (
    ERROR_SPIKE,
    ERRORS_ABOVE_USUAL,
    SIGNUP_DROP,
    SIGNUPS_BELOW_USUAL,
)
from signals.domain.detection.rule_types import Absence, Drop, FloorRatio, NewSeries, Rate, Rule, Seasonal

FixedRule = FloorRatio | Drop | Rate | Absence | NewSeries


class Watch(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """At most one fixed rule and at most one seasonal rule of the same series.

    Without either nothing opens, and what is open ends.
    """

    fixed: FixedRule | None = None
    seasonal: Seasonal | None = None

    @property
    def rule(self) -> Rule:
        """The rule that says which events count and what makes a series."""
        rule = self.fixed or self.seasonal
        assert rule is not None
        return rule

    @cached_property
    def watches_silence(self) -> bool:
        """Whether every minute must be judged; otherwise those with enough events suffice."""
        return any(rule.watched_direction == "down" for rule in (self.fixed, self.seasonal) if rule)

    @property
    def is_of_rises(self) -> bool:
        """Whether its incidents are rises of counts, whose height says how bad they are."""
        if self.fixed is not None:
            return isinstance(self.fixed, FloorRatio)
        return self.seasonal is not None and self.seasonal.direction == "up"

    @cached_property
    def fewest_events(self) -> float:
        """Events in the last hour, below which no rule that counts upwards can fire."""
        return min((rule.least_events for rule in (self.fixed, self.seasonal) if rule), default=math.inf)


def watches(rules: Sequence[Rule]) -> list[Watch]:
    """Group rules: a locked rule shares its incidents with its seasonal partner.

    A copy of a locked rule takes the place of a disabled original.
    """
    by_name = {rule.name: rule for rule in rules if rule.enabled}
    out = []
    for locked, partner in ((ERROR_SPIKE, ERRORS_ABOVE_USUAL), (SIGNUP_DROP, SIGNUPS_BELOW_USUAL)):
        copies = (rule for rule in by_name.values() if type(rule) is type(locked))
        fixed = by_name.get(locked.name) or next((one for one in copies if _same_series(one, locked)), None)
        seasonal = by_name.get(partner.name)
        if not isinstance(fixed, FloorRatio | Drop) or not isinstance(seasonal, Seasonal):
            continue
        if _same_series(fixed, locked) and _same_series(fixed, seasonal):
            out.append(Watch(fixed=fixed, seasonal=seasonal))
            del by_name[fixed.name], by_name[partner.name]
    alone = by_name.values()
    return out + [Watch(seasonal=rule) if isinstance(rule, Seasonal) else Watch(fixed=rule) for rule in alone]


def _same_series(first: Rule, second: Rule) -> bool:
    return (first.on, first.per) == (second.on, second.per)
