"""The two detection rules over minute buckets. Source: docs/requirements.md, R24 and R25.

`RULES` describes each rule: other modules read windows, titles and directions there, and never ask which
rule it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from itertools import repeat
from typing import Final, Literal, Protocol

from shared_types import EventType, MetricName
from shared_types.fingerprints import METRICS
from signals.domain.detection.default_rules import ERROR_SPIKE as ROW_A
from signals.domain.detection.default_rules import SIGNUP_DROP as ROW_B
from signals.domain.detection.fixed_rules import CRITICAL_MULTIPLE, SUSTAIN_SHARE
from signals.domain.detection.rule_types import Direction

RuleName = Literal["error_spike", "signup_drop"]

BASELINE_MINUTES: Final = ROW_A.baseline.length

SPIKE_MINUTES: Final = ROW_A.window
SPIKE_MIN_COUNT: Final = ROW_A.floor
SPIKE_FACTOR: Final = int(ROW_A.ratio)

DROP_MINUTES: Final = ROW_B.window
DROP_MAX_COUNT: Final = ROW_B.ceiling
DROP_MIN_BASELINE: Final = int(ROW_B.baseline.minimum)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A rule's verdict at one minute, with every number it rests on.

    `count` is events in the window that ends with `minute` (minutes since the epoch), `baseline` the
    average of as many minutes over the hour before it, `threshold` what the count was compared with.
    `may_sustain`: some open incident could stay fresh by it; the rule's `sustains` decides for one incident.
    """

    rule: RuleName
    minute: int
    count: int
    baseline: float
    threshold: float
    fires: bool
    may_sustain: bool
    severity: IncidentSeverity


class Sustains(Protocol):
    """Says whether an open incident lasts at `count` events, against the `normal` frozen at its opening."""

    def __call__(self, count: int, normal: float) -> bool:
        """Return whether it lasts."""


class Evaluate(Protocol):
    """Judges a series at `minute`, by the values of its minutes; absent minutes are zero.

    `without` events of that minute are left out.
    """

    def __call__(self, counts: Mapping[int, int], minute: int, *, without: int = 0) -> Evaluation:
        """Return the verdict with its numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltinRule:
    """The description of a rule: all that other modules may ask of one.

    It counts events of `event_type` over `window_minutes` and compares them with the `baseline_minutes`
    before. It fires on more of them than usual (`up`) or on fewer (`down`). `title` is a format string with
    the fields error_code, route, environment, count, window and baseline; `title_without_normal` names an
    incident of a series without history.
    """

    name: RuleName
    label: str
    event_type: EventType
    counted: str
    window_minutes: int
    baseline_minutes: int
    direction: Direction
    title: str
    title_without_normal: str
    evaluate: Evaluate
    sustains: Sustains

    @property
    def metric_name(self) -> MetricName:
        """The counter that it judges."""
        return METRICS[self.event_type]

    @property
    def history_minutes(self) -> int:
        """Minutes that one evaluation reads: window and baseline (requirement R24: about 65 for Rule A)."""
        return self.window_minutes + self.baseline_minutes


def error_spike(counts: Mapping[int, int], minute: int, *, without: int = 0) -> Evaluation:
    """Rule A at `minute`: `count_5m >= 30 and count_5m >= 3 * max(1, baseline_60m)`.

    An outage that has become its own baseline no longer fires, but lasts (see `spike_sustains`).
    """
    count, baseline = _window(counts, minute, SPIKE_MINUTES)
    count -= without
    threshold = max(float(SPIKE_MIN_COUNT), SPIKE_FACTOR * max(1.0, baseline))
    severity = IncidentSeverity.WARN
    if count >= CRITICAL_MULTIPLE * threshold:
        severity = IncidentSeverity.CRITICAL
    elif count >= ERROR_MULTIPLE * threshold:
        severity = IncidentSeverity.ERROR
    return Evaluation(
        rule="error_spike",
        minute=minute,
        count=count,
        baseline=baseline,
        threshold=threshold,
        fires=count >= threshold,
        may_sustain=count >= SPIKE_MIN_COUNT,
        severity=severity,
    )


def signup_drop(counts: Mapping[int, int], minute: int, *, without: int = 0) -> Evaluation:
    """Rule B at `minute`: `count_15m <= 10 and baseline_prev_60m >= 40`.

    A drop lasts while signups stay away, even when the lost hour has become the baseline: the normal before
    it, of which nothing is known here, decides (see `drop_sustains`).
    """
    count, baseline = _window(counts, minute, DROP_MINUTES)
    count -= without
    dropped = count <= DROP_MAX_COUNT
    return Evaluation(
        rule="signup_drop",
        minute=minute,
        count=count,
        baseline=baseline,
        threshold=float(DROP_MAX_COUNT),
        fires=dropped and baseline >= DROP_MIN_BASELINE,
        may_sustain=True,
        severity=IncidentSeverity.CRITICAL if count == 0 else IncidentSeverity.ERROR,
    )


def spike_sustains(count: int, normal: float) -> bool:
    """Rule A's incident lasts while `count_5m >= max(30, 3 * max(1, normal))`."""
    return count >= max(float(SPIKE_MIN_COUNT), SPIKE_FACTOR * max(1.0, normal))


def drop_sustains(count: int, normal: float) -> bool:
    """Rule B's incident lasts while `count_15m <= max(10, half of the normal)`."""
    return count <= max(float(DROP_MAX_COUNT), SUSTAIN_SHARE * normal)


def _window(counts: Mapping[int, int], minute: int, length: int) -> tuple[int, float]:
    start = minute - length + 1
    count = sum(map(counts.get, range(start, minute + 1), repeat(0)))
    before = sum(map(counts.get, range(start - BASELINE_MINUTES, start), repeat(0)))
    return count, before * length / BASELINE_MINUTES


ERROR_SPIKE: Final = BuiltinRule(
    name="error_spike",
    label="error spike",
    event_type=EventType.ERROR,
    counted="errors",
    window_minutes=SPIKE_MINUTES,
    baseline_minutes=BASELINE_MINUTES,
    direction="up",
    title=(
        "{error_code} on {route} in {environment}: {count} errors in {window} minutes, usually {baseline:.1f}"
    ),
    title_without_normal=(
        "{error_code} on {route} in {environment}: {count} errors in {window} minutes, a new error"
    ),
    evaluate=error_spike,
    sustains=spike_sustains,
)
SIGNUP_DROP: Final = BuiltinRule(
    name="signup_drop",
    label="signup drop",
    event_type=EventType.SIGNUP,
    counted="signups",
    window_minutes=DROP_MINUTES,
    baseline_minutes=BASELINE_MINUTES,
    direction="down",
    title="Signups dropped in {environment}: {count} in {window} minutes, usually {baseline:.0f}",
    title_without_normal="Signups dropped in {environment}: {count} in {window} minutes",
    evaluate=signup_drop,
    sustains=drop_sustains,
)

RULES: Final[Mapping[str, BuiltinRule]] = {rule.name: rule for rule in (ERROR_SPIKE, SIGNUP_DROP)}
"""The rules by the name that an evaluation stores."""
RULE_OF_METRIC: Final[Mapping[MetricName, BuiltinRule]] = {rule.metric_name: rule for rule in RULES.values()}
"""The one rule that judges each counter."""
HISTORY_MINUTES: Final[Mapping[str, int]] = {
    metric: rule.history_minutes for metric, rule in RULE_OF_METRIC.items()
}
"""Minutes that one evaluation of each counter reads."""
CLOCKED_METRICS: Final = frozenset(
    metric for metric, rule in RULE_OF_METRIC.items() if rule.direction == "down"
)
"""Counters that the clock judges as well: no event may come that could be judged."""
