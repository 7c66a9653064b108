"""Judges a run: its success, and the expected incident and summary. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from k8s.operator.api import parse_duration
from k8s.operator.conditions import ConditionVerdict, no, unknown, yes
from k8s.operator.scenario.totals import Run
from k8s.operator.scenario_types import Expect, SignalsScenarioSpec

FINGERPRINTS: Final = {
    "spike_errors": "UPSTREAM_TIMEOUT|/checkout|prod",
    "drop_signups": "signup|prod",
    "deploy_then_spike": "PRICE_MISSING|/cart|prod",
}
"""The fingerprint of the incident that each scenario opens; other scenarios may open any."""
EVENT_TIME_SLACK: Final = {"Loadgen": timedelta(minutes=5), "Replay": timedelta(hours=2)}
"""How much older than the run's start an incident's newest event may be: minutes are judged when they are
whole, and a recording is moved so that it ends now."""
SUCCEEDED: Final = "Succeeded"
VERIFIED: Final = "Verified"


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentLookup:
    """The incident that core-api found and the model that summarized it; `error` when the lookup failed."""

    incident_id: str | None = None
    summary_model: str | None = None
    error: str = ""


def fingerprint(spec: SignalsScenarioSpec) -> str | None:
    """Return the fingerprint of the incident that the run should open, None for any."""
    if spec.loadgen:
        return FINGERPRINTS.get(spec.loadgen.mode)
    fixture = spec.replay.fixture if spec.replay else None
    return FINGERPRINTS.get((fixture or "").removesuffix(".ndjson"))


def active_since(spec: SignalsScenarioSpec, started_at: datetime) -> datetime:
    """Return since when the incident must have been active."""
    return started_at - EVENT_TIME_SLACK[spec.type]


def succeeded(run: Run) -> ConditionVerdict:
    """Return the verdict on the run itself."""
    totals = f"{run.sent} events sent, {run.accepted} accepted"
    if run.state == "succeeded":
        return yes(SUCCEEDED, "Sent", totals)
    if run.state == "failed":
        reason = "ReportMissing" if run.silent else "NotAllAccepted"
        return no(SUCCEEDED, reason, "; ".join((totals, *run.silent, run.message)).rstrip("; "))
    if run.state == "suspended":
        return unknown(SUCCEEDED, "Suspended", "spec.suspend is true")
    return unknown(SUCCEEDED, "Running", "; ".join(run.silent) or "the pods are sending")


def verified(spec: SignalsScenarioSpec, run: Run, lookup: IncidentLookup, now: datetime) -> ConditionVerdict:
    """Return the verdict on the expectations; a missed one fails at once."""
    expect = spec.expect
    if run.state in ("absent", "suspended") or run.started_at is None:
        return unknown(VERIFIED, "NotStarted", "the run has not started")
    if expect is None:
        outcome = succeeded(run)
        return ConditionVerdict(
            type=VERIFIED, status=outcome.status, reason=outcome.reason, message=outcome.message
        )
    verdicts = [
        _accepted(expect, run),
        _incident(spec, expect, lookup, now - run.started_at),
        _summary(expect, lookup, now - run.started_at),
    ]
    for status in ("False", "Unknown"):
        found = [verdict for verdict in verdicts if verdict.status == status]
        if found:
            message = "; ".join(verdict.message for verdict in found)
            return ConditionVerdict(type=VERIFIED, status=status, reason=found[0].reason, message=message)
    return yes(VERIFIED, "AsExpected", "; ".join(verdict.message for verdict in verdicts if verdict.message))


def _accepted(expect: Expect, run: Run) -> ConditionVerdict:
    if not run.has_ended:
        return unknown(VERIFIED, "Running", "the pods are sending")
    if run.silent:
        return no(VERIFIED, "ReportMissing", "; ".join(run.silent))
    if run.sent == 0:
        return no(VERIFIED, "NothingSent", "no event was sent")
    percent = 100 * run.accepted / run.sent
    said = f"{run.accepted} of {run.sent} events ({percent:.4g} %) were accepted"
    if percent < expect.min_accepted_percent:
        return no(VERIFIED, "TooFewAccepted", f"{said}, expected at least {expect.min_accepted_percent} %")
    return yes(VERIFIED, "Accepted", said)


def _incident(
    spec: SignalsScenarioSpec, expect: Expect, lookup: IncidentLookup, elapsed: timedelta
) -> ConditionVerdict:
    if expect.incident_within is None and expect.summary_within is None:
        return yes(VERIFIED, "NotExpected", "")
    if lookup.incident_id:
        return yes(VERIFIED, "IncidentOpened", f"incident {lookup.incident_id} was opened")
    within = expect.incident_within or expect.summary_within or ""
    what = fingerprint(spec) or "any"
    missing = f"no incident ({what}) within {within} of the start"
    return _not_yet("Incident", missing, lookup, late=elapsed > parse_duration(within))


def _summary(expect: Expect, lookup: IncidentLookup, elapsed: timedelta) -> ConditionVerdict:
    if expect.summary_within is None:
        return yes(VERIFIED, "NotExpected", "")
    if lookup.summary_model:
        return yes(VERIFIED, "Summarized", f"{lookup.summary_model} summarized it")
    within = expect.summary_within
    missing = f"no summary within {within} of the start"
    return _not_yet("Summary", missing, lookup, late=elapsed > parse_duration(within))


def _not_yet(what: str, missing: str, lookup: IncidentLookup, *, late: bool) -> ConditionVerdict:
    said = f"{missing}; {lookup.error}" if lookup.error else missing
    if late:
        return no(VERIFIED, f"No{what}", said)
    return unknown(VERIFIED, f"LookingFor{what}", f"so far {said}")
