"""The one verb for scenarios: start the run once, write down what it sent, judge what it led to.

Level-based like that of stacks. A run is never started twice: sending again would count again.
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
from k8s.operator.conditions import Verdict, Written, instant, kept, merged, timestamp, unknown
from k8s.operator.manifests.naming import Stack
from k8s.operator.scenario.core_api import Ask, Question
from k8s.operator.scenario.expecting import (
    SUCCEEDED,
    VERIFIED,
    Sighting,
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


class _Waiting(Exception):  # noqa: N818  # reads as what it says
    """The run cannot start, or not yet; says why."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ReconcilingScenarios:
    """Reconciles any scenario; keeps nothing between passes."""

    def __init__(self, cluster: Cluster, *, ask: Ask, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._ask = ask
        self._now = now

    def reconcile(self, namespace: str, name: str) -> timedelta | None:
        """Do one pass and return when to look again; None when there is nothing more to do.

        Raises:
            ClusterUnavailable, ClusterRefused: the pass ended there; come back later.
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
        except _Waiting as why:
            return self._wait(raw, why.reason, str(why))
        except ClusterRefused as error:
            return self._wait(raw, "Refused", str(error))
        said = {condition["type"]: condition for condition in before.get("conditions") or []}
        sighting = Sighting() if _is_given(said, VERIFIED) else self._sighting(spec, run, namespace)
        verdicts = [
            kept(said[SUCCEEDED]) if _is_given(said, SUCCEEDED) else succeeded(run),
            kept(said[VERIFIED])  # its time has passed
            if _is_given(said, VERIFIED)
            else verified(spec, run, sighting, self._now()),
        ]
        self._tell(raw, _fields(run, sighting), verdicts)
        if not run.has_ended:
            return SOON
        self._let_go(namespace, name, spec.ttl_seconds_after_finished)
        return SOON if any(verdict.status == "Unknown" for verdict in verdicts) else None

    def _run(self, scenario: Scenario, spec: SignalsScenarioSpec, before: Manifest) -> Run:
        """Return how far the run is, having started it if it never was."""
        if "finishedAt" in before:
            return _remembered(before)
        job = self._cluster.read(JOB, scenario.namespace, scenario.name)
        if job is None:
            if "startedAt" in before:
                return replace(_remembered(before), state="failed", finished_at=self._now(), silent=(GONE,))
            self._cluster.create(scenario_job(scenario, spec, self._target(scenario.namespace, spec)))
            log.info("scenario started", name=scenario.name, namespace=scenario.namespace)
            return Run(state="suspended" if spec.suspend else "running")
        if not _belongs(job, scenario):
            raise _Waiting("NameTaken", f"Job {scenario.name} is somebody else's: delete it, or rename this")
        if bool(job["spec"].get("suspend")) != spec.suspend:
            self._cluster.apply(_changed(job, suspend=spec.suspend))
        pods = self._cluster.list(POD, scenario.namespace, {JOB_LABEL: scenario.name})
        return observed(job, pods)

    def _target(self, namespace: str, spec: SignalsScenarioSpec) -> Target:
        if spec.stack_ref is None:
            if spec.image is None:
                raise _Waiting("ImageMissing", "with url, spec.image must name the image that sends")
            return Target(ingest_url=spec.url or "", image=spec.image)
        name = spec.stack_ref.name
        raw = self._cluster.read(STACK, namespace, name)
        if raw is None:
            raise _Waiting("StackNotFound", f"there is no SignalsStack {name} in this namespace")
        conditions = (raw.get("status") or {}).get("conditions") or []
        if not any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
            raise _Waiting("StackNotReady", f"SignalsStack {name} is not Ready yet")
        try:
            stack = SignalsStackSpec.model_validate(raw["spec"])
        except ValidationError as error:
            raise _Waiting("StackInvalid", f"SignalsStack {name}: {faults(error)}") from error
        service = Stack(name=name, namespace=namespace, uid="").ingest
        return Target(
            ingest_url=f"http://{service}.{namespace}.svc:8000",
            image=spec.image or stack.image,
            pull_policy=stack.image_pull_policy,
            pull_secrets=stack.image_pull_secrets,
        )

    def _sighting(self, spec: SignalsScenarioSpec, run: Run, namespace: str) -> Sighting:
        """Ask core-api, when something is expected of it and the run has begun."""
        expect, stack = spec.expect, spec.stack_ref
        if expect is None or not (expect.incident_within or expect.summary_within):
            return Sighting()
        if run.started_at is None or expect.read_key_ref is None or stack is None:
            return Sighting()
        key = self._key(namespace, expect.read_key_ref)
        if isinstance(key, Sighting):
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

    def _key(self, namespace: str, ref: KeyRef) -> str | Sighting:
        try:
            secret = self._cluster.read(SECRET, namespace, ref.name)
        except ClusterRefused:
            advice = "name it in operator.secretNames of the chart"
            return Sighting(error=f"the operator may not read Secret {ref.name}: {advice}")
        encoded = ((secret or {}).get("data") or {}).get(ref.key)
        if encoded is None:
            return Sighting(error=f"there is no key {ref.key} in a Secret {ref.name}")
        try:
            return base64.b64decode(encoded).decode("ascii").strip()
        except UnicodeDecodeError:
            return Sighting(error=f"key {ref.key} of Secret {ref.name} is not ASCII, as read keys are")

    def _let_go(self, namespace: str, name: str, ttl_s: int) -> None:
        """Let Kubernetes remove the Job some time after its totals were written down."""
        job = self._cluster.read(JOB, namespace, name)
        if job is not None and job["spec"].get("ttlSecondsAfterFinished") != ttl_s:
            self._cluster.apply(_changed(job, ttlSecondsAfterFinished=ttl_s))

    def _wait(self, raw: Manifest, reason: str, message: str) -> timedelta:
        self._tell(raw, {}, [unknown(name, reason, message) for name in (SUCCEEDED, VERIFIED)])
        return WAITING

    def _tell(self, raw: Manifest, fields: dict[str, Any], verdicts: Sequence[Verdict]) -> None:
        """Write the status if it changed."""
        before, generation = raw.get("status") or {}, raw["metadata"]["generation"]
        said = before.get("conditions") or []
        conditions = merged(said, verdicts, generation=generation, now=self._now())
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
    """Return the Job as we own it, with other values for what may change; its template must not."""
    metadata = {name: job["metadata"][name] for name in ("name", "namespace", "labels", "ownerReferences")}
    spec = {name: job["spec"][name] for name in OWNED if name in job["spec"]}
    return {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "metadata": metadata,
        "spec": spec | changes,
    }


def _remembered(before: Manifest) -> Run:
    """Return a run whose Job may be gone, as the status tells of it."""
    finished = before.get("finishedAt")
    return Run(
        state="succeeded",
        started_at=instant(before["startedAt"]) if "startedAt" in before else None,
        finished_at=instant(finished) if finished else None,
        sent=before.get("sent", 0),
        accepted=before.get("accepted", 0),
    )


def _fields(run: Run, sighting: Sighting) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if run.started_at:
        fields["startedAt"] = timestamp(run.started_at)
    if run.finished_at:
        fields["finishedAt"] = timestamp(run.finished_at)
    if run.reported:
        fields |= {"sent": run.sent, "accepted": run.accepted}
    if sighting.incident_id:
        fields["incidentId"] = sighting.incident_id
    return fields


def _is_given(said: Mapping[str, Written], condition: str) -> bool:
    """Whether the verdict is final: a run happens once."""
    return condition in said and said[condition]["status"] != "Unknown"
