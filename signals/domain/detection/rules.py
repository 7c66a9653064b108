"""The two detection rules over minute buckets. Source: specification, "Incident detection rules"."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from itertools import repeat
from typing import Final, Literal

RuleName = Literal["error_spike", "signup_drop"]

BASELINE_MINUTES: Final = 60

SPIKE_MINUTES: Final = 5
SPIKE_MIN_COUNT: Final = 30
SPIKE_FACTOR: Final = 3

DROP_MINUTES: Final = 15
DROP_MAX_COUNT: Final = 10
DROP_MIN_BASELINE: Final = 40

# Minutes one evaluation reads: window and baseline (specification: about 65 for Rule A).
HISTORY_MINUTES: Final[Mapping[str, int]] = {
    "error_count": SPIKE_MINUTES + BASELINE_MINUTES,
    "signup_count": DROP_MINUTES + BASELINE_MINUTES,
}

# Multiples of the threshold at which a spike is worse (guess: a doubling is worth a second look).
ERROR_MULTIPLE: Final = 2
CRITICAL_MULTIPLE: Final = 10


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
    `sustains`: enough to keep an open incident fresh, though perhaps not to open one.
    """

    rule: RuleName
    minute: int
    count: int
    baseline: float
    threshold: float
    fires: bool
    sustains: bool
    severity: IncidentSeverity


def error_spike(counts: Mapping[int, int], minute: int) -> Evaluation:
    """Rule A at `minute`: `count_5m >= 30 and count_5m >= 3 * max(1, baseline_60m)`.

    `counts` maps minutes to values; absent minutes are zero. An outage that has become its own baseline
    no longer fires, but sustains.
    """
    count, baseline = _window(counts, minute, SPIKE_MINUTES)
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
        sustains=count >= SPIKE_MIN_COUNT,
        severity=severity,
    )


def signup_drop(counts: Mapping[int, int], minute: int, *, without: int = 0) -> Evaluation:
    """Rule B at `minute`: `count_15m <= 10 and baseline_prev_60m >= 40`.

    `without` events of that minute are left out: a count that grows past 10 inside one batch was at
    most 10 when the batch's first event came, which is when per-event evaluation would have fired.
    A drop sustains while signups stay away, even when the lost hour has become the baseline.
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
        sustains=dropped,
        severity=IncidentSeverity.CRITICAL if count == 0 else IncidentSeverity.ERROR,
    )


def _window(counts: Mapping[int, int], minute: int, length: int) -> tuple[int, float]:
    start = minute - length + 1
    count = sum(map(counts.get, range(start, minute + 1), repeat(0)))
    before = sum(map(counts.get, range(start - BASELINE_MINUTES, start), repeat(0)))
    return count, before * length / BASELINE_MINUTES
