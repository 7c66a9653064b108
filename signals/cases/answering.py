"""Answers a case without a server: by the built-in summarizer, or by a model that is shown the findings."""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID, uuid5

from shared_types import Fingerprint
from signals.clients.llm import Model
from signals.domain.detection.counts import BucketCounts
from signals.domain.detection.default_rules import ERROR_SPIKE, SIGNUP_DROP
from signals.domain.detection.fixed_rules import drop, floor_ratio
from signals.domain.detection.verdict import RuleVerdict
from signals.domain.findings.causes import Findings
from signals.domain.findings.collecting import compare
from signals.domain.findings.series import ComparedSeries, Observed
from signals.domain.findings.verdict import find
from signals.domain.summary.answer import InvalidAnswer, SummaryAnswer, parse_answer
from signals.domain.summary.brief import Brief, BriefEvaluation, BriefEvent, BriefIncident
from signals.domain.summary.checking import ModelRun, check
from signals.domain.summary.exhibits import Exhibit, exhibits
from signals.domain.summary.explained import answer_from_findings, grounds_of, with_findings
from signals.domain.summary.prompt import PROMPT_VERSION, build_prompt, fitting
from signals.domain.summary.redaction import redact

KEPT_PER_MINUTE: Final = 3  # as the engine keeps representatives
KEPT: Final = 50
DEPLOYS_KEPT: Final = 5
HISTORY_MINUTES: Final = 66  # before the first verdict: a baseline hour and a window
NAMESPACE: Final = UUID(int=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerableCase:
    """One case: its name, the fingerprint of its incident, and its events in order of time."""

    name: str
    fingerprint: str
    events: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFacts:
    """The facts that a summary of a case rests on, and the built-in answer."""

    brief: Brief
    findings: Findings
    shown: Mapping[str, Exhibit]
    builtin: SummaryAnswer


def answer_case(case: AnswerableCase, minutes_later: int = 0) -> dict[str, object] | None:
    """Answer as the summary would so many minutes after the rule fired; None when it does not fire."""
    facts = facts_of(case, minutes_later)
    if facts is None:
        return None
    return check(facts.builtin, facts.shown, fallback=facts.builtin).to_json()


def answer_by_model(model: Model, case: AnswerableCase, minutes_later: int = 0) -> dict[str, object] | None:
    """Answer as a model does that is shown the findings; None when the rule does not fire.

    An answer that is not the JSON that was asked for is an empty one: it counts as wrong.

    Raises:
        ModelUnavailable, ModelRefused: when it does not answer.
    """
    facts = facts_of(case, minutes_later)
    if facts is None:
        return None
    brief = redact(facts.brief)
    shown = fitting(brief, with_findings(exhibits(brief), facts.findings))
    began = time.monotonic()
    said = model.complete(build_prompt(brief, shown))
    run = ModelRun(
        prompt=PROMPT_VERSION,
        seconds=round(time.monotonic() - began, 3),
        tokens_in=said.tokens_in,
        tokens_out=said.tokens_out,
    )
    try:
        answer = parse_answer(said.text)
    except InvalidAnswer:
        return {"run": asdict(run)}
    grounds = grounds_of(shown, facts.findings)
    checked = check(answer, shown, fallback=facts.builtin, grounds=grounds)
    return replace(checked, run=run).to_json()


def facts_of(case: AnswerableCase, minutes_later: int = 0) -> CaseFacts | None:
    """Compare a case so many minutes after the rule fired; None when it does not fire."""
    series = series_of(case.fingerprint)
    seen = [observed(event) for event in case.events]
    fired = first_firing(seen, series)
    if fired is None:
        return None
    now = min(fired + minutes_later, seen[-1].minute)
    arrived = [
        one
        for one, event in zip(seen, case.events, strict=True)
        if _minute(event.get("received_at") or event["occurred_at"]) <= now
    ]
    brief = _brief(case, arrived, series, fired, now)
    findings = find(compare(arrived, series, now))
    shown = with_findings(exhibits(brief), findings)
    builtin = answer_from_findings(brief, shown, findings)
    return CaseFacts(brief=brief, findings=findings, shown=shown, builtin=builtin)


def series_of(fingerprint: str) -> ComparedSeries:
    """Read the series of a case's fingerprint."""
    found = Fingerprint.parse(fingerprint)
    return ComparedSeries(
        is_drop=found.metric_name == "signup_count", error_code=found.error_code, route=found.route
    )


def observed(event: Mapping[str, Any]) -> Observed:
    """Read one event of a case file."""
    return Observed(
        event_id=event["event_id"],
        at=datetime.fromisoformat(event["occurred_at"]),
        event_type=event["event_type"],
        message=event["message"],
        attributes=event["attributes"],
    )


def first_firing(events: Sequence[Observed], series: ComparedSeries) -> int | None:
    """Return the first minute at which the incident's rule fires, as minutes since the epoch."""
    return next((verdict.minute for verdict in _verdicts(events, series) if verdict.fires), None)


def _verdicts(events: Sequence[Observed], series: ComparedSeries) -> list[RuleVerdict]:
    counts = BucketCounts(Counter(event.minute for event in events if series.holds(event)))
    first, last = events[0].minute, events[-1].minute
    return [
        drop(SIGNUP_DROP, counts, minute) if series.is_drop else floor_ratio(ERROR_SPIKE, counts, minute)
        for minute in range(first + HISTORY_MINUTES, last + 1)
    ]


def _brief(
    case: AnswerableCase, events: Sequence[Observed], series: ComparedSeries, fired: int, now: int
) -> Brief:
    """Assemble what the ai-worker would have read."""
    verdicts = {verdict.minute: verdict for verdict in _verdicts(events, series)}
    kept: dict[int, list[Observed]] = defaultdict(list)
    for event in events:
        if series.holds(event) and fired <= event.minute <= now and len(kept[event.minute]) < KEPT_PER_MINUTE:
            kept[event.minute].append(event)
    chosen = sorted(
        (event for found in kept.values() for event in found), key=lambda event: event.at, reverse=True
    )
    hour = timedelta(hours=1)
    deploys = [
        e for e in events if e.event_type == "deploy" and timedelta() <= _instant(fired) - e.at <= hour
    ]
    return Brief(
        incident=BriefIncident(
            incident_id=uuid5(NAMESPACE, case.name),
            org_id="cases",
            project_id="cases",
            environment="prod",
            fingerprint=case.fingerprint,
            status="open",
            severity="error",
            title="",
            opened_at=_instant(fired),
            last_seen_at=_instant(now),
        ),
        evaluations=(_evaluation("opened", verdicts[fired]), _evaluation("latest", verdicts[now])),
        events=tuple(map(_event, chosen[:KEPT])),
        deploys=tuple(map(_event, sorted(deploys, key=lambda e: e.at, reverse=True)[:DEPLOYS_KEPT])),
    )


def _evaluation(moment: Literal["opened", "latest"], verdict: RuleVerdict) -> BriefEvaluation:
    return BriefEvaluation(
        moment=moment,
        rule=verdict.rule,
        minute_at=_instant(verdict.minute),
        count=verdict.count,
        baseline=verdict.normal,
        threshold=verdict.threshold,
        window_minutes=verdict.length,
    )


def _event(event: Observed) -> BriefEvent:
    return BriefEvent(
        event_id=UUID(event.event_id),
        occurred_at=event.at,
        event_type=event.event_type,
        severity="error" if event.event_type == "error" else "info",
        attributes={**event.attributes, "message": event.message},
    )


def _instant(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC)


def _minute(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) // 60
