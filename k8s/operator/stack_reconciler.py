"""Reconciles a SignalsStack: read, apply what differs from the spec, write the status.

Level-based: each pass starts from the live objects, so it may stop anywhere and repeat at any time.
A failed read ends the pass before any decision from incomplete data.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from pydantic import ValidationError

from k8s.operator import announcements, status
from k8s.operator.api import faults
from k8s.operator.apply import apply_if_changed, apply_slot, is_managed
from k8s.operator.cluster import RAY_SERVICE, STACK, Cluster, ClusterRefused, KindMissing, Manifest
from k8s.operator.conditions import merged, rejected
from k8s.operator.jobs import Jobs
from k8s.operator.manifests.all import dependents
from k8s.operator.manifests.configuration import checked_keys
from k8s.operator.manifests.jobs import PREFLIGHT, PREPARE, preflight_job, prepare_job
from k8s.operator.manifests.naming import Stack
from k8s.operator.manifests.ray_service import ray_service
from k8s.operator.observed import ABSENT, JobState, RayState, ray_state
from k8s.operator.plan import Plan, applied_plan, planned, with_plan
from k8s.operator.readiness import ConsumersReadiness
from k8s.operator.refusal import explained, forbidden_read
from k8s.operator.secrets import SecretsView, judged, read_secrets
from k8s.operator.stack_types import SignalsStackSpec
from k8s.operator.verdicts import StackFacts, judge

SETTLED: Final = timedelta(seconds=60)  # drift and rotated secrets are noticed within this
MOVING: Final = timedelta(seconds=3)  # guess: unfinished work is checked again after this time

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PassOutcome:
    """The outcome of a pass over one stack; `again_in` is None when the stack is gone."""

    again_in: timedelta | None
    facts: StackFacts | None = None
    true: frozenset[str] = frozenset()  # types of conditions


GONE: Final = PassOutcome(again_in=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Applied:
    """The state of the stack's objects at the end of a pass."""

    preflight: JobState = ABSENT
    prepare: JobState = ABSENT
    plan: Plan
    live: Manifest | None
    refused: str = ""
    complaints: tuple[str, ...] = ()


class StackReconciler:
    """Reconciles any stack; keeps nothing between passes."""

    def __init__(
        self, cluster: Cluster, *, ask: Callable[[str, str], ConsumersReadiness], now: Callable[[], datetime]
    ) -> None:
        self._cluster = cluster
        self._ask = ask
        self._now = now

    def reconcile(self, namespace: str, name: str) -> PassOutcome:
        """Do one pass.

        Raises:
            ClusterUnavailable: the API server did not answer and the pass ended there; retry later.
            ClusterRefused: a read was refused (the status then says so), or writing the status was.
        """
        raw = self._cluster.read(STACK, namespace, name)
        if raw is None or "deletionTimestamp" in raw["metadata"]:
            return GONE
        try:
            spec = SignalsStackSpec.model_validate(raw["spec"])
        except ValidationError as error:
            self._report_invalid(raw, error)
            return PassOutcome(again_in=SETTLED)
        stack = Stack(
            name=name,
            namespace=namespace,
            uid=raw["metadata"]["uid"],
            retained=spec.deletion_policy == "Retain",
        )
        try:
            facts = self._pass(stack, spec, raw.get("status") or {})
        except ClusterRefused as error:
            self._report_refused(raw, error)
            raise
        conditions = self._report(raw, stack, facts)
        true = frozenset(c["type"] for c in conditions if c["status"] == "True")
        return PassOutcome(again_in=_again_in(facts, ready="Ready" in true), facts=facts, true=true)

    def _pass(self, stack: Stack, spec: SignalsStackSpec, before: Manifest) -> StackFacts:
        keys = checked_keys(spec)
        secrets = judged(read_secrets(self._cluster, stack.namespace, keys), keys, salt=stack.uid)
        known_kind, live = self._ray_service(stack)
        last = (before.get("plan") or {}).get("hash")
        applied = self._apply_all(stack, spec, secrets, live, last=last, known_kind=known_kind)
        live = applied.live
        ray = RayState(known_kind=known_kind)
        if live is not None:
            ray = ray_state(live, applied_plan(live))
        now = self._now()
        resting = spec.paused or spec.suspend or applied.plan.pending
        awaited = applied.plan.wanted if not resting and ray.plan != applied.plan.wanted else None
        return StackFacts(
            spec=spec,
            now=now,
            secrets=secrets,
            preflight=applied.preflight,
            prepare=applied.prepare,
            ray=ray,
            plan=applied.plan,
            applied_at=status.applied_at(before, ray.plan, now),
            waiting_since=status.waiting_since(before, awaited, now) if awaited else None,
            readiness=self._ask(stack.name, stack.namespace) if ray.ready else None,
            refused=applied.refused,
            complaints=applied.complaints,
        )

    def _ray_service(self, stack: Stack) -> tuple[bool, Manifest | None]:
        try:
            return True, self._cluster.read(RAY_SERVICE, stack.namespace, stack.name)
        except KindMissing:
            return False, None

    def _apply_all(
        self,
        stack: Stack,
        spec: SignalsStackSpec,
        secrets: SecretsView,
        live: Manifest | None,
        *,
        last: str | None,
        known_kind: bool,
    ) -> _Applied:
        wanted = ray_service(stack, spec, live)
        reached = _Applied(plan=planned(live, wanted, spec.upgrade, last), live=live)
        jobs = Jobs(
            self._cluster,
            stack,
            now=self._now(),
            may_write=not (spec.paused or spec.suspend),
            settled=_settled(live, reached.plan),
        )
        try:
            if not spec.paused:
                complaints = self._apply_dependents(stack, spec, live)
                reached = replace(reached, complaints=complaints)
            if not secrets.problems:
                preflight = jobs.run(PREFLIGHT, preflight_job(stack, spec, secrets.digest))
                reached = replace(reached, preflight=preflight)
            if reached.preflight.state == "succeeded" and not reached.plan.pending:
                reached = replace(reached, prepare=jobs.run(PREPARE, prepare_job(stack, spec)))
            if not spec.paused and known_kind:
                reached = replace(reached, live=self._apply_ray_service(stack, spec, wanted, reached))
                reached = replace(reached, plan=planned(reached.live, wanted, spec.upgrade, last))
                if _serving(reached.live) != _serving(live):
                    self._apply_dependents(stack, spec, reached.live)  # the Services follow at once
        except KindMissing:
            raise
        except ClusterRefused as error:
            log.warning("refused", stack=stack.name, namespace=stack.namespace, reason=str(error))
            return replace(reached, refused=explained(str(error)))
        return reached

    def _apply_dependents(
        self, stack: Stack, spec: SignalsStackSpec, live: Manifest | None
    ) -> tuple[str, ...]:
        """Apply the objects around the Ray pods; return those whose kind the cluster does not know."""
        complaints = []
        for slot in dependents(stack, spec, _serving(live)):
            try:
                apply_slot(self._cluster, stack.namespace, slot)
            except KindMissing:
                complaints.append(f"the cluster does not know {slot.kind.plural}.{slot.kind.group}")
        return tuple(complaints)

    def _apply_ray_service(
        self, stack: Stack, spec: SignalsStackSpec, wanted: Manifest, reached: _Applied
    ) -> Manifest | None:
        """Apply the RayService when everything before it is done; suspending removes it."""
        live = reached.live
        if spec.suspend:
            if live is not None and is_managed(live):
                self._cluster.delete(RAY_SERVICE, stack.namespace, stack.name)
            return None
        held = live is None and reached.plan.pending
        if held or not reached.plan.may_apply(prepared=reached.prepare.state == "succeeded"):
            return live
        apply_if_changed(self._cluster, live, with_plan(wanted, reached.plan, live))
        return self._cluster.read(RAY_SERVICE, stack.namespace, stack.name)

    def _report(self, raw: Manifest, stack: Stack, facts: StackFacts) -> Sequence[dict[str, Any]]:
        before = raw.get("status") or {}
        known = before.get("conditions", [])
        generation = raw["metadata"]["generation"]
        conditions = merged(known, judge(facts, known), generation=generation, now=facts.now)
        self._write(raw, status.composed(stack, facts, conditions, before, generation))
        return conditions

    def _report_invalid(self, raw: Manifest, error: ValidationError) -> None:
        """Report a spec that an older CRD accepted although it is invalid; nothing else changes."""
        before = raw.get("status") or {}
        known = before.get("conditions", [])
        generation = raw["metadata"]["generation"]
        conditions = merged(known, rejected(faults(error), known), generation=generation, now=self._now())
        self._write(raw, before | {"observedGeneration": generation, "conditions": conditions})

    def _report_refused(self, raw: Manifest, refusal: ClusterRefused) -> None:
        """Report that a read was refused, so that this pass decided nothing."""
        before = raw.get("status") or {}
        known = before.get("conditions", [])
        generation, now = raw["metadata"]["generation"], self._now()
        conditions = merged(known, forbidden_read(known, str(refusal)), generation=generation, now=now)
        self._write(raw, before | {"observedGeneration": generation, "conditions": conditions})

    def _write(self, raw: Manifest, wanted: dict[str, Any]) -> None:
        """Write the status if it changed, then create Events about the changes."""
        before = raw.get("status") or {}
        if wanted == before:
            return
        self._cluster.write_status(raw | {"status": wanted})
        news = announcements.changes(before.get("conditions", []), wanted["conditions"])
        for kind, reason, message in news:
            self._cluster.create(announcements.event(raw, kind, reason, message, self._now()))


def _serving(live: Manifest | None) -> str | None:
    """Return the RayCluster that serves now."""
    return ray_state(live, None).cluster if live else None


def _settled(live: Manifest | None, plan: Plan) -> bool:
    """Whether the wanted plan is the one that serves."""
    return live is not None and plan.applied == plan.wanted and ray_state(live, None).settled


def _again_in(facts: StackFacts, *, ready: bool) -> timedelta:
    still = facts.ray.settled and facts.readiness and not facts.readiness.not_running
    resting = facts.spec.paused or facts.spec.suspend or facts.plan.pending
    return SETTLED if (ready and still) or resting else MOVING
