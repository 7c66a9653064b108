"""Incidents that a draft rule would have opened in the last fortnight, from stored counts."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import BoundedSemaphore
from typing import Final

import msgspec
from psycopg_pool import ConnectionPool

from shared_types import Environment, EventType, Fingerprint, Tenancy
from shared_types.fingerprints import METRICS
from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import instant_of, minute_of
from signals.domain.detection.calendar import ProjectClock
from signals.domain.detection.own_rules import conditions_of
from signals.domain.detection.rule_types import Rule
from signals.domain.incidents.episode import Episode
from signals.errors import DependencyUnavailable
from signals.services.detection.count_lines import CountedSeries, instant_text
from signals.services.detection.preview_answers import RulePreview, previewed
from signals.services.detection.replay import ReplayedSeries, WatchedSeries
from signals.services.detection.rule_registry import drafted
from signals.store.detection import project_calendars, rule_states, series_counts
from signals.store.detection.series_counts import MAX_SERIES, CountsOfSeries, CountsWanted

PREVIEW_DAYS: Final = 14
MAX_INCIDENTS: Final = 500  # of one answer (guess: a rule that opens more is refused by its author anyway)
AT_ONCE: Final = 1  # previews of one process at a time: each keeps a core busy for up to two seconds
WAIT_S: Final = 5.0  # for the one before
BUDGET_S: Final = 2.0  # of judging; series that were not judged by then are counted as left out
STORED: Final = frozenset({"environment", "error_code", "route"})
"""Attributes that the stored series of errors and signups know."""


class RulePreviewer:
    """Previews drafts for every project; safe to call from several threads."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool
        self._turn = BoundedSemaphore(AT_ONCE)

    def preview(
        self, tenancy: Tenancy, given: object, series: Mapping[str, str], until: datetime | None = None
    ) -> RulePreview:
        """Judge the draft over the fortnight before `until`, or before now.

        `series` are attributes with the values that a stored series must have; none: the whole project.

        Raises:
            BadRule: naming the field at fault and its bounds.
            DependencyUnavailable: when PostgreSQL does not answer, or other previews take too long.
        """
        rule = drafted(given)
        end = minute_of(until or datetime.now(UTC))
        if not self._turn.acquire(timeout=WAIT_S):
            raise DependencyUnavailable("preview", "other previews are under way")
        try:
            return self._preview(tenancy, rule, series, end)
        finally:
            self._turn.release()

    def _preview(self, tenancy: Tenancy, rule: Rule, series: Mapping[str, str], end: int) -> RulePreview:
        start = end - PREVIEW_DAYS * 1440
        missing = _not_counted(rule)
        with transaction(self._pool) as connection:  # a million rows on a busy server: not a request's 5 s
            clock = project_calendars.clocks_of(connection, [tenancy.project_id])[tenancy.project_id]
            since = rule_states.project_since(connection, [tenancy.project_id]).get(tenancy.project_id)
            found: Sequence[CountsOfSeries] = ()
            total = 0
            if not missing:
                wanted = _wanted(tenancy.project_id, rule, series, start, end)
                found, total = series_counts.read(connection, wanted)
        return _judged(rule, _matching(rule, found, series), clock, _Range(start, end, since, total, missing))


@dataclass(frozen=True, slots=True)
class _Range:
    """The minutes of a preview, how many series are stored for it, and which data it lacks.

    `project_since` is the project's first minute, None while nothing of it was judged.
    """

    start: int
    end: int
    project_since: int | None
    stored: int
    missing: list[str]


def _not_counted(rule: Rule) -> list[str]:
    """Say which events of the rule have no stored counts."""
    parts = dict(zip(("on", "of"), rule.parts, strict=False))
    missing = [
        f"{part}: {selection.event_type} events have no stored counts; only errors and signups have"
        for part, selection in parts.items()
        if selection.event_type not in METRICS
    ]
    for part, selection in parts.items():
        asked = [name for name in conditions_of(selection) if name not in STORED]
        missing += [f"{part}.{name}: stored counts do not know it" for name in asked]
    return missing + [f"per: stored counts do not know {name}" for name in rule.per if name not in STORED]


def _wanted(project_id: str, rule: Rule, series: Mapping[str, str], start: int, end: int) -> CountsWanted:
    kinds = {part.event_type for part in rule.parts}
    environments = rule.on.environment or tuple(Environment)
    if "environment" in series:
        environments = tuple(one for one in environments if one == series["environment"])
    return CountsWanted(
        project_id=project_id,
        environments=environments,
        metric_names=[METRICS[kind] for kind in kinds],
        fingerprints=_fingerprints(kinds, series),
        start=start,
        end=end,
    )


def _fingerprints(kinds: set[EventType], series: Mapping[str, str]) -> list[str] | None:
    """Return the only fingerprint that the attributes leave, None when they leave more."""
    if kinds != {EventType.ERROR} or not series.keys() >= STORED:
        return None
    if series["environment"] not in set(Environment):
        return []
    one = Fingerprint(
        event_type=EventType.ERROR,
        environment=Environment(series["environment"]),
        error_code=series["error_code"],
        route=series["route"],
    )
    return [one.text]


def _matching(
    rule: Rule, found: Sequence[CountsOfSeries], series: Mapping[str, str]
) -> list[tuple[CountedSeries, CountsOfSeries]]:
    """Return the stored series that have the attributes asked for."""
    named = ((_named(one), one) for one in found)
    return [
        (name, one)
        for name, one in named
        if all(name.get(attribute) == value for attribute, value in series.items())
    ]


def _named(stored: CountsOfSeries) -> CountedSeries:
    found = Fingerprint.parse(stored.fingerprint)
    given = {
        "event_type": found.event_type.value,
        "error_code": found.error_code,
        "route": found.route,
        "environment": found.environment.value,
    }
    pairs = tuple((name, value) for name, value in given.items() if value is not None)
    return CountedSeries(stored.fingerprint, pairs)


def _judged(
    rule: Rule, found: Sequence[tuple[CountedSeries, CountsOfSeries]], clock: ProjectClock, over: _Range
) -> RulePreview:
    rule = msgspec.structs.replace(rule, enabled=True)  # a draft is tried, in force or not
    replayed = ReplayedSeries((rule,))
    for name, stored in found:
        replayed.add(name, list(zip(stored.minutes, stored.values, strict=True)))
    first = min((min(stored.minutes) for _, stored in found), default=None)
    counted = first if over.project_since is None else max(over.start, over.project_since)
    episodes: list[tuple[WatchedSeries, Episode]] = []
    series, deadline = 0, time.thread_time() + BUDGET_S
    if first is not None and counted is not None:
        for watched, opened in replayed.episodes(min(first, counted), over.end, clock):
            episodes += [(watched, episode) for episode in opened]
            series += 1
            if time.thread_time() > deadline:
                break
    episodes.sort(key=lambda pair: (pair[1].opened_at, pair[0].name))
    left_out = over.stored - min(over.stored, MAX_SERIES) + len(replayed.series) - series
    weeks = max(1, over.end - (over.start if first is None else first)) / (7 * 1440)
    return RulePreview(
        name=rule.name,
        since=instant_of(over.start),
        until=instant_of(over.end),
        counted_since=None if first is None else instant_of(first),
        series=series,
        series_left_out=left_out,
        total=len(episodes),
        incidents_a_week=round(len(episodes) / max(1.0, weeks), 2),
        incidents=[previewed(watched, episode) for watched, episode in episodes[:MAX_INCIDENTS]],
        missing=over.missing + _gaps(first, over, left_out),
    )


def _gaps(first: int | None, over: _Range, left_out: int) -> list[str]:
    """Say how much of the fortnight the stored counts do not cover."""
    said = []
    if first is None and not over.missing:
        said.append(f"no event of these series was counted in the last {PREVIEW_DAYS} days")
    elif first is not None and first > over.start + 1440:
        said.append(f"counts begin at {instant_text(first)}, not {PREVIEW_DAYS} days ago")
    if left_out:
        said.append(f"{left_out} series with fewer events were left out; name a series to judge one of them")
    return said
