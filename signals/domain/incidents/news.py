"""Whether what a rule finds is news: not what the same hours showed before, nor what an incident shows."""

from signals.domain.detection import lasting, seasonal
from signals.domain.detection.repeats import BEYOND, PEAK_MINUTES
from signals.domain.detection.rule_types import Drop, FloorRatio
from signals.domain.detection.seasonal import Frozen
from signals.domain.incidents.episode import WORSE, WORSE_AFTER, worse_since
from signals.domain.incidents.evidence import Evidence
from signals.domain.incidents.transitions import TrackState
from signals.domain.incidents.watch import Watch


def is_usual_firing(
    watch: Watch, evidence: Evidence, state: TrackState, minute: int, times: float = BEYOND
) -> bool:
    """Say whether a firing of the fixed rule is no news: the same hours of other days showed as much.

    A rise: less than `times` what they did. A fall: they had hardly anything to fall from, so that what ended
    was a burst. That is not known before the hour of the day is, nor on a special day.
    """
    rule, fixed, context = watch.seasonal, watch.fixed, evidence.context
    if rule is None or context is None or not isinstance(fixed, FloorRatio | Drop):
        return False
    start, end = minute + 1 - fixed.window, minute + 1
    usual = state.seasonal.usual_level
    if isinstance(fixed, FloorRatio):
        shaped = context.shape.between(start, end) * usual
        repeated = seasonal.usual_rise(context, state.seasonal, minute, fixed.window, shaped)
        return evidence.counts.between(start, end) < times * repeated
    level = state.seasonal.bounded(usual, rule.direction)
    expected = seasonal.expected_events(rule, context, start, end) * level
    return expected < lasting.SUSTAIN_EXPECTED and not context.is_cold and not context.is_free


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
