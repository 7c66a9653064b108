"""Replays one series minute by minute through the rules that live evaluation calls."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from signals.domain.detection.calendar import ProjectClock
from signals.domain.detection.counts import PrefixCounts
from signals.domain.detection.rule_types import FORGOTTEN_AFTER
from signals.domain.incidents.episode import Episode
from signals.domain.incidents.following import SeriesFollower, Surroundings, begin_series
from signals.domain.incidents.watch import Watch


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
    clock: ProjectClock,
    every_minute: bool = False,
) -> list[Episode]:
    """Return the incidents of one stretch, in order of closing; the last may be open.

    Minutes at which no rule can fire are skipped; `every_minute` judges them all the same.
    """
    around = Surroundings(
        counts=PrefixCounts(stretch.since, stretch.counts),
        hours={},
        project_since=project_since,
        clock=clock,
        whole=PrefixCounts(stretch.since, stretch.whole) if stretch.whole is not None else None,
    )
    follower = SeriesFollower(watch, begin_series(stretch.since), around, every_minute=every_minute)
    end = stretch.since + len(stretch.counts)
    closed = [ended for followed in follower.advance(end - 1) for ended in followed.closed]
    return one_each(closed, follower.track.episode)


def one_each(closed: Iterable[Episode], last: Episode | None) -> list[Episode]:
    """Return each incident once, in order of closing: one that was opened again as it ended at last."""
    episodes: dict[int, Episode] = {}
    for episode in [*closed, *([last] if last is not None else ())]:
        episodes.pop(episode.opened_at, None)
        episodes[episode.opened_at] = episode
    return list(episodes.values())
