"""Scores incidents against labels, without point adjustment.

An incident is right when it opens inside a label or at most ten minutes after its end; any other, outside
of `ignore`, is false.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.detection.corpus import DAY, Label, LabelledSeries

GRACE: Final = 10  # minutes after an outage's end in which an incident still detects it
WEEK: Final = 7 * DAY


@dataclass(frozen=True, slots=True)
class Opened:
    """An incident of a series, in minutes since the epoch; `resolved_at` is None while it is open."""

    series: str
    opened_at: int
    resolved_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of one label: incidents in it, minutes to the first, minutes that the last outlived it."""

    series: str
    kind: str
    incidents: int
    detected_after: int | None
    open_after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One series' outcomes, false incidents, and the weeks they are counted over."""

    outcomes: tuple[Outcome, ...]
    false: int
    weeks: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The figures of several series together."""

    outages: int
    found: int
    false: int
    false_per_week: float
    detected_p50: float | None
    detected_p90: float | None
    open_after_p50: float | None
    open_after_p90: float | None
    incidents_per_found: float

    @property
    def recall(self) -> float:
        """The share of outages found."""
        return self.found / self.outages if self.outages else 0.0

    @property
    def precision(self) -> float:
        """The share of outages found among them and the false incidents."""
        return self.found / (self.found + self.false) if self.found else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def judge(
    series: LabelledSeries, incidents: Iterable[Opened], since_day: int = 0, until_day: int | None = None
) -> Judged:
    """Match one series' incidents with its labels. The days limit what is counted, not what was seen."""
    low = since_day * DAY
    high = series.minutes if until_day is None else min(series.minutes, until_day * DAY)
    hits: list[list[Opened]] = [[] for _ in series.outages]
    false = 0
    for incident in sorted(incidents, key=lambda one: one.opened_at):
        at = incident.opened_at - series.start_minute
        number = next((i for i, label in enumerate(series.outages) if _covers(label, at, GRACE)), None)
        if number is not None:
            hits[number].append(incident)
        elif low <= at < high and not any(_covers(label, at, 0) for label in series.ignore):
            false += 1
    outcomes = tuple(
        _outcome(series, label, opened)
        for label, opened in zip(series.outages, hits, strict=True)
        if low <= label.start < high
    )
    return Judged(outcomes=outcomes, false=false, weeks=max(0, high - low) / WEEK)


def _covers(label: Label, at: int, grace: int) -> bool:
    return label.start <= at <= label.end + grace


def _outcome(series: LabelledSeries, label: Label, opened: Sequence[Opened]) -> Outcome:
    closed = opened[-1].resolved_at if opened else None
    return Outcome(
        series=series.series,
        kind=label.kind,
        incidents=len(opened),
        detected_after=opened[0].opened_at - series.start_minute - label.start if opened else None,
        open_after=None if closed is None else closed - series.start_minute - label.end,
    )


def total(judged: Iterable[Judged]) -> Score:
    """Sum up."""
    all_judged = list(judged)
    outcomes = [outcome for one in all_judged for outcome in one.outcomes]
    found = [outcome for outcome in outcomes if outcome.incidents]
    after = sorted(one.detected_after for one in found if one.detected_after is not None)
    open_after = sorted(one.open_after for one in found if one.open_after is not None)
    weeks = sum(one.weeks for one in all_judged)
    false = sum(one.false for one in all_judged)
    return Score(
        outages=len(outcomes),
        found=len(found),
        false=false,
        false_per_week=false / weeks if weeks else 0.0,
        detected_p50=median(after) if after else None,
        detected_p90=_p90(after),
        open_after_p50=median(open_after) if open_after else None,
        open_after_p90=_p90(open_after),
        incidents_per_found=sum(one.incidents for one in found) / len(found) if found else 0.0,
    )


def _p90(ordered: Sequence[int]) -> float | None:
    return ordered[int(0.9 * (len(ordered) - 1))] if ordered else None


def by_kind(judged: Iterable[Judged]) -> Mapping[str, tuple[int, int]]:
    """Return outages found and outages, for each kind of label."""
    kinds: defaultdict[str, list[bool]] = defaultdict(list)
    for one in judged:
        for outcome in one.outcomes:
            kinds[outcome.kind].append(outcome.incidents > 0)
    return {kind: (sum(found), len(found)) for kind, found in sorted(kinds.items())}


@dataclass(frozen=True, slots=True)
class Shown:
    """One incident that people are shown of a project: its members as (series, minute of opening)."""

    project: str
    members: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StormScore:
    """How storms are shown: wanted is each exactly once, and none mixed."""

    storms: int
    covered: int
    exactly_one: int
    mixed: int
    false: int
    worst: int


def score_storms(series: Sequence[LabelledSeries], shown: Sequence[Shown]) -> StormScore:
    """Count the outages shown of each storm: those with a member that opened inside its labels."""
    by_name = {one.series: one for one in series}
    storms = {(one.project, label.group) for one in series for label in one.outages}
    seen: defaultdict[tuple[str | None, str | None], int] = defaultdict(int)
    mixed = false = 0
    for one in shown:
        touched = set(_touched(one, by_name))
        for storm in touched:
            seen[storm] += 1
        mixed += len(touched) > 1
        false += not touched
    return StormScore(
        storms=len(storms),
        covered=len(seen),
        exactly_one=sum(count == 1 for count in seen.values()),
        mixed=mixed,
        false=false,
        worst=max(seen.values(), default=0),
    )


def _touched(shown: Shown, by_name: Mapping[str, LabelledSeries]) -> Iterator[tuple[str | None, str | None]]:
    for name, opened_at in shown.members:
        at = opened_at - by_name[name].start_minute
        for label in by_name[name].outages:
            if _covers(label, at, GRACE):
                yield shown.project, label.group
