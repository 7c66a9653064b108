"""Finds the series that a tick would not change, so that their states are neither decoded nor written."""

from collections.abc import Mapping

from signals.domain.detection.counts import MINUTES_READ
from signals.domain.detection.season import HOUR
from signals.domain.incidents.record_codec import decode_resting_hour
from signals.domain.incidents.watch import Watch
from signals.store.detection.due_series import DueSeries


def is_resting(
    due: DueSeries, watch: Watch, values: Mapping[int, int], whole: Mapping[int, int], minute: int
) -> bool:
    """Say whether judging up to `minute` would change nothing of the series but the judged minute.

    So it is without an open incident, new events, an hour to close, or enough events in any hour. `values`
    are its events by minute, `whole` those of a rate's denominator.
    """
    if due.state is None or due.has_open or watch.watches_silence:
        return False
    if any(due.judged < at <= minute for at in values):
        return False
    if sum(count for at, count in values.items() if due.judged - HOUR < at <= minute) >= watch.fewest_events:
        return False
    if not any(at > minute - MINUTES_READ for at in (*values, *whole)):
        return False  # it goes to sleep
    hour = decode_resting_hour(due.state)
    return hour is not None and (watch.seasonal is None or hour >= minute // HOUR)
