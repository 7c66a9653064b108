"""Composes a stack's status from facts and conditions. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from k8s.operator.conditions import instant, timestamp
from k8s.operator.manifests.naming import Stack
from k8s.operator.manifests.ray_service import COMPONENT
from k8s.operator.verdicts import StackFacts


def version_of(image: str) -> str:
    """Return an image's tag, else the beginning of its digest."""
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return tag or digest[: len("sha256:") + 12]


def applied_at(before: Mapping[str, Any], plan: str | None, now: datetime) -> datetime | None:
    """Return the time at which this plan was applied."""
    if plan is None:
        return None
    known = before.get("plan") or {}
    return instant(known["appliedAt"]) if known.get("hash") == plan else now


def waiting_since(before: Mapping[str, Any], plan: str, now: datetime) -> datetime:
    """Return the time since which this plan waits to be applied."""
    known = before.get("waiting") or {}
    return instant(known["since"]) if known.get("plan") == plan else now


def composed(
    stack: Stack, facts: StackFacts, conditions: Sequence[Any], before: Mapping[str, Any], generation: int
) -> dict[str, Any]:
    """Return the whole status."""
    target = version_of(facts.spec.image)
    migrations = before.get("migrations") or {}
    applied = target if facts.prepare.state == "succeeded" else migrations.get("applied")
    serves_target = facts.ray.settled and facts.plan.applied == facts.plan.wanted
    status = {
        "observedGeneration": generation,
        "version": target if serves_target else before.get("version"),
        "endpoints": {
            "ingest": f"http://{stack.ingest}.{stack.namespace}.svc:8000/v1/events",
            "coreApi": f"http://{stack.core}.{stack.namespace}.svc:8000",
        },
        "migrations": _present({"applied": applied, "target": target}),
        "pipeline": _pipeline(stack, facts, before.get("pipeline") or {}),
        "plan": _plan(facts) or before.get("plan"),  # the approved plan outlasts a suspension
        "waiting": _waiting(facts),
        "conditions": list(conditions),
    }
    return _present(status)


def _pipeline(stack: Stack, facts: StackFacts, before: Mapping[str, Any]) -> dict[str, Any]:
    readiness = facts.readiness
    known = readiness is not None and not readiness.error
    selector = ",".join(f"{name}={value}" for name, value in sorted(stack.selector(COMPONENT).items()))
    workers = readiness.engines if readiness and known else before.get("workers", 0)
    lag = readiness.lag if readiness and known else None
    return _present({"workers": workers if facts.ray.exists else 0, "lag": lag, "selector": selector})


def _plan(facts: StackFacts) -> dict[str, Any] | None:
    if facts.ray.plan is None or facts.applied_at is None:
        return None
    return {"hash": facts.ray.plan, "appliedAt": timestamp(facts.applied_at)}


def _waiting(facts: StackFacts) -> dict[str, Any] | None:
    if facts.waiting_since is None:
        return None
    return {"plan": facts.plan.wanted, "since": timestamp(facts.waiting_since)}


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
