"""The numbered facts of a brief: E1, E2 ... are events, F1, F2 ... are figures computed here.

An exhibit's text is what the model is shown, what its claims are checked against, and what
replaces a claim that does not hold.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

from shared_types import Attributes, RuleFingerprint
from signals.domain.detection.counted import BASELINE_MINUTES, LOCKED_RULES
from signals.domain.summary.answer import tidy
from signals.domain.summary.brief import Brief, BriefEvaluation, BriefEvent, BriefIncident

MAX_EVENTS: Final = 50  # requirement R32
MAX_DEPLOYS: Final = 5  # guess: an older deploy is hardly the cause
MAX_EVENT_CHARS: Final = 480  # guess: 50 events stay near 6,000 tokens
MAX_VALUE_CHARS: Final = 160  # guess: long enough for a route or an exception's first line
MAX_SUBJECT_CHARS: Final = 72  # leaves room for the numbers in a title
TOP_VALUES: Final = 3  # named in a figure of one attribute
NAMED: Final = tuple(Attributes.model_fields)


FORGED_CITATION: Final = re.compile(r"\[(?=\s*[EF]\d)")  # in recorded text; a summary would repeat it


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """One citable fact; `event_id` is None for figures.

    `key` names the thing that a figure is about, so that a page finds it without its text; empty when
    the figure stands for itself.
    """

    ref: str
    text: str
    event_id: UUID | None = None
    key: str = ""


def exhibits(brief: Brief) -> dict[str, Exhibit]:
    """Number the facts of the brief, figures first; the same brief always gives the same references."""
    events = brief.events[:MAX_EVENTS]
    deploys = [deploy for deploy in brief.deploys if deploy not in events][:MAX_DEPLOYS]
    figures = [
        Exhibit(ref=f"F{n}", text=one.text, key=one.key) for n, one in enumerate(_figures(brief), start=1)
    ]
    numbered = [
        Exhibit(ref=f"E{n}", text=describe_event(event), event_id=event.event_id)
        for n, event in enumerate([*events, *deploys], start=1)
    ]
    return {exhibit.ref: exhibit for exhibit in [*figures, *numbered]}


def count_key(minute_at: datetime, count: int) -> str:
    """Return the key of the figure with the count of one window, which ends with this minute."""
    return f"count:{instant(minute_at)}:{count}"


def cause_key(place: int) -> str:
    """Return the key of the figure with a cause of the comparison, the best one in place 1."""
    return f"cause:{place}"


def instant(value: datetime) -> str:
    """Write an instant as RFC 3339 in UTC, to the second."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def number(value: float) -> str:
    """Write a number to one decimal place, without a needless zero."""
    return f"{value:.1f}".removesuffix(".0")


def subject(incident: BriefIncident) -> str:
    """Name failure is broken: `UPSTREAM_TIMEOUT on /checkout in prod`."""
    counted, parts = incident.counted, incident.parts
    if isinstance(parts, RuleFingerprint):
        return _cut(incident.title, MAX_SUBJECT_CHARS)
    if counted.direction == "down":
        return f"{counted.counted.capitalize()} dropped in {incident.environment}"
    failure = f"{parts.error_code or counted.counted.capitalize()} on {parts.route or 'an unnamed route'}"
    return f"{_cut(failure, MAX_SUBJECT_CHARS)} in {incident.environment}"


def release_of(event: BriefEvent) -> str:
    """Return the release that an event names, or `unknown`."""
    return _cut(_plain(event.attributes.get("release") or "unknown"))


def in_order(names: Iterable[str]) -> list[str]:
    """Sort attributes by what an event is best described with: the named ones, its message, the rest."""
    first = (*NAMED, "message")
    return sorted(names, key=lambda name: (first.index(name) if name in first else len(first), name))


def describe_event(event: BriefEvent) -> str:
    """Render one event in at most `MAX_EVENT_CHARS`, its named attributes first."""
    text = f"{instant(event.occurred_at)} {event.event_type} event, severity {event.severity}"
    for key in in_order(event.attributes):
        part = f", {_cut(key)}={_cut(_plain(event.attributes[key]))}"
        if len(text) + len(part) <= MAX_EVENT_CHARS:
            text += part
    return text


def describe_evaluation(evaluation: BriefEvaluation, counted: str, normal: float | None) -> str:
    """Render the numbers of one evaluation: counted, `normal` (frozen at the opening), threshold, ratio."""
    minutes = evaluation.window_minutes
    when = "when the incident opened" if evaluation.moment == "opened" else "at the latest evaluation"
    sentence = f"{evaluation.count} {counted} in the {minutes} minutes that end with minute"
    sentence = f"{sentence} {instant(evaluation.minute_at)} ({when})"
    if normal is None:
        return f"{sentence}; no history before the incident, so that its normal is unknown"
    ratio = f", {number(evaluation.count / normal)} times normal" if normal > 0 else ""
    rests_on = (
        f"over the {BASELINE_MINUTES} minutes before the incident opened"
        if evaluation.rule.replace("_", "-") in LOCKED_RULES
        else "at this hour of the week"
    )
    sentence += f"; normal is {number(normal)} per {minutes} minutes {rests_on}{ratio}"
    # A later threshold follows the outage's own counts.
    is_opening = evaluation.moment == "opened"
    return f"{sentence}; threshold {number(evaluation.threshold)}" if is_opening else sentence


def dominant(brief: Brief, attribute: str) -> list[tuple[str, int]]:
    """Count an attribute's values in the representative events, most frequent first, ties by value."""
    values = (event.attributes.get(attribute) for event in brief.events[:MAX_EVENTS])
    counts = Counter(_cut(_plain(value)) for value in values if value is not None)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:TOP_VALUES]


def last_deploy(brief: Brief) -> BriefEvent | None:
    """Return the newest known deploy that is not later than the opening of the incident."""
    before = [deploy for deploy in brief.deploys if deploy.occurred_at <= brief.incident.opened_at]
    return max(before, key=lambda deploy: deploy.occurred_at, default=None)


class _Figure(NamedTuple):
    """The text and the key of a figure that has no number yet."""

    text: str
    key: str = ""


def _figures(brief: Brief) -> Iterator[_Figure]:
    incident = brief.incident
    minutes = (incident.last_seen_at - incident.opened_at).total_seconds() / 60
    yield _Figure(
        f"{subject(incident)}: opened {instant(incident.opened_at)}, "
        f"last seen {instant(incident.last_seen_at)}: "
        f"{number(minutes)} minutes so far, status {incident.status}, severity {incident.severity}"
    )
    for evaluation in sorted(brief.evaluations, key=lambda e: e.moment == "latest"):
        text = describe_evaluation(evaluation, brief.incident.counted.counted, brief.normal)
        yield _Figure(text, count_key(evaluation.minute_at, evaluation.count))
    total = len(brief.events[:MAX_EVENTS])
    for attribute in NAMED:
        counted = ", ".join(f"{value} in {count}" for value, count in dominant(brief, attribute))
        if counted:
            sample = f"{total} representative events (a sample, not a count of all)"
            yield _Figure(f"{attribute}: {counted} of {sample}")
    deploy = last_deploy(brief)
    if deploy is not None:
        gap = (incident.opened_at - deploy.occurred_at).total_seconds() / 60
        yield _Figure(
            f"release {release_of(deploy)} was deployed {number(gap)} minutes before the incident opened"
        )


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _cut(text: str, longest: int = MAX_VALUE_CHARS) -> str:
    return FORGED_CITATION.sub("(", tidy(text, longest))
