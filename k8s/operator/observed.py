"""The state that a pass read from the cluster, as frozen values instead of manifests."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ValidationError

from k8s.operator.cluster import Manifest
from k8s.operator.conditions import instant


class ObservedFinding(BaseModel):
    """One line of preflight's report."""

    check: str
    ok: bool
    reason: str
    message: str
    variable: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """The state of a Job; `message` is the last text of its container or pod."""

    state: Literal["absent", "running", "succeeded", "failed"]
    message: str = ""
    finished_at: datetime | None = None
    overdue: bool = False  # ended by its deadline, which removes the pods with their messages

    @property
    def findings(self) -> tuple[ObservedFinding, ...]:
        """The findings in `message`; empty when it holds no report."""
        try:
            return tuple(ObservedFinding.model_validate(row) for row in json.loads(self.message))
        except (ValueError, TypeError, ValidationError):
            return ()


ABSENT = JobState(state="absent")


def job_state(job: Manifest, pods: Sequence[Manifest], events: Sequence[Manifest] = ()) -> JobState:
    """Read a Job, its pods and, without pods, the Events that give the reason."""
    message = _last_words(pods)
    for condition in job.get("status", {}).get("conditions", []):
        if condition["status"] == "True" and condition["type"] in ("Complete", "Failed"):
            done = condition["type"] == "Complete"
            why = "" if done else _no_pod(job, events)
            return JobState(
                state="succeeded" if done else "failed",
                message=message or why or str(condition.get("message", "")),
                finished_at=instant(condition["lastTransitionTime"]),
                overdue=condition.get("reason") == "DeadlineExceeded",
            )
    return JobState(state="running", message=message or _no_pod(job, events))


def _last_words(pods: Iterable[Manifest]) -> str:
    """Return the newest pod's termination message, else why it does not start."""
    newest = max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)
    status = (newest or {}).get("status", {})
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"no node takes the pod: {condition.get('message', '')}"
    for container in status.get("containerStatuses", []):
        state = container["state"]
        if message := state.get("terminated", {}).get("message"):
            return str(message).strip()
        waiting = state.get("waiting", {})
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            return f"{waiting['reason']}: {waiting.get('message', '')}".strip()
    return ""


def _no_pod(job: Manifest, events: Iterable[Manifest]) -> str:
    """Return why the Job's controller could make no pod, without the pod's name: it differs at each try."""
    failed = [
        event
        for event in events
        if event["reason"] == "FailedCreate" and event["involvedObject"]["uid"] == job["metadata"]["uid"]
    ]
    newest = max(failed, key=lambda event: str(event.get("lastTimestamp")), default=None)
    if newest is None:
        return ""
    name = job["metadata"]["name"]
    return "no pod could be made: " + re.sub(rf"{re.escape(name)}-\w+", name, newest.get("message", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class RayState:
    """The RayService's state as KubeRay reports it."""

    known_kind: bool = True  # false without KubeRay's CustomResourceDefinitions
    exists: bool = False
    ready: bool = False
    upgrading: bool = False
    reason: str = ""
    message: str = ""
    cluster: str | None = None  # the RayCluster that serves
    flipped_at: datetime | None = None  # when it was made, last became unready, or an upgrade began
    plan: str | None = None

    @property
    def settled(self) -> bool:
        """Whether the last applied version serves."""
        return self.ready and not self.upgrading


def ray_state(service: Manifest, plan: str | None) -> RayState:
    """Read a RayService."""
    status = service.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
    ready, upgrade = conditions.get("Ready", {}), conditions.get("UpgradeInProgress", {})
    is_ready, upgrading = ready.get("status") == "True", upgrade.get("status") == "True"
    flips = [c["lastTransitionTime"] for c, bad in ((ready, not is_ready), (upgrade, upgrading)) if c and bad]
    if made := service["metadata"].get("creationTimestamp"):
        flips.append(made)
    seen = status.get("observedGeneration", 0) >= service["metadata"].get("generation", 0)
    cluster = (status.get("activeServiceStatus") or {}).get("rayClusterName") or None
    return RayState(
        exists=True,
        ready=is_ready,
        upgrading=upgrading or (is_ready and not seen),
        reason=str(ready.get("reason", "")),
        message=_applications(status) or str(ready.get("message", "")),
        cluster=cluster,
        flipped_at=max(map(instant, flips), default=None),
        plan=plan,
    )


def _applications(status: Manifest) -> str:
    """List the applications that do not run, those of a pending cluster first."""
    for part in ("pendingServiceStatus", "activeServiceStatus"):
        found = (status.get(part) or {}).get("applicationStatuses") or {}
        bad = [
            f"{name} is {state.get('status')}: {state.get('message', '')}".rstrip(": ")
            for name, state in sorted(found.items())
            if state.get("status") != "RUNNING"
        ]
        if bad:
            return "; ".join(bad)
    return ""
