"""Whether what a rule finds is news: not what the same hours showed before, nor what an incident shows."""

from typing import Final

from signals.domain.detection import lasting, seasonal
from signals.domain.detection.repeats import BEYOND, PEAK_MINUTES
from signals.domain.detection.rule_types import Drop, FloorRatio
from signals.domain.detection.season import HOUR
from signals.domain.detection.seasonal import Frozen
from signals.domain.incidents.episode import WORSE, WORSE_AFTER, worse_since
from signals.domain.incidents.evidence import Evidence
from signals.domain.incidents.transitions import TrackState
from signals.domain.incidents.watch import Watch

LAUNCH_READ: Final = 4  # closed hours before a fall, the newest of which may hold its beginning
LAUNCH_HOURS: Final = 3  # of them with a share of the baseline's events: no import lasts so long (guess)
LAUNCH_SHARE: Final = 0.5


def is_usual_firing(
    watch: Watch, evidence: Evidence, state: TrackState, minute: int, times: float = BEYOND
) -> bool:
    """Say whether a firing of the fixed rule is no news: the same hours of other days showed as much.

    A rise: less than `times` what they did. A fall: they had hardly anything to fall from, and what ended
    was a burst: no hours of a launch. That is not known before the hour of the day is, nor on a special day.
    """
    rule, fixed, context = watch.seasonal, watch.fixed, evidence.context
    if rule is None or context is None or not isinstance(fixed, FloorRatio | Drop):
        return False
    start, end = minute + 1 - fixed.window, minute + 1
    usual = state.seasonal.usual_level
    shaped = context.shape.between(start, end) * usual
    if isinstance(fixed, FloorRatio):
        repeated = seasonal.usual_rise(context, state.seasonal, minute, fixed.window, shaped)
        return evidence.counts.between(start, end) < times * repeated
    level = state.seasonal.bounded(usual, rule.direction)
    expected = seasonal.expected_events(rule, context, start, end) * level
    few = lasting.SUSTAIN_EXPECTED
    if expected < few and (shaped >= few or any(context.repeats) or state.seasonal.moved is not None):
        return True  # other days fell at this hour, or the level on trial did
    if expected >= few or context.is_cold or context.is_free:
        return False
    hourly = evidence.counts.between(start - fixed.baseline.length, start) * HOUR / fixed.baseline.length
    steady = [row for row in context.hours[:LAUNCH_READ] if row.value >= LAUNCH_SHARE * hourly]
    return len(steady) < LAUNCH_HOURS


def is_usual_low(watch: Watch, evidence: Evidence, state: TrackState, minute: int) -> bool:
    """Say whether so few events are what this hour has: the evening came, or the hour before was a burst."""
    rule, context = watch.seasonal, evidence.context
    if rule is None or context is None or context.is_cold or context.is_free:
        return False
    usual = Frozen(level=state.seasonal.bounded(state.seasonal.usual_level, rule.direction), need_z=0.0)
    return not lasting.sustains(rule, context, evidence.counts, minute, usual, state.seasonal)


def is_clearly_worse(watch: Watch, evidence: Evidence, state: TrackState, minute: int) -> bool:
    """Say whether a rise came suddenly and is clearly worse than all that the open incident showed.

    Not while the incident itself was still growing within the hour. That is another outage, with a message of
    its own.
    """
    episode = state.episode
    if episode is None or not watch.is_of_rises or minute < worse_since(episode) + WORSE_AFTER:
        return False
    count = evidence.counts.between(minute + 1 - PEAK_MINUTES, minute + 1)
    return count >= WORSE * max(1, episode.shown)
