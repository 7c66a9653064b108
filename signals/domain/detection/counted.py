"""The counters that events increment, and the words for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared_types import EventType, Fingerprint, MetricName, SeriesFingerprint
from shared_types.fingerprints import METRICS
from signals.domain.detection.default_rules import ERROR_SPIKE, SIGNUP_DROP
from signals.domain.detection.rule_types import Direction

BASELINE_MINUTES: Final = ERROR_SPIKE.baseline.length


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedEvents:
    """The events of a series, and whether a rise (`up`) or a fall (`down`) of them is bad.

    `label` names what is wrong then.
    """

    event_type: EventType
    label: str
    counted: str
    direction: Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedMetric(CountedEvents):
    """A counter that every project has. The locked rule that watches it has a window of `window_minutes`."""

    locked_rule: str
    window_minutes: int

    @property
    def metric_name(self) -> MetricName:
        """Its name in the table of buckets."""
        return METRICS[self.event_type]


COUNTED_METRICS: Final[Mapping[MetricName, CountedMetric]] = {
    one.metric_name: one
    for one in (
        CountedMetric(
            event_type=EventType.ERROR,
            label="error spike",
            counted="errors",
            direction="up",
            locked_rule=ERROR_SPIKE.name,
            window_minutes=ERROR_SPIKE.window,
        ),
        CountedMetric(
            event_type=EventType.SIGNUP,
            label="signup drop",
            counted="signups",
            direction="down",
            locked_rule=SIGNUP_DROP.name,
            window_minutes=SIGNUP_DROP.window,
        ),
    )
}
"""Every counter by its name."""


def counted_in(named: SeriesFingerprint) -> CountedEvents:
    """Return which events a series counts."""
    if isinstance(named, Fingerprint):
        return COUNTED_METRICS[named.metric_name]
    known = METRICS.get(named.event_type)
    return CountedEvents(
        event_type=named.event_type,
        label=f"rule {named.rule}",
        counted=COUNTED_METRICS[known].counted if known else f"{named.event_type} events",
        direction="down" if named.watches_fall else "up",
    )


LOCKED_RULES: Final = frozenset(one.locked_rule for one in COUNTED_METRICS.values())
"""The names of Rules A and B."""
