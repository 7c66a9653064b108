"""Decides every condition of a stack from the facts of a pass. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from k8s.operator.conditions import ConditionVerdict, Written, held, no, unknown, yes
from k8s.operator.manifests.configuration import places
from k8s.operator.observed import JobState, ObservedFinding, RayState
from k8s.operator.plan import Plan
from k8s.operator.readiness import ConsumersReadiness
from k8s.operator.secrets import SecretsView
from k8s.operator.stack_types import SignalsStackSpec

CERTIFICATE_WARNING: Final = timedelta(days=30)  # guess: a month is enough to find the person responsible
SERVERS: Final = ("postgres", "kafka", "opensearch")  # without these preflight fails; prepare makes the rest
SERVING: Final = ("ServeReady", "ConsumersReady")


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFacts:
    """The facts of one pass, from which a stack's conditions are decided."""

    spec: SignalsStackSpec
    now: datetime
    secrets: SecretsView
    preflight: JobState
    prepare: JobState
    ray: RayState
    plan: Plan
    applied_at: datetime | None = None  # when the plan in place was applied
    waiting_since: datetime | None = None  # since when another plan waits to be applied
    readiness: ConsumersReadiness | None = None  # None while core-api cannot be asked yet
    refused: str = ""  # the refusal of the API server
    complaints: tuple[str, ...] = ()  # missing kinds that the product can run without


def judge(facts: StackFacts, before: Sequence[Written]) -> list[ConditionVerdict]:
    """Return all verdicts, in the order in which they are shown."""
    known = {condition["type"]: condition for condition in before}
    basics = [held(verdict, known.get(verdict.type)) for verdict in _basics(facts, known)]
    ready = _ready(facts, basics)
    return [*basics, ready, *_special(facts, basics, ready, known)]


def _basics(facts: StackFacts, known: Mapping[str, Written]) -> list[ConditionVerdict]:
    return [
        yes("Accepted", "Valid", "the spec is valid"),
        _resolved_refs(facts),
        _outlasting(facts.preflight, _dependencies(facts), known),
        _outlasting(facts.prepare, _prepared(facts, "Migrated", "the schema is what the image needs"), known),
        _outlasting(facts.prepare, _prepared(facts, "TopicsReady", "all topics exist"), known),
        _serve(facts),
        _consumers(facts),
    ]


def _outlasting(job: JobState, verdict: ConditionVerdict, known: Mapping[str, Written]) -> ConditionVerdict:
    """Keep the reason why a pod did not start: the Job's deadline says less."""
    before = known.get(verdict.type)
    if job.overdue and before and before["reason"] == "PodFailing":
        return no(verdict.type, before["reason"], before["message"])
    return verdict


def _resolved_refs(facts: StackFacts) -> ConditionVerdict:
    if facts.secrets.problems:
        return no("ResolvedRefs", facts.secrets.reason, "; ".join(facts.secrets.problems))
    return yes("ResolvedRefs", "AllFound", "every Secret and key that the spec names exists")


def _dependencies(facts: StackFacts) -> ConditionVerdict:
    condition, preflight = "DependenciesReachable", facts.preflight
    if preflight.state == "failed":
        return _failed_preflight(facts)
    if preflight.state == "running" and preflight.message:
        return no(condition, "PodFailing", preflight.message)
    unavailable = facts.readiness.unavailable if facts.readiness else ()
    if unavailable:
        return no(condition, "DependencyUnavailable", f"core-api reports: {'; '.join(unavailable)}")
    if preflight.state == "succeeded":
        return yes(condition, "PreflightSucceeded", "every server answers and accepts the credentials")
    reason = "PreflightRunning" if preflight.state == "running" else "WaitingForSecrets"
    return unknown(condition, reason, "not checked yet")


def _failed_preflight(facts: StackFacts) -> ConditionVerdict:
    failed = [f for f in facts.preflight.findings if not f.ok and f.check in SERVERS]
    if not failed:
        message = facts.preflight.message or "preflight ended without a report; its pod's log says why"
        return no("DependenciesReachable", "PreflightFailed", message)
    where = places(facts.spec)
    sentences = [_with_place(finding, where) for finding in failed]
    return no("DependenciesReachable", failed[0].reason, "; ".join(sentences))


def _with_place(finding: ObservedFinding, where: Mapping[str, str]) -> str:
    place = where.get(finding.variable or "")
    return f"{finding.message.rstrip('.')} (correct {place})" if place else finding.message


def _prepared(facts: StackFacts, condition: str, sentence: str) -> ConditionVerdict:
    prepare = facts.prepare
    if prepare.state == "succeeded":
        return yes(condition, "Prepared", sentence)
    if prepare.state == "failed":
        message = prepare.message or "`signals prepare` failed; its pod's log says why"
        return no(condition, "PrepareFailed", message)
    if prepare.state == "running" and prepare.message:
        return no(condition, "PodFailing", prepare.message)
    if prepare.state == "running":
        return unknown(condition, "PrepareRunning", "`signals prepare` is running")
    reason = "WaitingForApproval" if facts.plan.pending else "WaitingForPreflight"
    return unknown(condition, reason, "`signals prepare` has not run for this spec yet")


def _serve(facts: StackFacts) -> ConditionVerdict:
    condition, ray = "ServeReady", facts.ray
    if not ray.known_kind:
        sentence = "the cluster does not know rayservices.ray.io: install the KubeRay operator, 1.6 or newer"
        return no(condition, "KubeRayMissing", sentence)
    if facts.spec.suspend:
        return no(condition, "Suspended", "spec.suspend is set; Kafka keeps what was accepted")
    if ray.ready:
        return yes(condition, ray.reason or "Serving", "Ray serves both APIs")
    if not ray.exists:
        return no(condition, "NotCreated", "the RayService is made when dependencies and schema are ready")
    return no(condition, ray.reason or "Starting", ray.message or "Ray is starting")


def _consumers(facts: StackFacts) -> ConditionVerdict:
    condition, readiness = "ConsumersReady", facts.readiness
    if readiness is None:
        return unknown(condition, "NotServing", "core-api is not up yet", pending=False)
    if readiness.error:
        return unknown(condition, "CoreApiUnreachable", readiness.error, pending=False)
    if readiness.not_running:
        bad = ", ".join(readiness.not_running)
        sentence = f"{len(readiness.not_running)} of {readiness.expected} consumers are unhealthy: {bad}"
        return no(condition, "ConsumersNotRunning", sentence)
    if readiness.standing:
        return no(condition, "ReadingStandsStill", f"reading stands still: {'; '.join(readiness.standing)}")
    return yes(condition, "AllRunning", f"{readiness.expected} consumers run")


def _ready(facts: StackFacts, basics: Sequence[ConditionVerdict]) -> ConditionVerdict:
    """Ready describes the serving version: one missing consumer is Degraded, a missing kind is not Ready."""
    by_type = {verdict.type: verdict for verdict in basics}
    serve, consumers = by_type["ServeReady"], by_type["ConsumersReady"]
    readiness = facts.readiness
    if serve.status == "True" and readiness and not readiness.error:
        if readiness.unavailable:
            return no("Ready", "DependencyUnavailable", by_type["DependenciesReachable"].message)
        if not readiness.idle_kinds:
            return yes("Ready", "Serving", "events are accepted, judged and searchable")
        return no("Ready", consumers.reason, consumers.message)
    if serve.status == "True":
        return no("Ready", consumers.reason, consumers.message)
    cause = next((verdict for verdict in basics if verdict.status != "True"), serve)
    if serve.reason in ("KubeRayMissing", "Suspended") or facts.ray.exists:
        cause = serve
    return no("Ready", cause.reason, cause.message)


def _special(
    facts: StackFacts,
    basics: Sequence[ConditionVerdict],
    ready: ConditionVerdict,
    known: Mapping[str, Written],
) -> list[ConditionVerdict]:
    found = [
        _when(facts.spec.paused, "Paused", "SpecPaused", "spec.paused is set: nothing is changed"),
        _when(facts.spec.suspend, "Suspended", "SpecSuspend", "spec.suspend is set: no Ray pod runs"),
        _plan_pending(facts),
        _stalled(facts, basics),
        _degraded(facts, basics, ready),
        _expiring(facts),
        _model(facts, known.get("ModelUnavailable")),
    ]
    return [verdict for verdict in found if verdict]


def _when(holds: bool, condition: str, reason: str, message: str) -> ConditionVerdict | None:
    return yes(condition, reason, message) if holds else None


def _plan_pending(facts: StackFacts) -> ConditionVerdict | None:
    plan = facts.plan
    needs = f"plan {plan.wanted} needs new Ray pods ({facts.spec.image})"
    if facts.spec.upgrade.strategy == "None":
        return _when(plan.pending, "PlanPending", "UpgradesOff", f"{needs}; spec.upgrade.strategy is None")
    sentence = f"{needs}; approve it with spec.upgrade.approvedPlan: {plan.wanted}"
    return _when(plan.pending, "PlanPending", "ApprovalNeeded", sentence)


def _stalled(facts: StackFacts, basics: Sequence[ConditionVerdict]) -> ConditionVerdict | None:
    """Stalled: a refusal of the API server, or a start that exceeds `spec.upgrade.timeout`."""
    if facts.refused:
        return yes("Stalled", "ApplyRefused", facts.refused)
    ray, deadline = facts.ray, facts.spec.upgrade.deadline
    kept = "; what ran before goes on serving" if ray.ready else ""
    if facts.waiting_since and facts.now - facts.waiting_since >= deadline:
        return yes("Stalled", "PreparationTimedOut", f"{_waits(facts, basics)}{kept}")
    if not ray.exists or ray.settled or facts.applied_at is None:
        return None
    since = max(filter(None, (facts.applied_at, ray.flipped_at)))
    if facts.now - since < deadline:
        return None
    reason = "UpgradeTimedOut" if ray.ready else "StartTimedOut"
    remedy = (
        f"Going on: {_waits(facts, basics)}." if facts.waiting_since else "Correct the spec or revert it."
    )
    sentence = (
        f"plan {ray.plan} has not become Ready within {facts.spec.upgrade.timeout}{kept}."
        f" {remedy} KubeRay reports: {ray.message or ray.reason or 'nothing'}"
    )
    return yes("Stalled", reason, sentence)


def _waits(facts: StackFacts, basics: Sequence[ConditionVerdict]) -> str:
    """Return the step that the wanted plan waits for before it is applied."""
    cause = next((v for v in basics if v.status != "True" and v.type not in SERVING), None)
    what = f"{cause.type}: {cause.message}" if cause else "KubeRay"
    return f"plan {facts.plan.wanted} waits for {what}"


def _degraded(
    facts: StackFacts, basics: Sequence[ConditionVerdict], ready: ConditionVerdict
) -> ConditionVerdict | None:
    bad = [verdict for verdict in basics if verdict.status == "False"]
    if ready.status != "True" or not (bad or facts.complaints):
        return None
    reason = bad[0].reason if bad else "Incomplete"
    return yes("Degraded", reason, "; ".join([*(verdict.message for verdict in bad), *facts.complaints]))


def _expiring(facts: StackFacts) -> ConditionVerdict | None:
    soon = [c for c in facts.secrets.certificates if c.ends_at - facts.now < CERTIFICATE_WARNING]
    ended = any(certificate.ends_at <= facts.now for certificate in soon)
    sentence = "; ".join(f"the CA in {c.place} is valid until {c.ends_at:%Y-%m-%d %H:%M} UTC" for c in soon)
    return _when(bool(soon), "CertificateExpiring", "Expired" if ended else "ExpiresSoon", sentence)


def _model(facts: StackFacts, before: Written | None) -> ConditionVerdict | None:
    """Return preflight's finding about the model; the earlier one while preflight runs again."""
    if not (facts.spec.ai and facts.spec.ai.enabled):
        return None
    found = [finding for finding in facts.preflight.findings if finding.check == "model"]
    if not found:
        return yes(before["type"], before["reason"], before["message"]) if before else None
    bad = [finding for finding in found if not finding.ok]
    sentence = "; ".join(_with_place(finding, places(facts.spec)) for finding in bad)
    return _when(
        bool(bad),
        "ModelUnavailable",
        bad[0].reason if bad else "",
        f"{sentence}; the built-in summarizer answers meanwhile",
    )
