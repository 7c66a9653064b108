"""Upgrade plans: new pods need approval of the hash of the pods' template."""

from dataclasses import dataclass
from typing import Any, Final

from k8s.operator.cluster import Manifest
from k8s.operator.manifests.ray_service import plan_hash
from k8s.operator.stack_types import Upgrade

PLAN_ANNOTATION: Final = "signals.copilot.dev/plan"
SIZES: Final = ("maxReplicas", "minReplicas", "replicas")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The wanted template, the applied one (None before the first), and whether a person must approve."""

    wanted: str
    applied: str | None
    pending: bool

    def may_apply(self, *, prepared: bool) -> bool:
        """Whether the RayService is applied: sizes and drift at any time, new pods after the Jobs only."""
        return prepared or self.pending or self.applied == self.wanted


def planned(live: Manifest | None, wanted: Manifest, upgrade: Upgrade, last: str | None = None) -> Plan:
    """Compare the RayService with the wanted one; a first start needs no approval.

    `last` is the plan that was in place before the RayService was removed: removing it approves no other.
    """
    hash_wanted = plan_hash(wanted["spec"])
    applied = applied_plan(live)
    return Plan(
        wanted=hash_wanted,
        applied=applied,
        pending=(
            (live is not None or last is not None)
            and (applied or last) != hash_wanted
            and (
                # KubeRay would leave the pods, and the status would be wrong
                (live is not None and upgrade.strategy == "None")
                or (upgrade.approval == "Manual" and upgrade.approved_plan != hash_wanted)
            )
        ),
    )


def applied_plan(live: Manifest | None) -> str | None:
    """Return the hash stored at the last apply of the RayService."""
    annotations = (live or {}).get("metadata", {}).get("annotations") or {}
    found: str | None = annotations.get(PLAN_ANNOTATION)
    return found


def with_plan(wanted: Manifest, plan: Plan, live: Manifest | None) -> Manifest:
    """Return the manifest to apply: while the plan is pending, everything but new pods."""
    if plan.pending and live is not None:
        cluster = _resized(live["spec"]["rayClusterConfig"], wanted["spec"]["rayClusterConfig"])
        spec = wanted["spec"] | {"rayClusterConfig": cluster}
        return _annotated(wanted | {"spec": spec}, plan.applied or "unknown")
    return _annotated(wanted, plan.wanted)


def _annotated(manifest: Manifest, plan: str) -> Manifest:
    metadata = manifest["metadata"]
    annotations = metadata.get("annotations", {}) | {PLAN_ANNOTATION: plan}
    return manifest | {"metadata": metadata | {"annotations": annotations}}


def _resized(cluster: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    [group], [sizes] = cluster["workerGroupSpecs"], wanted["workerGroupSpecs"]
    return cluster | {"workerGroupSpecs": [group | {name: sizes[name] for name in SIZES}]}
