"""Why no incident opened: how near each rule came around an instant, and everything that stood in the way."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final

from psycopg_pool import ConnectionPool

from shared_types import Tenancy
from shared_types.fingerprints import METRICS
from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, transaction
from signals.domain.detection.buckets import BucketRange, Series, instant_of, minute_of
from signals.domain.detection.calendar import ProjectClock
from signals.domain.detection.own_rules import OwnRule
from signals.domain.detection.rule_types import DAY, KNOWN_AFTER, Rule, Seasonal
from signals.domain.detection.season import HOUR
from signals.domain.detection.verdict import RuleVerdict
from signals.domain.incidents.nearest_miss import KnownCounts, firing, nearest, nearest_of_season
from signals.domain.incidents.series_replay import stretches
from signals.services.detection.blockers import (
    Blocker,
    of_arrival,
    of_bound,
    of_engine,
    of_hold,
    of_learning,
    of_open_incidents,
    of_order,
    of_own_series,
    of_series,
    of_uncounted,
    of_versions,
)
from signals.services.detection.in_force import VersionInForce, in_force
from signals.services.detection.own_counts import OwnCounted, counted_of
from signals.services.detection.preview_answers import PreviewCondition, condition_of
from signals.services.detection.project_rules import judged_names
from signals.services.detection.series_question import SeriesQuestion, selects, series_of
from signals.store.detection import (
    buckets,
    new_series,
    project_calendars,
    rules,
    series_facts,
    waiting_series,
)
from signals.store.detection.rules import RuleVersion

HISTORY_DAYS: Final = 14  # from which a seasonal rule learns here; live it knows up to 35
AROUND: Final = timedelta(minutes=30)  # before and after the instant (guess: people say "about nine")


@dataclass(frozen=True, slots=True, kw_only=True)
class NearMiss:
    """A rule's numbers at one minute. `shortfall` is the largest share of a need that was missing."""

    at: datetime
    fires: bool
    count: int
    minutes: int
    usual: float
    threshold: float
    shortfall: float
    conditions: list[PreviewCondition]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleMiss:
    """One rule of the project that watches the series, and the version of the nearest miss; 0 for none.

    Each minute is judged by the version that was in force then.
    """

    name: str
    kind: str
    version: int
    nearest: NearMiss | None
    blockers: list[Blocker]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyNot:
    """Why no incident of the series opened in `since <= t < until`. `events` were counted in the range."""

    fingerprint: str | None
    since: datetime
    until: datetime
    events: int
    blockers: list[Blocker]
    rules: list[RuleMiss]


class WhyNotFinder:
    """Answers for every project; safe to call from several threads."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool

    def answer(self, tenancy: Tenancy, question: SeriesQuestion) -> WhyNot:
        """Return how near each rule came, and every blocker.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        now = datetime.now(UTC)
        since, until = question.at - AROUND, min(question.at + AROUND, max(now, question.at))
        minutes = range(minute_of(since), minute_of(until) + 1)
        history = range(minutes.start - HISTORY_DAYS * DAY, minutes.stop)
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            series = _asked(connection, tenancy, question, minutes)
            versions = rules.versions_between(connection, tenancy.project_id, since, until)
            in_force_now = rules.rules_of(connection, [tenancy.project_id])[tenancy.project_id]
            judged = _Judged(
                question=question,
                series=series,
                minutes=minutes,
                judged=judged_names(in_force_now),
                clock=project_calendars.clocks_of(connection, [tenancy.project_id])[tenancy.project_id],
                own=counted_of(connection, in_force_now, tenancy, question, history),
            )
            late = list(of_arrival(connection, tenancy, question.at, question.received_at))
        misses = [miss for of_name in _by_name(versions) if (miss := judged.miss(of_name))]
        return WhyNot(
            fingerprint=series.series.fingerprint if series else None,
            since=since,
            until=until,
            events=judged.events,
            blockers=[
                *late,
                *(series.blockers if series else of_uncounted(question.event_type, len(misses))),
            ],
            rules=misses,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _AskedSeries:
    """The series of Rule A or B that is asked about: its counts, and what stood in its way under any rule."""

    series: Series
    counts: KnownCounts
    is_open: bool
    blockers: list[Blocker]


def _asked(
    connection: Connection, tenancy: Tenancy, question: SeriesQuestion, hour: range
) -> _AskedSeries | None:
    """Read the series of Rule A or B with its history; None for events that neither counts."""
    if question.event_type not in METRICS:
        return None
    series = series_of(tenancy, question)
    [found] = buckets.read(connection, [BucketRange(series, hour.start - HISTORY_DAYS * DAY, hour.stop, ())])
    first, is_known = series_facts.first_seen(connection, series, question.at, learning_minutes=KNOWN_AFTER)
    since, until = instant_of(hour.start), instant_of(hour.stop)
    open_ones = series_facts.overlapping_incidents(connection, series, since, until)
    received = (tenancy.project_id, minute_of(question.received_at or question.at) // HOUR)
    begun = new_series.begun(connection, [received], lock=False)[received]
    events = sum(count for minute, count in found.items() if minute in hour)
    return _AskedSeries(
        series=series,
        counts=KnownCounts(found),
        is_open=bool(open_ones),
        blockers=[
            *of_order(is_disordered=waiting_series.is_disordered(connection, series)),
            *of_bound(series, first, question.at, begun),
            *of_series(series, first, events, is_known=is_known),
            *of_open_incidents(open_ones),
        ],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """The counts before and around an instant, and how near a rule came on them."""

    question: SeriesQuestion
    series: _AskedSeries | None
    minutes: range
    judged: Collection[str]
    clock: ProjectClock
    own: Mapping[str, OwnCounted]

    @property
    def events(self) -> int:
        """Events of the series in the hour: of Rule A or B, else the most that an own rule has counted."""
        known = (
            [self.series.counts] if self.series else [one.counts for one in self.own.values() if one.counts]
        )
        return max((sum(one.events(minute) for minute in self.minutes) for one in known), default=0)

    def counts(self, rule: Rule) -> KnownCounts | None:
        """Return the counts that the rule judges; None where they are not known."""
        if _shares(rule):
            return self.series.counts if self.series else None
        own = self.own.get(rule.name)
        return own.counts if own is not None and rule.version >= own.own.since else None

    def nearest(self, rule: Rule, minutes: range) -> RuleVerdict | None:
        """Return the rule's verdict nearest to firing at these minutes; None without known counts."""
        counts = self.counts(rule)
        if counts is None:
            return None
        if not isinstance(rule, Seasonal):
            return nearest(rule, counts, minutes)
        known = list(stretches(dict(counts.values), minutes.stop))
        if not known:
            return None
        return nearest_of_season(rule, known[-1], minutes, self.clock)

    def miss(self, versions: Sequence[RuleVersion]) -> RuleMiss | None:
        """Return how near one rule came, each minute by the version in force then; `versions` newest first.

        None if no version of it watched the series. Minutes at which it was off count where it never was on.
        """
        pieces = [one for one in in_force(versions, self.minutes) if self._watches(one.version)]
        if not pieces and (versions[0].change == "removed" or not self._watches(versions[-1])):
            return None
        blockers = list(of_versions(versions[0], pieces))
        tried = pieces or [VersionInForce(version=versions[-1], minutes=self.minutes)]
        judged = [
            (verdict, one) for one in tried if (verdict := self.nearest(one.rule, one.minutes)) is not None
        ]
        verdict, of_piece = min(
            judged,
            key=lambda one: (not one[1].rule.enabled, one[0].shortfall),
            default=(None, tried[0]),
        )
        rule = of_piece.rule
        blockers += of_engine(rule, self.judged)
        own, counts = self.own.get(rule.name), self.counts(rule)
        if not _shares(rule):
            blockers += of_own_series(rule, own.series if own and counts is not None else None)
        blockers += of_open_incidents(own.incidents if own else ())
        is_open = bool(own.incidents) if own else self.series is not None and self.series.is_open
        if verdict is not None and verdict.fires and counts is not None and not is_open:
            blockers += of_hold(rule, firing(rule, counts, of_piece.minutes))
        if own is not None and not own.own.shares_buckets and verdict is not None:
            blockers += of_learning(rule, own.own.begun, verdict.minute)
        return RuleMiss(
            name=rule.name,
            kind=rules.spec_of(rule)["kind"],
            version=rule.version if pieces else 0,
            nearest=None if verdict is None else _near_miss(verdict),
            blockers=blockers,
        )

    def _watches(self, version: RuleVersion) -> bool:
        return version.change != "removed" and selects(version.rule, self.question)


def _shares(rule: Rule) -> bool:
    """Say whether the rule judges the very counts of the series that is asked about."""
    return OwnRule(rule, rule.version).shares_buckets


def _near_miss(verdict: RuleVerdict) -> NearMiss:
    return NearMiss(
        at=instant_of(verdict.minute),
        fires=verdict.fires,
        count=verdict.count,
        minutes=verdict.length,
        usual=round(verdict.normal, 2),
        threshold=round(verdict.threshold, 2),
        shortfall=round(verdict.shortfall, 4),
        conditions=[condition_of(one) for one in verdict.conditions],
    )


def _by_name(versions: Sequence[RuleVersion]) -> Iterator[list[RuleVersion]]:
    for _, of_name in groupby(versions, key=lambda one: one.rule.name):
        yield list(of_name)
