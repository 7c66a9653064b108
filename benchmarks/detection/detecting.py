"""Runs the default rules over a corpus, series by series, with the functions that live evaluation calls."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from benchmarks.detection.corpus import GIVEN, LabelledSeries, counts_of
from benchmarks.detection.scoring import Opened, Shown
from signals.domain.detection.calendar import UTC_CLOCK
from signals.domain.detection.default_rules import DEFAULT_RULES
from signals.services.detection.count_lines import CountedSeries, CountLine
from signals.services.detection.replay import ReplayedOutage, replay_counts


def confirmed_of(series: LabelledSeries, corpus: Path = GIVEN) -> list[Opened]:
    """Return the confirmed incidents of one series alone in its project."""
    return confirmed_in(series, counts_of(corpus, series))


def confirmed_in(series: LabelledSeries, counted: Mapping[int, int]) -> list[Opened]:
    """Return the confirmed incidents of one series with the given counts."""
    kind = "signup" if series.metric == "signup_count" else "error"
    own = "environment" if kind == "signup" else "error_code"
    named = CountedSeries(series.series, (("event_type", kind), (own, series.series)))
    end = series.start_minute + series.minutes - 1
    counts = dict(counted)
    counts.setdefault(end, 0)  # the corpus says that it ends there
    lines = [CountLine(minute, named, count) for minute, count in sorted(counts.items())]
    return [
        Opened(series.series, incident.episode.opened_at, incident.episode.resolved_at)
        for outage in replay_counts(lines, DEFAULT_RULES, UTC_CLOCK)
        for incident in outage.incidents
        if incident.episode.is_confirmed
    ]


def confirmed_of_all(series: Sequence[LabelledSeries], corpus: Path = GIVEN) -> list[list[Opened]]:
    """Return the confirmed incidents of each series, on all processors."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:  # a fork copies locks of threads
        return list(pool.map(partial(confirmed_of, corpus=corpus), series))


def shown_of(
    project: str, series: Sequence[LabelledSeries], counts: Mapping[str, Mapping[int, int]]
) -> list[Shown]:
    """Return the outages of one project of fingerprints as people are notified about them."""
    lines = []
    for one in series:
        code, route, environment = (one.fingerprint or "").split("|")
        attributes = (
            ("event_type", "error"),
            ("error_code", code),
            ("route", route),
            ("environment", environment),
        )
        named = CountedSeries(one.series, attributes)
        lines += [CountLine(minute, named, count) for minute, count in counts[one.series].items()]
    lines.sort(key=lambda line: line.minute)
    return [
        _shown(project, outage)
        for outage in replay_counts(lines, DEFAULT_RULES, UTC_CLOCK)
        if outage.confirmed_at
    ]


def _shown(project: str, outage: ReplayedOutage) -> Shown:
    return Shown(project, tuple((one.series, one.episode.opened_at) for one in outage.incidents))
