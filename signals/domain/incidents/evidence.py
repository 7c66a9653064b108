"""Input of one series' evaluations, beside its state and its rules."""

import msgspec

from signals.domain.detection.counts import MinuteCounts
from signals.domain.detection.seasonal_state import HourContext


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Input of one series' evaluations of an hour. `whole` is the denominator of a rate rule.

    `project_since` is the minute from which events are counted for the rule: the first one of the project,
    or a later one from which a rule that people wrote has counted. `since` is the first of the series.
    `is_disordered`: minutes of it came out of order, and some may be missing.
    """

    counts: MinuteCounts
    context: HourContext | None
    project_since: int
    since: int
    whole: MinuteCounts | None = None
    is_disordered: bool = False
