"""Compares an incident's failing events with working ones, in time or not at all."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import structlog
from psycopg_pool import ConnectionPool

from shared_types import EventType, Fingerprint, SeriesFingerprint
from signals.clients.opensearch.comparison import ComparisonAnswer
from signals.clients.opensearch.comparison_requests import ComparisonQuestion
from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import BucketRange, Series, minute_of
from signals.domain.detection.counts import MINUTES_READ
from signals.domain.findings.causes import Findings
from signals.domain.findings.comparison import BEFORE_MINUTES, Change, Comparison
from signals.domain.findings.onset import fall, rise
from signals.domain.findings.series import ComparedSeries
from signals.domain.findings.verdict import find
from signals.domain.summary.brief import Brief, BriefEvent
from signals.domain.summary.patience import SEARCHABLE
from signals.domain.summary.wording import clock
from signals.errors import DependencyUnavailable
from signals.store.detection import buckets

LONGEST_MINUTES: Final = 30  # guess: after the opening; later events say the same, and cost more
USABLE: Final = 0.5  # of the failing; guess: half of a burst has the same causes as all of it

Compare = Callable[[ComparisonQuestion], ComparisonAnswer]
"""Counts the windows of a question; may raise `DependencyUnavailable`."""

log = structlog.get_logger(__name__)


def _no_refresh() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonSource:
    """How to compare, and since when documents can be: None when all can.

    `refresh` makes what is indexed searchable, and returns whether it did.
    """

    compare: Compare
    labels_since: Callable[[], datetime | None]
    refresh: Callable[[], bool] = _no_refresh


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedIncident:
    """Findings, None when nothing could be compared; `notes` say what is missing, in sentences.

    `searchable` is the share of the counted events that the index had, of `events` that were compared.
    """

    findings: Findings | None
    notes: tuple[str, ...] = ()
    searchable: float = 1.0
    events: int = 0


def compare_incident(
    pool: ConnectionPool[Connection], brief: Brief, source: ComparisonSource | None
) -> ComparedIncident:
    """Compare what failed since the first bad minute; never raises because of OpenSearch.

    Raises:
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    place = compared_place(brief.incident.parts)
    if source is None or place is None:
        return ComparedIncident(findings=None)
    question, counted = question_of(pool, brief, place)
    began = time.monotonic()
    try:
        answer, since = _asked_twice(source, question), source.labels_since()
    except (DependencyUnavailable, LookupError) as error:
        reason = str(error) if isinstance(error, DependencyUnavailable) else "the index has no labels yet"
        log.warning("nothing compared", incident_id=str(brief.incident.incident_id), reason=reason)
        note = f"Causes are unknown: failing and working requests could not be compared ({reason})."
        return ComparedIncident(findings=None, notes=(note,), searchable=0.0)
    comparison = _with_deploys(answer.comparison, brief)
    # A part that the search itself was stopped at grows by no wait.
    searchable = 1.0 if answer.is_partial or not counted else min(1.0, _held(comparison) / counted)
    log.info(
        "incident compared",
        incident_id=str(brief.incident.incident_id),
        search_s=round(time.monotonic() - began, 3),
        searchable=round(searchable, 3),
    )
    return ComparedIncident(
        # Of a few events in the index nothing follows, least of all that no cause is visible.
        findings=find(comparison) if _held(comparison) >= USABLE * counted else None,
        notes=tuple(_notes(question, comparison, counted, since, is_partial=answer.is_partial)),
        searchable=searchable,
        events=comparison.events,
    )


def compared_place(parts: SeriesFingerprint) -> ComparedSeries | None:
    """Return the failing events of a series as a comparison selects them, None when it cannot.

    Of the rules that people wrote it can select those over one error code and route.
    """
    if isinstance(parts, Fingerprint):
        is_drop = parts.event_type is EventType.SIGNUP
        return ComparedSeries(is_drop=is_drop, error_code=parts.error_code, route=parts.route)
    is_place = {name for name, _ in parts.values} == {"error_code", "route", "environment"}
    if parts.event_type is not EventType.ERROR or parts.watches_fall or parts.is_other or not is_place:
        return None
    return ComparedSeries(is_drop=False, error_code=parts.error_code, route=parts.route)


def question_of(
    pool: ConnectionPool[Connection], brief: Brief, place: ComparedSeries
) -> tuple[ComparisonQuestion, int]:
    """Return the question, and how many events of the series were counted in its minutes."""
    incident, parts = brief.incident, brief.incident.parts
    fired = minute_of(brief.opened_minute_at)
    newest = max(
        fired, minute_of(incident.last_seen_at), *(minute_of(e.minute_at) for e in brief.evaluations)
    )
    now = min(newest, fired + LONGEST_MINUTES)
    series = Series(
        incident.project_id, incident.environment, parts.metric_name, incident.fingerprint, incident.org_id
    )
    with transaction(pool) as connection:
        [counts] = buckets.read(connection, [BucketRange(series, now - MINUTES_READ, now + 1, ())])
    onset = (fall if place.is_drop else rise)(counts, now)
    question = ComparisonQuestion(
        org_id=incident.org_id,
        project_id=incident.project_id,
        environment=incident.environment,
        series=place,
        onset=onset,
        now=now,
    )
    # Of a drop to nothing no event tells whether the index is behind: those of the hour before do.
    first = onset.minute - (BEFORE_MINUTES if place.is_drop else 0)
    return question, sum(count for minute, count in counts.items() if minute >= first)


def _asked_twice(source: ComparisonSource, question: ComparisonQuestion) -> ComparisonAnswer:
    """Ask once more when the first search did not answer: caches are cold when the first incident opens."""
    try:
        return source.compare(question)
    except DependencyUnavailable as error:
        log.info("comparison tried again", reason=str(error))
        return source.compare(question)


def _held(comparison: Comparison) -> int:
    """Return how many of the counted events the index has; see `question_of`."""
    if comparison.is_drop:
        return comparison.working.total + comparison.working_before.total
    return comparison.failing.total


def _with_deploys(comparison: Comparison, brief: Brief) -> Comparison:
    """Add deploys that are stored and not searchable: a marker is never missed for the index's sake."""
    known = {change.event_id for change in comparison.changes}
    onset = comparison.onset.minute
    added = [
        _change(deploy)
        for deploy in brief.deploys
        if str(deploy.event_id) not in known
        and onset - BEFORE_MINUTES <= minute_of(deploy.occurred_at) <= onset
    ]
    changes = sorted((*comparison.changes, *added), key=lambda change: change.at)
    return replace(comparison, changes=tuple(changes))


def _change(deploy: BriefEvent) -> Change:
    labels = tuple(f"{name}={value}" for name, value in deploy.attributes.items())
    release = deploy.attributes.get("release", "an unnamed release")
    return Change(
        event_id=str(deploy.event_id),
        kind="deploy",
        at=deploy.occurred_at,
        text=f"Deployed {release}",
        labels=labels,
    )


def _notes(
    question: ComparisonQuestion,
    comparison: Comparison,
    counted: int,
    since: datetime | None,
    *,
    is_partial: bool,
) -> list[str]:
    notes = []
    if is_partial:
        notes.append("Compared on a part: the search was stopped before it had read every event.")
    elif _held(comparison) < SEARCHABLE * counted:
        notes.append(f"Compared on a part: {_held(comparison)} of {counted} events are searchable so far.")
    if since is not None and minute_of(since) > question.onset.minute - BEFORE_MINUTES:
        notes.append(f"Compared since {clock(minute_of(since))}: earlier events have no labels.")
    return notes
