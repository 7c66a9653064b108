"""Replays counts of a file through the rules: the incidents and outages that live evaluation would open."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from signals.domain.detection.calendar import ProjectClock
from signals.domain.detection.own_rules import OwnRule, conditions_of
from signals.domain.detection.rule_types import EventSelection, Rule
from signals.domain.incidents.episode import Episode
from signals.domain.incidents.outages import RULE, Member, Outage, group
from signals.domain.incidents.placing import attributes_of_own
from signals.domain.incidents.quick_replay import may_open, quick_replay
from signals.domain.incidents.series_replay import stretches
from signals.domain.incidents.watch import Watch, watches
from signals.services.detection.count_lines import CountedSeries, CountLine
from signals.services.detection.project_rules import own_rules

OTHER: Final = "other"
DAY: Final = 24 * 60  # minutes

ReplayCounts = dict[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedIncident:
    """One incident with its series. `outage` counts outages from 1, in order of opening."""

    series: str
    attributes: Mapping[str, str]
    episode: Episode
    outage: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedOutage:
    """Incidents that people see as one; `confirmed_at` is the minute of the first confirmed one, if any."""

    number: int
    outage: Outage
    incidents: tuple[ReplayedIncident, ...]
    confirmed_at: int | None


@dataclass(slots=True)
class WatchedSeries:
    """One series of one watch while counts are read.

    `reasons` are the attributes that may explain why it fired; those of the file where nothing else is known.
    """

    attributes: dict[str, str]
    reasons: Mapping[str, str]
    texts: set[str] = field(default_factory=set)
    counts: ReplayCounts = field(default_factory=lambda: defaultdict(int))
    whole: ReplayCounts = field(default_factory=lambda: defaultdict(int))

    @property
    def name(self) -> str:
        """The file's own text where one series was counted, else the attributes."""
        if len(self.texts) == 1:
            return next(iter(self.texts))
        return "|".join(f"{name}={value}" for name, value in self.attributes.items()) or OTHER

    @property
    def key(self) -> str:
        """Its name among the series of all rules: two may count the same events."""
        return f"{self.reasons.get(RULE, '')}|{self.name}"

    def end(self, of_file: int) -> int:
        """Return the minute after its last: a line with the count 0 as its newest ends it, else the file."""
        newest = max(self.counts.keys() | self.whole.keys())
        is_marked = not (self.counts.get(newest) or self.whole.get(newest))
        return newest + 1 if is_marked else of_file


def _events(counts: ReplayCounts) -> ReplayCounts:
    """Leave out lines with the count 0: a series exists from its first event on."""
    return {minute: count for minute, count in counts.items() if count}


@dataclass(slots=True)
class _Watched:
    """A watch with its series by their values of `per`; `own` is its rule if people wrote that."""

    watch: Watch
    own: OwnRule | None
    series: dict[tuple[str | None, ...], WatchedSeries] = field(default_factory=dict)

    def of(self, values: tuple[str | None, ...]) -> WatchedSeries:
        """Return the series of these values, `other` when the rule has as many as it may."""
        rule, key = self.watch.rule, values
        if key not in self.series and len(self.series) >= rule.max_series:
            key = (OTHER,)
        if key not in self.series:
            is_other = key == (OTHER,) and key != values
            pairs: dict[str, str | None] = {} if is_other else dict(zip(rule.per, key, strict=True))
            known = {name: value for name, value in pairs.items() if value is not None}
            reasons: Mapping[str, str] = known
            if self.own is not None:
                reasons = attributes_of_own(
                    rule.name, self.own.fixed if is_other else self.own.shared_by(pairs)
                )
            self.series[key] = WatchedSeries(known, reasons)
        return self.series[key]


class ReplayedSeries:
    """Counts of one project's series, as the rules group them."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        own = {rule.name for rule in own_rules(rules)}
        self._watched = [
            _Watched(watch, OwnRule(watch.rule, watch.rule.version) if watch.rule.name in own else None)
            for watch in watches(rules)
        ]
        self._routes: dict[CountedSeries, list[tuple[WatchedSeries, bool]]] = {}

    def add(self, series: CountedSeries, counts: Collection[tuple[int, int]]) -> None:
        """Add events by minute to every rule that watches the series; in any order of minutes."""
        if series not in self._routes:
            self._routes[series] = list(_route(series, self._watched))
        for watched, is_whole in self._routes[series]:
            target = watched.whole if is_whole else watched.counts
            for minute, count in counts:
                target[minute] += count

    def episodes(
        self, first: int, end: int, clock: ProjectClock
    ) -> Iterator[tuple[WatchedSeries, list[Episode]]]:
        """Yield each series with its incidents before the minute `end`; the project began at `first`."""
        for watched in self._watched:
            for series in watched.series.values():
                yield series, _episodes(watched.watch, series, first, end, clock)

    @property
    def series(self) -> list[WatchedSeries]:
        """Everything that is watched."""
        return [series for watched in self._watched for series in watched.series.values()]


def replay_counts(
    lines: Iterable[CountLine], rules: Sequence[Rule], clock: ProjectClock
) -> list[ReplayedOutage]:
    """Return the outages of one project's counts, in order of opening. Reads the whole file first.

    Raises:
        BadLine: from `lines`.
    """
    replayed = ReplayedSeries(rules)
    first: int | None = None
    end = 0
    for line in lines:
        first = line.minute if first is None else first
        end = line.minute + 1
        replayed.add(line.series, ((line.minute, line.count),))
    if first is None:
        return []
    found = [(one, episode) for one, all_of in replayed.episodes(first, end, clock) for episode in all_of]
    return _outages(found, replayed.series)


def _episodes(
    watch: Watch, series: WatchedSeries, project_since: int, end: int, clock: ProjectClock
) -> list[Episode]:
    whole = _events(series.whole) if watch.rule.whole is not None else None
    if not may_open(watch, series.counts, whole, series.end(end)):
        return []
    silence = watch.rule.forgotten_after
    return [
        episode
        for stretch in stretches(_events(series.counts), series.end(end), whole, forgotten_after=silence)
        for episode in quick_replay(watch, stretch, project_since=project_since, clock=clock)
    ]


def _route(series: CountedSeries, watched: Sequence[_Watched]) -> Iterable[tuple[WatchedSeries, bool]]:
    """Yield the watched series that a file's series counts towards, and whether as a rate's denominator."""
    for one in watched:
        rule = one.watch.rule
        is_part = _matches(rule.on, series)
        is_whole = rule.whole is not None and _matches(rule.whole, series)
        if not (is_part or is_whole):
            continue
        target = one.of(tuple(series.get(attribute) for attribute in rule.per))
        target.texts.add(series.text)
        if is_part:
            yield target, False
        if is_whole:
            yield target, True


def _matches(selection: EventSelection, series: CountedSeries) -> bool:
    """Say whether a file's series is selected; a condition on what the file does not hold never is."""
    if series.get("event_type") != selection.event_type:
        return False
    return all(series.get(name) in values for name, values in conditions_of(selection).items())


def _outages(
    found: Sequence[tuple[WatchedSeries, Episode]], series: Sequence[WatchedSeries]
) -> list[ReplayedOutage]:
    ordered = sorted(found, key=lambda pair: (pair[1].opened_at, pair[0].name, pair[1].rule))
    members = [
        Member(number=number, series=watched.key, attributes=watched.reasons, opened_at=episode.opened_at)
        for number, (watched, episode) in enumerate(ordered)
    ]
    replayed = []
    for number, outage in enumerate(sorted(group(members, _active(series)), key=lambda o: o.opened_at), 1):
        incidents = tuple(
            ReplayedIncident(
                series=ordered[member.number][0].name,
                attributes=ordered[member.number][0].attributes,
                episode=ordered[member.number][1],
                outage=number,
            )
            for member in sorted(outage.members, key=lambda member: member.number)
        )
        confirmed = [at for incident in incidents if (at := incident.episode.confirmed_at) is not None]
        replayed.append(
            ReplayedOutage(
                number=number, outage=outage, incidents=incidents, confirmed_at=min(confirmed, default=None)
            )
        )
    return replayed


def _active(series: Sequence[WatchedSeries]) -> Callable[[int], Mapping[str, Mapping[str, str]]]:
    """Return a lookup of the series that had an event within a day before a minute."""
    days = [
        (one, frozenset(at // DAY for counts in (one.counts, one.whole) for at in counts if counts[at]))
        for one in series
    ]

    def active(minute: int) -> Mapping[str, Mapping[str, str]]:
        day = minute // DAY
        return {one.key: one.reasons for one, known in days if day in known or day - 1 in known}

    return active
