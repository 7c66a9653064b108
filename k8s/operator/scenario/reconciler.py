"""Reconciles a SignalsScenario: start the run once, record its totals, judge its incident.

Level-based like the reconciler of stacks. A run never starts twice: its events would count again.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from pydantic import ValidationError

from k8s.operator.api import KeyRef, faults
from k8s.operator.cluster import JOB, POD, SCENARIO, SECRET, STACK, Cluster, ClusterRefused, Manifest
from k8s.operator.conditions import ConditionVerdict, Written, instant, kept, merged, timestamp, unknown
from k8s.operator.manifests.naming import Stack
from k8s.operator.scenario.core_api import Ask, Question
from k8s.operator.scenario.expectations import (
    SUCCEEDED,
    VERIFIED,
    IncidentLookup,
    active_since,
    fingerprint,
    succeeded,
    verified,
)
from k8s.operator.scenario.manifests import Scenario, Target, scenario_job
from k8s.operator.scenario.totals import Run, observed
from k8s.operator.scenario_types import SignalsScenarioSpec
from k8s.operator.stack_types import SignalsStackSpec

JOB_LABEL: Final = "batch.kubernetes.io/job-name"
OWNED: Final = (
    *("completionMode", "completions", "parallelism", "backoffLimitPerIndex"),
    *("suspend", "template", "ttlSecondsAfterFinished"),
)
GONE: Final = "its Job was deleted before it ended; a run is not repeated: create a new scenario"
SOON: Final = timedelta(seconds=3)
WAITING: Final = timedelta(seconds=10)

log = structlog.get_logger(__name__)


class _CannotStart(Exception):  # noqa: N818  # reads as what it says
    """The run cannot start, or not yet; says why."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ScenarioReconciler:
    """Reconciles any scenario; keeps nothing between passes."""

    def __init__(self, cluster: Cluster, *, ask: Ask, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._ask = ask
        self._now = now

    def reconcile(self, namespace: str, name: str) -> timedelta | None:
        """Do one pass and return the delay to the next; None when the scenario is finished.

        Raises:
            ClusterUnavailable, ClusterRefused: the pass ended there; retry later.
        """
        raw = self._cluster.read(SCENARIO, namespace, name)
        if raw is None or "deletionTimestamp" in raw["metadata"]:
            return None
        before = raw.get("status") or {}
        try:
            spec = SignalsScenarioSpec.model_validate(raw["spec"])
            run = self._run(_scenario(raw), spec, before)
        except ValidationError as error:
            return self._wait(raw, "Invalid", faults(error))
        except _CannotStart as why:
            return self._wait(raw, why.reason, str(why))
        except ClusterRefused as error:
            return self._wait(raw, "Refused", str(error))
        known = {condition["type"]: condition for condition in before.get("conditions") or []}
        lookup = IncidentLookup() if _is_final(known, VERIFIED) else self._lookup(spec, run, namespace)
        verdicts = [
            kept(known[SUCCEEDED]) if _is_final(known, SUCCEEDED) else succeeded(run),
            kept(known[VERIFIED])  # the deadline has passed
            if _is_final(known, VERIFIED)
            else verified(spec, run, lookup, self._now()),
        ]
        self._report(raw, _fields(run, lookup), verdicts)
        if not run.has_ended:
            return SOON
        self._set_ttl(namespace, name, spec.ttl_seconds_after_finished)
        return SOON if any(verdict.status == "Unknown" for verdict in verdicts) else None

    def _run(self, scenario: Scenario, spec: SignalsScenarioSpec, before: Manifest) -> Run:
        """Return the state of the run, after starting it if it never was."""
        if "finishedAt" in before:
            return _run_of_status(before)
        job = self._cluster.read(JOB, scenario.namespace, scenario.name)
        if job is None:
            if "startedAt" in before:
                return replace(
                    _run_of_status(before), state="failed", finished_at=self._now(), silent=(GONE,)
                )
            self._cluster.create(scenario_job(scenario, spec, self._target(scenario.namespace, spec)))
            log.info("scenario started", name=scenario.name, namespace=scenario.namespace)
            return Run(state="suspended" if spec.suspend else "running")
        if not _belongs(job, scenario):
            raise _CannotStart(
                "NameTaken",
                f"Job {scenario.name} belongs to another owner: delete it, or rename this scenario",
            )
        if bool(job["spec"].get("suspend")) != spec.suspend:
            self._cluster.apply(_changed(job, suspend=spec.suspend))
        pods = self._cluster.list(POD, scenario.namespace, {JOB_LABEL: scenario.name})
        return observed(job, pods)

    def _target(self, namespace: str, spec: SignalsScenarioSpec) -> Target:
        if spec.stack_ref is None:
            if spec.image is None:
                raise _CannotStart("ImageMissing", "with spec.url, set spec.image to the image that sends")
            return Target(ingest_url=spec.url or "", image=spec.image)
        name = spec.stack_ref.name
        raw = self._cluster.read(STACK, namespace, name)
        if raw is None:
            raise _CannotStart(
                "StackNotFound",
                f"SignalsStack {name} does not exist in this namespace; create it or correct spec.stackRef",
            )
        conditions = (raw.get("status") or {}).get("conditions") or []
        if not any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
            raise _CannotStart("StackNotReady", f"SignalsStack {name} is not Ready yet")
        try:
            stack = SignalsStackSpec.model_validate(raw["spec"])
        except ValidationError as error:
            raise _CannotStart("StackInvalid", f"SignalsStack {name}: {faults(error)}") from error
        service = Stack(name=name, namespace=namespace, uid="").ingest
        return Target(
            ingest_url=f"http://{service}.{namespace}.svc:8000",
            image=spec.image or stack.image,
            pull_policy=stack.image_pull_policy,
            pull_secrets=stack.image_pull_secrets,
        )

    def _lookup(self, spec: SignalsScenarioSpec, run: Run, namespace: str) -> IncidentLookup:
        """Ask core-api when the spec expects an incident and the run has started."""
        expect, stack = spec.expect, spec.stack_ref
        if expect is None or not (expect.incident_within or expect.summary_within):
            return IncidentLookup()
        if run.started_at is None or expect.read_key_ref is None or stack is None:
            return IncidentLookup()
        key = self._key(namespace, expect.read_key_ref)
        if isinstance(key, IncidentLookup):
            return key
        core = Stack(name=stack.name, namespace=namespace, uid="").core
        return self._ask(
            Question(
                url=f"http://{core}.{namespace}.svc:8000",
                key=key,
                fingerprint=fingerprint(spec),
                active_since=active_since(spec, run.started_at),
            )
        )

    def _key(self, namespace: str, ref: KeyRef) -> str | IncidentLookup:
        try:
            secret = self._cluster.read(SECRET, namespace, ref.name)
        except ClusterRefused:
            advice = "name it in operator.secretNames of the chart"
            return IncidentLookup(error=f"the operator may not read Secret {ref.name}: {advice}")
        encoded = ((secret or {}).get("data") or {}).get(ref.key)
        if encoded is None:
            return IncidentLookup(
                error=f"Secret {ref.name} has no key {ref.key}; create both or correct expect.readKeyRef"
            )
        try:
            return base64.b64decode(encoded).decode("ascii").strip()
        except UnicodeDecodeError:
            return IncidentLookup(error=f"key {ref.key} of Secret {ref.name} is not ASCII, as read keys are")

    def _set_ttl(self, namespace: str, name: str, ttl_s: int) -> None:
        """Let Kubernetes remove the Job `ttl_s` seconds after its totals were recorded."""
        job = self._cluster.read(JOB, namespace, name)
        if job is not None and job["spec"].get("ttlSecondsAfterFinished") != ttl_s:
            self._cluster.apply(_changed(job, ttlSecondsAfterFinished=ttl_s))

    def _wait(self, raw: Manifest, reason: str, message: str) -> timedelta:
        self._report(raw, {}, [unknown(name, reason, message) for name in (SUCCEEDED, VERIFIED)])
        return WAITING

    def _report(self, raw: Manifest, fields: dict[str, Any], verdicts: Sequence[ConditionVerdict]) -> None:
        """Write the status if it changed."""
        before, generation = raw.get("status") or {}, raw["metadata"]["generation"]
        known = before.get("conditions") or []
        conditions = merged(known, verdicts, generation=generation, now=self._now())
        wanted = before | fields | {"observedGeneration": generation, "conditions": conditions}
        if wanted != before:
            self._cluster.write_status(raw | {"status": wanted})


def _scenario(raw: Manifest) -> Scenario:
    metadata = raw["metadata"]
    return Scenario(name=metadata["name"], namespace=metadata["namespace"], uid=metadata["uid"])


def _belongs(job: Manifest, scenario: Scenario) -> bool:
    owners = job["metadata"].get("ownerReferences") or []
    return any(owner["uid"] == scenario.uid for owner in owners)


def _changed(job: Manifest, **changes: object) -> Manifest:
    """Return the operator's fields of the Job with changed values; its template is immutable."""
    metadata = {name: job["metadata"][name] for name in ("name", "namespace", "labels", "ownerReferences")}
    spec = {name: job["spec"][name] for name in OWNED if name in job["spec"]}
    return {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "metadata": metadata,
        "spec": spec | changes,
    }


def _run_of_status(before: Manifest) -> Run:
    """Return the run as the status describes it; its Job may be gone."""
    finished = before.get("finishedAt")
    return Run(
        state="succeeded",
        started_at=instant(before["startedAt"]) if "startedAt" in before else None,
        finished_at=instant(finished) if finished else None,
        sent=before.get("sent", 0),
        accepted=before.get("accepted", 0),
    )


def _fields(run: Run, lookup: IncidentLookup) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if run.started_at:
        fields["startedAt"] = timestamp(run.started_at)
    if run.finished_at:
        fields["finishedAt"] = timestamp(run.finished_at)
    if run.reported:
        fields |= {"sent": run.sent, "accepted": run.accepted}
    if lookup.incident_id:
        fields["incidentId"] = lookup.incident_id
    return fields


def _is_final(known: Mapping[str, Written], condition: str) -> bool:
    """Whether the verdict is final: a run happens once."""
    return condition in known and known[condition]["status"] != "Unknown"
