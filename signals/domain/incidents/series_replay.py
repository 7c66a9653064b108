"""Replays one series minute by minute through the rules that live evaluation calls."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from signals.domain.detection.counts import MinuteCounts, PrefixCounts
from signals.domain.detection.season import HOUR
from signals.domain.detection.seasonal_state import HourContext, SeasonalState
from signals.domain.incidents.episode import Episode
from signals.domain.incidents.series_history import SeriesHistory
from signals.domain.incidents.tracking import Evidence, TrackState, step
from signals.domain.incidents.watch import Watch

FORGOTTEN_AFTER: Final = 14 * 24 * 60  # minutes of silence after which a series begins anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Counts of one series from its first event on, one a minute; `whole` a rate rule's denominators."""

    since: int
    counts: Sequence[int]
    whole: Sequence[int] | None = None


def stretches(
    counts: dict[int, int],
    end: int,
    whole: dict[int, int] | None = None,
    *,
    forgotten_after: int = FORGOTTEN_AFTER,
) -> Iterator[Stretch]:
    """Cut a sparse series where it was silent for a fortnight; absent minutes are zero until `end`."""
    minutes = sorted(counts.keys() | (whole or {}).keys())
    first = 0
    for number, minute in enumerate(minutes):
        is_last = number + 1 == len(minutes)
        if is_last or minutes[number + 1] - minute >= forgotten_after:
            stop = min(end, minute + 1 + forgotten_after)
            span = range(minutes[first], stop)
            yield Stretch(
                since=span.start,
                counts=[counts.get(at, 0) for at in span],
                whole=[whole.get(at, 0) for at in span] if whole is not None else None,
            )
            first = number + 1


def replay(
    watch: Watch,
    stretch: Stretch,
    *,
    project_since: int,
    offset: Callable[[int], int],
    every_minute: bool = False,
) -> list[Episode]:
    """Return the incidents of one stretch, in order of closing; the last may be open.

    Minutes at which no rule can fire are skipped; `every_minute` judges them all the same.
    """
    counts = PrefixCounts(stretch.since, stretch.counts)
    whole = PrefixCounts(stretch.since, stretch.whole) if stretch.whole is not None else None
    state = TrackState(seasonal=SeasonalState(since=stretch.since))
    history = SeriesHistory(watch.seasonal, stretch.since, offset) if watch.seasonal else None
    episodes: list[Episode] = []
    end = stretch.since + len(stretch.counts)
    last_event = stretch.since
    skips = not every_minute and not watch.watches_silence
    fewest = watch.fewest_events if skips else 0
    for hour in range(stretch.since // HOUR, -(-end // HOUR)):
        context = history.context(hour, state.seasonal) if history else None
        evidence = Evidence(
            counts=counts, context=context, project_since=project_since, since=stretch.since, whole=whole
        )
        for minute in range(max(hour * HOUR, stretch.since), min(end, hour * HOUR + HOUR)):
            if stretch.counts[minute - stretch.since]:
                last_event = minute
            if skips and state.episode is None and counts.between(minute - HOUR + 1, minute + 1) < fewest:
                continue
            state, closed = step(watch, evidence, state, minute, last_event=last_event)
            if closed:
                episodes += closed
                if history and closed[0].reason == "became_usual":
                    evidence = replace(evidence, context=history.context(hour, state.seasonal))
        state = _close(history, evidence.context, counts, state, hour, end)
    if state.episode is not None:
        episodes.append(state.episode)
    return episodes


def _close(
    history: SeriesHistory | None,
    context: HourContext | None,
    counts: MinuteCounts,
    state: TrackState,
    hour: int,
    end: int,
) -> TrackState:
    if history is None or context is None or hour * HOUR + HOUR > end:
        return state
    return replace(state, seasonal=history.close(context, counts, state.seasonal))
