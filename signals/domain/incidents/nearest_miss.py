"""How near a rule came to firing: its verdict at the minute with the smallest shortfall."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from signals.domain.detection import fixed_rules
from signals.domain.detection.calendar import ProjectClock
from signals.domain.detection.counts import BucketCounts, PrefixCounts
from signals.domain.detection.rule_types import Absence, Drop, FloorRatio, NewSeries, Rate, Rule, Seasonal
from signals.domain.detection.verdict import RuleVerdict
from signals.domain.incidents.following import SeriesFollower, Surroundings, begin_series
from signals.domain.incidents.series_replay import Stretch
from signals.domain.incidents.tracking import nearest_seasonal
from signals.domain.incidents.watch import Watch


@dataclass(frozen=True, slots=True)
class KnownCounts:
    """Events of a series by minute, from its oldest known one on; `whole` is a rate's denominator."""

    values: Mapping[int, int]
    whole: Mapping[int, int] = field(default_factory=dict)

    def events(self, minute: int) -> int:
        """Return the events of a minute, of a rate's denominator if it has one."""
        return (self.whole or self.values).get(minute, 0)

    def last_event(self, minute: int) -> int | None:
        """Return the newest minute with an event until `minute`."""
        return max((at for at in self.values if at <= minute), default=None)

    def begun(self, minute: int, silence: int) -> int | None:
        """Return when the series began, or came back after so many minutes of silence, before `minute`."""
        known = sorted(at for at in self.values if at <= minute)
        returns = (after for at, after in pairwise(known) if after - at >= silence)
        return max(returns, default=known[0]) if known else None


def nearest(rule: Rule, counts: KnownCounts, minutes: Iterable[int]) -> RuleVerdict | None:
    """Return the verdict nearest to firing; the first of equals, one that fires before any that does not.

    A spike is judged at minutes with an event only. None when no minute is judged, and for a season.
    """
    verdicts = (_verdict(rule, counts, minute) for minute in minutes)
    return min((one for one in verdicts if one), key=lambda one: one.shortfall, default=None)


def nearest_of_season(
    rule: Seasonal, stretch: Stretch, minutes: range, clock: ProjectClock
) -> RuleVerdict | None:
    """Return the seasonal verdict nearest to firing, after the history that the stretch holds.

    None when the series is too young to be judged at these minutes, which lie in the stretch.
    """
    around = Surroundings(
        counts=PrefixCounts(stretch.since, stretch.counts),
        hours={},
        project_since=stretch.since,
        clock=clock,
    )
    watch = Watch(seasonal=rule)
    before = SeriesFollower(watch, begin_series(stretch.since), around)
    deque(before.advance(minutes.start - 1), maxlen=0)
    follower = SeriesFollower(watch, before.record(), around, every_minute=True)
    verdicts = (
        nearest_seasonal(watch, followed.evidence, follower.track.seasonal, followed.minute)
        for followed in follower.advance(minutes.stop - 1)
    )
    return min((one for one in verdicts if one), key=lambda one: one.shortfall, default=None)


def firing(rule: Rule, counts: KnownCounts, minutes: Iterable[int]) -> list[int]:
    """Return the minutes at which the rule fires."""
    verdicts = (_verdict(rule, counts, minute) for minute in minutes)
    return [one.minute for one in verdicts if one and one.fires]


def _verdict(rule: Rule, known: KnownCounts, minute: int) -> RuleVerdict | None:
    counts = BucketCounts(known.values)
    match rule:
        case FloorRatio():
            has_event = counts.between(minute, minute + 1) > 0
            return fixed_rules.floor_ratio(rule, counts, minute) if has_event else None
        case Drop():
            return fixed_rules.drop(rule, counts, minute)
        case Rate():
            return fixed_rules.rate(rule, counts, BucketCounts(known.whole), minute)
        case Absence():
            last = known.last_event(minute)
            return None if last is None else fixed_rules.absence(rule, last, minute)
        case NewSeries():
            begun = known.begun(minute, rule.forgotten_after)
            return None if begun is None else fixed_rules.new_series(rule, counts, begun, minute)
    return None
