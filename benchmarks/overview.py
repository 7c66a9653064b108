"""The page's first table: five questions of a user, answered in words from a run."""

from collections.abc import Mapping, Sequence
from typing import Final

from benchmarks.figures import UNMET
from benchmarks.results import RowResult

Medians = Mapping[str, float]
"""A figure's median by `row/contender/figure`."""

_QUESTIONS: Final[tuple[tuple[str, tuple[str, ...], str], ...]] = (
    (
        "How many events per second are accepted?",
        ("ingest-batches/500 plain/rate", "ingest/Serve and HAProxy/rate"),
        "{:,.0f} in batches of 500, {:,.0f} with one event per request",
    ),
    (
        "How many events per second does one detector count?",
        ("engine/incident-engine/rate", "engine/incident-engine/cpu_us"),
        "{:,.0f}, at {:.1f} µs of processor time each, rules and repeats included",
    ),
    (
        "How soon is an incident open?",
        ("latency/idle/p50_ms", "latency/idle/p99_ms"),
        "{:.0f} ms after the answer to the batch that caused it (p99 {:.0f} ms)",
    ),
    (
        "How soon can its summary be read?",
        ("latency-summary/summary/p50_ms", "latency-summary/summary/p99_ms"),
        "{:.0f} ms later, when the model answers at once (p99 {:.0f} ms)",
    ),
    (
        "What does everything take when idle?",
        ("footprint/idle/pss_mb", "footprint/idle/core_percent"),
        "{:,.0f} MB for all processes, servers included, and {:.0f} % of one core",
    ),
)
"""Question, the figures that answer it, and the answer."""


def overview(rows: Sequence[RowResult]) -> list[list[str]]:
    """Return question and answer of each question whose figures were all taken."""
    medians = _medians(rows)
    return [
        [question, answer.format(*(medians[name] for name in figures))]
        for question, figures, answer in _QUESTIONS
        if all(name in medians for name in figures)
    ]


def verdict_sentence(rows: Sequence[RowResult]) -> str:
    """Count the targets that were met, in one sentence."""
    judged = [one for row in rows for one in row.judgements if one.verdict != "not applicable"]
    unmet = sum(one.verdict in UNMET for one in judged)
    return f"{len(judged) - unmet} of {len(judged)} targets are met; the table below names the other {unmet}."


def _medians(rows: Sequence[RowResult]) -> Medians:
    return {
        f"{row.name}/{contender.name}/{figure}": middle
        for row in rows
        for contender in row.contenders
        for figure in row.shown
        if (middle := contender.median(figure)) is not None
    }
