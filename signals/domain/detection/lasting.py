"""Whether an outage that a seasonal rule opened lasts: by the level frozen at its opening."""

from typing import Final

from signals.domain.detection.counts import MinuteCounts
from signals.domain.detection.rule_types import Seasonal
from signals.domain.detection.season import HOUR
from signals.domain.detection.seasonal import USUAL_EVENTS, Frozen, usual_rise
from signals.domain.detection.seasonal_state import HourContext, SeasonalState
from signals.domain.detection.significance import gamma_poisson_z

SUSTAIN_UP: Final = 1.7  # times the frozen expectation that keeps a rise open
SUSTAIN_DOWN: Final = 0.6  # share of the frozen expectation that keeps a drop open
SUSTAIN_MINUTES: Final = 15  # the window that says whether an outage lasts
SUSTAIN_FLOOR: Final = 5  # events in it, at least, for a rise
SUSTAIN_EXPECTED: Final = 8.0  # events expected, from which a window says whether a drop lasts
SPARSE_EXPECTED: Final = 3.5  # events expected, from which none is a sign: 3 % by chance
SPARSE_SHARE: Final = 0.2  # of few expected events: at most so many while a drop lasts


def sustains(
    rule: Seasonal,
    context: HourContext,
    counts: MinuteCounts,
    minute: int,
    frozen: Frozen,
    state: SeasonalState,
) -> bool:
    """Say whether an open incident lasts, by the level frozen at its opening.

    A rise that the same hours of other days showed as well keeps none open.
    """
    end = minute + 1
    if rule.direction == "up":
        count = counts.between(end - SUSTAIN_MINUTES, end)
        expected = context.shape.between(end - SUSTAIN_MINUTES, end) * frozen.level
        usual = usual_rise(context, state, minute, SUSTAIN_MINUTES, expected)
        if count < max(SUSTAIN_FLOOR, SUSTAIN_UP * expected, SUSTAIN_UP * usual):
            return False
        noise = context.noise.get(SUSTAIN_MINUTES, context.noise[HOUR])
        return gamma_poisson_z(count, expected, 1 / (1 / USUAL_EVENTS + noise)) >= frozen.need_z / 2
    for length in (SUSTAIN_MINUTES, HOUR):
        expected = context.shape.between(end - length, end) * frozen.level
        if expected >= SUSTAIN_EXPECTED:
            return counts.between(end - length, end) <= SUSTAIN_DOWN * expected
    count = counts.between(context.shape.start, end)
    expected = context.shape.between(context.shape.start, end) * frozen.level
    for row in context.hours:
        if expected >= SPARSE_EXPECTED:
            break
        count += row.value
        expected += row.expected * frozen.level
    return count <= int(SPARSE_SHARE * expected)
