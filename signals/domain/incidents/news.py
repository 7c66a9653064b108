"""Whether what a rule finds is news: not what the same hours showed before, nor what an incident shows."""

from signals.domain.detection import lasting, seasonal
from signals.domain.detection.repeats import BEYOND, PEAK_MINUTES
from signals.domain.detection.rule_types import Drop, FloorRatio
from signals.domain.incidents.episode import WORSE, WORSE_AFTER, worse_since
from signals.domain.incidents.evidence import Evidence
from signals.domain.incidents.transitions import TrackState
from signals.domain.incidents.watch import Watch


def is_usual_firing(
    watch: Watch, evidence: Evidence, state: TrackState, minute: int, times: float = BEYOND
) -> bool:
    """Say whether a firing of the fixed rule is no news: the same hours of other days showed as much.

    A rise: less than `times` what they did. A fall: they had hardly anything to fall from.
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
    return expected < min(shaped, lasting.SUSTAIN_EXPECTED)


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
