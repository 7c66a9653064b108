"""Replays a series through one rule and looks only at minutes that can matter: the same result, sooner.

A rule without a season does nothing at a minute at which it cannot fire, unless its incident is open. These
minutes are found by sums over the whole range, with the rule's own comparisons, made a little wider.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Final

from signals.domain.detection.calendar import ProjectClock
from signals.domain.detection.counts import PrefixCounts
from signals.domain.detection.rule_types import Absence, Drop, FloorRatio, NewSeries, Rate, Rule, Seasonal
from signals.domain.detection.seasonal_state import SeasonalState
from signals.domain.incidents.episode import GONE_AFTER, Episode, due_at, usual_at
from signals.domain.incidents.evidence import Evidence
from signals.domain.incidents.series_replay import Stretch, one_each, replay
from signals.domain.incidents.tracking import step
from signals.domain.incidents.transitions import TrackState
from signals.domain.incidents.watch import Watch

WIDER: Final = 1e-9  # relative: rounding must not hide a minute
NEVER_ENDS: Final = 1 << 60


def may_open(watch: Watch, counts: Mapping[int, int], whole: Mapping[int, int] | None, end: int) -> bool:
    """Say whether any rule may fire on a sparse series: a glance at its events, not at its minutes.

    `counts` are the events of its non-empty minutes before `end`; `whole` those of a rate's denominator.
    """
    if watch.seasonal is not None and watch.watches_silence:
        return True
    rules: list[Rule] = [rule for rule in (watch.fixed, watch.seasonal) if rule is not None]
    minutes = sorted(counts)
    return any(_may_fire(rule, minutes, counts, whole or {}, end) for rule in rules)


def _may_fire(
    rule: Rule, minutes: Sequence[int], counts: Mapping[int, int], whole: Mapping[int, int], end: int
) -> bool:
    match rule:
        case FloorRatio():
            least = max(rule.floor, rule.ratio * rule.baseline.minimum) * (1 - WIDER)
            return _most_within(rule.window, minutes, counts) >= least
        case Drop():
            least = rule.baseline.minimum * rule.baseline.length / rule.window * (1 - WIDER)
            return _most_within(rule.baseline.length, minutes, counts) >= least
        case NewSeries():
            return _most_within(rule.window, minutes, counts) >= rule.floor
        case Rate():
            return _most_within(rule.window, sorted(whole), whole) >= rule.floor
        case Absence():
            return any(after - at > rule.after for at, after in pairwise((*minutes, end)))
        case Seasonal():
            floors = {
                window.length: min(one.floor for one in rule.windows if one.length == window.length)
                for window in rule.windows
            }
            return any(
                _most_within(length, minutes, counts) >= floor for length, floor in sorted(floors.items())
            )


def _most_within(length: int, minutes: Sequence[int], counts: Mapping[int, int]) -> int:
    """Return the most events of so many minutes in a row."""
    most = events = first = 0
    for minute in minutes:
        events += counts[minute]
        while minutes[first] <= minute - length:
            events -= counts[minutes[first]]
            first += 1
        most = max(most, events)
    return most


def quick_replay(watch: Watch, stretch: Stretch, *, project_since: int, clock: ProjectClock) -> list[Episode]:
    """Return the incidents of one stretch, in order of closing, as `series_replay.replay` does."""
    if watch.seasonal is not None:
        return replay(watch, stretch, project_since=project_since, clock=clock)
    firing = [stretch.since + at for at in _candidates(watch, stretch)]
    return _followed(watch, stretch, firing, project_since) if firing else []


def _followed(watch: Watch, stretch: Stretch, firing: Sequence[int], project_since: int) -> list[Episode]:
    whole = PrefixCounts(stretch.since, stretch.whole) if stretch.whole is not None else None
    evidence = Evidence(
        counts=PrefixCounts(stretch.since, stretch.counts),
        context=None,
        project_since=project_since,
        since=stretch.since,
        whole=whole,
    )
    events = [stretch.since + at for at, count in enumerate(stretch.counts) if count]
    state = TrackState(seasonal=SeasonalState(since=stretch.since))
    episodes: list[Episode] = []
    lasting = firing
    if isinstance(watch.fixed, FloorRatio):
        lasting = [stretch.since + at for at in _floors(watch.fixed, stretch.counts)]
    minute, end = firing[0], stretch.since + len(stretch.counts)
    while minute < end:
        known = bisect_right(events, minute)
        last_event = events[known - 1] if known else stretch.since
        tracked = step(watch, evidence, state, minute, last_event=last_event)
        state = tracked.state
        episodes += tracked.closed
        mattering = firing if state.episode is None else lasting
        minute = _next(watch, mattering, state.episode, minute + 1, last_event)
    return one_each(episodes, state.episode)


def _next(watch: Watch, firing: Sequence[int], episode: Episode | None, minute: int, last_event: int) -> int:
    """Return the next minute that matters, from `minute` on."""
    if episode is not None and isinstance(watch.fixed, Drop | FloorRatio):
        return minute  # it may last at a minute at which it would not fire
    at = bisect_left(firing, minute)
    fires = firing[at] if at < len(firing) else NEVER_ENDS
    if episode is None:
        return fires
    gone = max(last_event, episode.opened_at) + GONE_AFTER
    return max(minute, min(fires, due_at(episode), gone, usual_at(episode, by_worse=False)))


def _candidates(watch: Watch, stretch: Stretch) -> Iterable[int]:
    """Yield, as places in the stretch, every minute at which the rule may fire."""
    match watch.fixed:
        case FloorRatio() as rule:
            return _spikes(rule, stretch.counts)
        case Drop() as rule:
            return _drops(rule, stretch.counts)
        case Rate() as rule:
            return _rates(rule, stretch.counts, stretch.whole or ())
        case Absence() as rule:
            return _silences(rule, stretch.counts)
        case NewSeries() as rule:
            return range(min(len(stretch.counts), rule.window + 1))
    return range(len(stretch.counts))


def _sums(counts: Sequence[int], lag: int) -> list[int]:
    """Return, for each minute, the events of all minutes before the one `lag` minutes earlier."""
    return [0] * min(lag, len(counts)) + [0, *accumulate(counts)][: max(0, len(counts) - lag)]


def _windows(counts: Sequence[int], window: int, length: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield each place with its count, its window's events and its baseline's."""
    until = list(accumulate(counts))
    start, before = _sums(counts, window - 1), _sums(counts, window + length - 1)
    for at, (count, newest, middle, oldest) in enumerate(zip(counts, until, start, before, strict=True)):
        yield at, count, newest - middle, middle - oldest


def _spikes(rule: FloorRatio, counts: Sequence[int]) -> Iterator[int]:
    least = max(rule.floor, rule.ratio * rule.baseline.minimum) * (1 - WIDER)
    by_ratio = rule.ratio * rule.window / rule.baseline.length * (1 - WIDER)
    for at, count, events, before in _windows(counts, rule.window, rule.baseline.length):
        if count and events >= least and events >= by_ratio * before:
            yield at


def _floors(rule: FloorRatio, counts: Sequence[int]) -> Iterator[int]:
    """Yield every minute at which an open incident may last, at any frozen normal."""
    for at, count, events, _ in _windows(counts, rule.window, 0):
        if count and events >= rule.floor:
            yield at


def _drops(rule: Drop, counts: Sequence[int]) -> Iterator[int]:
    least = rule.baseline.minimum * rule.baseline.length / rule.window * (1 - WIDER)
    for at, _, events, before in _windows(counts, rule.window, rule.baseline.length):
        if events <= rule.ceiling and before >= least:
            yield at


def _rates(rule: Rate, counts: Sequence[int], whole: Sequence[int]) -> Iterator[int]:
    parts, wholes = _windows(counts, rule.window, 0), _windows(whole, rule.window, 0)
    for (at, _, part, _), (_, _, of, _) in zip(parts, wholes, strict=True):
        if of >= rule.floor and part >= rule.limit * of * (1 - WIDER):
            yield at


def _silences(rule: Absence, counts: Sequence[int]) -> Iterator[int]:
    last = 0
    for at, count in enumerate(counts):
        if count:
            last = at
        elif at - last >= rule.after:
            yield at
