"""The built-in summarizer before a comparison: the same JSON from the same exhibits, without a model.

It tells numbers and names no cause. A few failing events prove none, and a deploy that came before them is
innocent as often as not: causes follow from the comparison, in `explained`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from shared_types import RuleFingerprint
from signals.domain.findings.causes import NOT_VISIBLE
from signals.domain.queries.search import search_filters
from signals.domain.summary.answer import SummaryAnswer
from signals.domain.summary.brief import Brief
from signals.domain.summary.exhibits import (
    Exhibit,
    dominant,
    instant,
    last_deploy,
    number,
    release_of,
    subject,
)

BUILTIN_MODEL: Final = "builtin"
"""The value of `ai_outputs.model` for its answers."""

TOLD_DEPLOY_MINUTES: Final = 60  # guess: later failures have other causes more often
NOT_COMPARED: Final = "No cause is known: failing and working requests have not been compared."


def answer_from(
    brief: Brief, shown: Mapping[str, Exhibit], notes: Sequence[str] = (NOT_COMPARED,)
) -> SummaryAnswer:
    """Summarize the brief deterministically: what, since when, how much, where, and what to do.

    `notes` say in sentences why no cause is named.
    """
    return SummaryAnswer(
        title=title_of(brief),
        impact=" ".join([impact_of(brief), *notes, *_order_in_time(brief)]),
        likely_causes=(),
        evidence=tuple(_evidence(brief, shown)),
        next_steps=tuple(_next_steps(brief)),
        confidence=NOT_VISIBLE,
    )


def title_of(brief: Brief) -> str:
    """Say what fails where, with the count that is furthest from normal."""
    if not brief.evaluations or isinstance(brief.incident.parts, RuleFingerprint):
        return subject(brief.incident)  # the title of a rule's incident has its numbers already
    counter = brief.incident.counted
    worst = max if counter.direction == "up" else min  # the latest may be of an outage that is over
    shown = worst(brief.evaluations, key=lambda evaluation: evaluation.count)
    return (
        f"{subject(brief.incident)}: {shown.count} {counter.counted} in {shown.window_minutes} min, "
        f"{_normal(brief.normal)}"
    )


def _normal(normal: float | None) -> str:
    if normal == 0:  # earlier minutes may not have been counted yet
        return "none counted before"
    return "no history to compare with" if normal is None else f"normal is {number(normal)}"


def impact_of(brief: Brief) -> str:
    """Say how many, against how many usually, since when, and what the sample has in common."""
    incident, latest = brief.incident, brief.latest
    since = f"since {instant(incident.opened_at)}, last seen {instant(incident.last_seen_at)}"
    if latest is None:
        return f"{subject(incident)}, {since}."
    normal = brief.normal
    if normal is None:
        compared = ", without history to compare with,"
    else:
        times = f" ({number(latest.count / normal)} times normal)" if normal > 0 else ""
        compared = f" against a normal of {number(normal)}{times}" if times else ", none counted before,"
    sentence = (
        f"{latest.count} {incident.counted.counted} in {latest.window_minutes} minutes{compared} "
        f"in {incident.environment}, {since}."
    )
    parts = [
        f"{attribute} {values[0][0]}"
        for attribute in ("route", "status_code", "release")
        if (values := dominant(brief, attribute))
    ]
    return f"{sentence} Most frequent in the sample: {', '.join(parts)}." if parts else sentence


def _deploy_before(brief: Brief) -> tuple[str, float] | None:
    """Return the release that was deployed last, and how many minutes before the incident opened."""
    deploy = last_deploy(brief)
    if deploy is None:
        return None
    minutes = (brief.incident.opened_at - deploy.occurred_at).total_seconds() / 60
    return (release_of(deploy), minutes) if minutes <= TOLD_DEPLOY_MINUTES else None


def _order_in_time(brief: Brief) -> Iterator[str]:
    if (found := _deploy_before(brief)) is not None:
        release, minutes = found
        yield (
            f"Release {release} was deployed {number(minutes)} minutes before it opened: "
            "only their order in time is known."
        )


def _evidence(brief: Brief, shown: Mapping[str, Exhibit]) -> Iterator[str]:
    deploy = last_deploy(brief)
    chosen = {event.event_id for event in (*brief.events[:1], deploy) if event is not None}
    for exhibit in shown.values():
        if exhibit.event_id is None or exhibit.event_id in chosen:
            yield f"[{exhibit.ref}] {exhibit.text}"


def _next_steps(brief: Brief) -> Iterator[str]:
    incident = brief.incident
    if (found := _deploy_before(brief)) is not None:
        yield f"Check whether the requests that fail are those of release {found[0]}, deployed before."
    signal = incident.counted.event_type
    if incident.counted.direction == "down":
        yield f"Try one {signal} by hand in this environment, and check that its event arrives."
        filters = f"event_type:error environment:{incident.environment}"
        yield f"Look for errors on the {signal}'s route: search for {filters}"
    else:
        yield f"Read the failing events: search for {search_filters(incident.parts)}"
    yield "See why it fired, and its counts by minute, at the incident itself."
    yield "Tell others that you are on it: acknowledge the incident."
