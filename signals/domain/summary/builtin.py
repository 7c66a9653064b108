"""The built-in summarizer: the same JSON from the same exhibits, without a model.

It answers when no key is configured and when every attempt has failed.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from shared_types import RuleFingerprint
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

SUSPECT_DEPLOY_MINUTES: Final = 60  # guess: later failures have other causes more often
CONFIDENCE: Final = 0.3  # guess: figures are exact, causes are rules of thumb
CONFIDENCE_WITH_DEPLOY: Final = 0.5  # guess: a deploy just before is the strongest hint there is


def answer_from(brief: Brief, shown: Mapping[str, Exhibit]) -> SummaryAnswer:
    """Summarize the brief deterministically: what, since when, how much, where, and what to do."""
    deploy = _suspect_release(brief)
    return SummaryAnswer(
        title=_title(brief),
        impact=_impact(brief),
        likely_causes=tuple(_causes(brief)),
        evidence=tuple(_evidence(brief, shown)),
        next_steps=tuple(_next_steps(brief)),
        confidence=CONFIDENCE if deploy is None else CONFIDENCE_WITH_DEPLOY,
    )


def _title(brief: Brief) -> str:
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


def _impact(brief: Brief) -> str:
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


def _suspect_release(brief: Brief) -> str | None:
    deploy = last_deploy(brief)
    if deploy is None:
        return None
    minutes = (brief.incident.opened_at - deploy.occurred_at).total_seconds() / 60
    return release_of(deploy) if minutes <= SUSPECT_DEPLOY_MINUTES else None


def _causes(brief: Brief) -> Iterator[str]:
    incident = brief.incident
    release = _suspect_release(brief)
    if release is not None:
        yield f"Release {release}, deployed shortly before the incident opened, is the first suspect."
    signal = incident.counted.event_type
    if incident.counted.direction == "down":
        unreachable = f"The {signal} flow is unreachable or fails before it can report"
        yield f"{unreachable} (look for errors on its route)."
        stopped = f"The producer of {signal} events stopped sending"
        yield f"{stopped}: traffic may be normal and only the signal gone."
        return
    statuses = [value for value, _ in dominant(brief, "status_code")]
    if "TIMEOUT" in (incident.parts.error_code or "").upper() or "504" in statuses:
        yield "A dependency behind the route answers too slowly or not at all (timeouts dominate)."
    elif any(status.startswith("5") for status in statuses):
        yield "The service itself, or something it calls, fails (server-side status codes dominate)."
    elif any(status.startswith("4") for status in statuses):
        yield "Clients send what the route refuses: a changed contract, expired credentials, or abuse."
    releases = [value for value, _ in dominant(brief, "release")]
    if release is None and len(releases) == 1:
        yield f"All sampled events that name a release name {releases[0]}: compare it with the one before."
    yield "No deploy or dependency outage is proven by these events; treat the causes above as guesses."


def _evidence(brief: Brief, shown: Mapping[str, Exhibit]) -> Iterator[str]:
    deploy = last_deploy(brief)
    chosen = {event.event_id for event in (*brief.events[:1], deploy) if event is not None}
    for exhibit in shown.values():
        if exhibit.event_id is None or exhibit.event_id in chosen:
            yield f"[{exhibit.ref}] {exhibit.text}"


def _next_steps(brief: Brief) -> Iterator[str]:
    incident = brief.incident
    release = _suspect_release(brief)
    if release is not None:
        yield f"Compare the time of release {release} with the first errors; roll it back if they agree."
    signal = incident.counted.event_type
    if incident.counted.direction == "down":
        yield f"Try one {signal} by hand in this environment, and check that its event arrives."
        filters = f"event_type:error environment:{incident.environment}"
        yield f"Look for errors on the {signal}'s route: search for {filters}"
    else:
        yield f"Read the failing events: search for {search_filters(incident.parts)}"
    yield "See why it fired, and its counts by minute, at the incident itself."
    yield "Tell others that you are on it: acknowledge the incident."
