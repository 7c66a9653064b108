"""Writes the finding of a seasonal rule condition by condition."""

from collections.abc import Iterator
from typing import Literal

from signals.domain.detection.repeats import BEYOND
from signals.domain.detection.rule_types import Seasonal
from signals.domain.detection.seasonal import Finding
from signals.domain.detection.seasonal_state import TODAY_HOURS
from signals.domain.detection.verdict import RuleCondition, RuleVerdict


def verdict_of(rule: Seasonal, finding: Finding, minute: int) -> RuleVerdict:
    """Write a finding condition by condition."""
    window, z = finding.window, finding.z
    counted: Literal["at least", "at most"] = "at least" if rule.direction == "up" else "at most"
    has_floor = finding.count if rule.direction == "up" else finding.expected
    floor_name = "events" if rule.direction == "up" else "events expected"
    by_ratio = window.ratio * finding.expected
    repeated = BEYOND * finding.repeated
    threshold = max(window.floor, by_ratio, repeated) if rule.direction == "up" else by_ratio
    return RuleVerdict(
        rule=rule.name,
        minute=minute,
        length=window.length,
        count=finding.count,
        normal=finding.expected,
        threshold=threshold,
        level=finding.level,
        conditions=(
            *_own_conditions(finding),
            RuleCondition(name=floor_name, have=has_floor, compared="at least", need=window.floor),
            RuleCondition(
                name="events against the expectation",
                have=finding.count,
                compared=counted,
                need=by_ratio,
            ),
            RuleCondition(
                name="significance",
                have=z if rule.direction == "up" else -z,
                compared="at least",
                need=finding.need_z,
            ),
        ),
    )


def _own_conditions(finding: Finding) -> Iterator[RuleCondition]:
    """Yield the conditions that only some windows or hours have."""
    if (need := finding.window.spread) > 1:
        yield RuleCondition(name="minutes with events", have=finding.minutes, compared="at least", need=need)
    if finding.window.against == "today":
        yield RuleCondition(
            name="hours of the same day before the window",
            have=finding.before,
            compared="at least",
            need=TODAY_HOURS,
        )
    if finding.repeated:
        yield RuleCondition(
            name="events against the same hours before",
            have=finding.count,
            compared="at least",
            need=BEYOND * finding.repeated,
        )
