"""Finds the series of a tick at which no rule can fire: their states are not decoded and built anew."""

from collections.abc import Mapping

from signals.domain.detection.counts import MINUTES_READ
from signals.domain.detection.season import HOUR
from signals.domain.incidents.record_codec import read_resting
from signals.domain.incidents.watch import Watch
from signals.store.detection.due_series import DueSeries


def rested(
    due: DueSeries, watch: Watch, values: Mapping[int, int], whole: Mapping[int, int], minute: int
) -> bytes | None:
    """Return the state after judging up to `minute` if only minutes change: the same one without events.

    None when the series must be judged in full: with an open incident, an hour to close, enough events in an
    hour, after a long silence, and before its sleep. `values` are its events by minute, `whole` those of a
    rate's denominator.
    """
    if due.state is None or due.has_open or watch.watches_silence:
        return None
    if sum(count for at, count in values.items() if due.judged - HOUR < at <= minute) >= watch.fewest_events:
        return None
    if not any(at > minute - MINUTES_READ for at in (*values, *whole)):
        return None
    state = read_resting(due.state)
    if state is None or (watch.seasonal is not None and state.hour < minute // HOUR):
        return None
    arrived = [at for at in values if due.judged < at <= minute]
    if not arrived:
        return due.state
    if min(arrived) - state.last_event >= forgotten_after(watch):
        return None
    return state.moved(minute, max(state.last_event, *arrived))


def forgotten_after(watch: Watch) -> float:
    """Return the minutes of silence after which a series begins anew; a rate has no history to forget."""
    if watch.rule.whole is not None:
        return float("inf")
    return watch.rule.forgotten_after
