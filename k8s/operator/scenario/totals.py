"""Totals of a run, from its Job and its pods' termination messages."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from k8s.operator.cluster import Manifest
from k8s.operator.conditions import instant


class Report(BaseModel):
    """The part of a producer's `--report` that counts."""

    sent: int
    accepted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A Job and its pods, as a pass sees them."""

    state: Literal["absent", "suspended", "running", "succeeded", "failed"] = "absent"
    started_at: datetime | None = None
    finished_at: datetime | None = None
    sent: int = 0
    accepted: int = 0
    reported: int = 0
    """How many pods have reported."""
    silent: tuple[str, ...] = ()
    """One sentence for each pod that ended without a report or does not start."""
    message: str = ""
    """The reason that Kubernetes gives for a failed Job."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will be sent."""
        return self.state in ("succeeded", "failed")


def observed(job: Manifest, pods: Iterable[Manifest]) -> Run:
    """Read a Job and its pods. A retried index counts with all its pods: each has sent events."""
    said = [_last_words(pod) for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))]
    reports = [word for word in said if isinstance(word, Report)]
    status = job.get("status") or {}
    state, ended_at, message = _ending(job, status.get("conditions") or [])
    started = status.get("startTime")
    silent = [word for word in said if isinstance(word, str)]
    wanted = job["spec"].get("completions", 1)
    if ended_at and len(reports) + len(silent) < wanted:  # gone with their node, or by hand
        silent.append(f"only {len(reports)} of {wanted} reports were read: the other pods are gone")
    return Run(
        state=state,
        started_at=instant(started) if started else None,
        finished_at=ended_at,
        sent=sum(report.sent for report in reports),
        accepted=sum(report.accepted for report in reports),
        reported=len(reports),
        silent=tuple(silent),
        message=message,
    )


def _ending(
    job: Manifest, conditions: Sequence[Any]
) -> tuple[Literal["suspended", "running", "succeeded", "failed"], datetime | None, str]:
    for condition in conditions:
        if condition["status"] == "True" and condition["type"] in ("Complete", "Failed"):
            ended_at = instant(condition["lastTransitionTime"])
            if condition["type"] == "Complete":
                return "succeeded", ended_at, ""
            return "failed", ended_at, str(condition.get("message", ""))
    return ("suspended" if job["spec"].get("suspend") else "running"), None, ""


def _last_words(pod: Manifest) -> Report | str | None:
    """Return a pod's report, a sentence about one that has none, None while it runs."""
    name = pod["metadata"]["name"]
    for container in (pod.get("status") or {}).get("containerStatuses") or []:
        state = container.get("state") or {}
        if ended := state.get("terminated"):
            return _report(str(ended.get("message", ""))) or _without_report(name, ended)
        waiting = state.get("waiting") or {}
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            return f"pod {name} does not start: {waiting['reason']}: {waiting.get('message', '')}".strip(": ")
    return None


def _report(text: str) -> Report | None:
    try:
        return Report.model_validate_json(text)
    except ValidationError:
        return None


def _without_report(name: str, ended: Manifest) -> str:
    said = " ".join(str(ended.get("message", "")).split())[-300:] or ended.get("reason", "no reason known")
    return f"pod {name} ended with exit code {ended.get('exitCode')} and without a report: {said}"
