"""All objects of a spec except the Jobs and the RayService, which have an order."""

from dataclasses import dataclass

from k8s.operator.cluster import (
    DISRUPTION_BUDGET,
    NETWORK_POLICY,
    PROMETHEUS_RULE,
    SERVICE,
    SERVICE_MONITOR,
    Manifest,
    ResourceKind,
)
from k8s.operator.manifests.monitoring import prometheus_rule, service_monitor
from k8s.operator.manifests.naming import Stack
from k8s.operator.manifests.protection import disruption_budget, network_policy
from k8s.operator.manifests.services import api_services, metrics_service
from k8s.operator.stack_types import SignalsStackSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One object that should match `wanted`, or be absent when None."""

    kind: ResourceKind
    name: str
    wanted: Manifest | None


def dependents(stack: Stack, spec: SignalsStackSpec, ray_cluster: str | None) -> list[Slot]:
    """Return the objects around the Ray pods; `ray_cluster` is the RayCluster that serves now."""
    monitored = spec.monitoring.service_monitor
    slots = [
        Slot(kind=SERVICE, name=s["metadata"]["name"], wanted=s)
        for s in api_services(stack, spec, ray_cluster)
    ]
    return [
        *slots,
        Slot(
            kind=DISRUPTION_BUDGET,
            name=f"{stack.name}-workers",
            wanted=disruption_budget(stack, spec, ray_cluster),
        ),
        Slot(kind=NETWORK_POLICY, name=f"{stack.name}-ray", wanted=network_policy(stack, spec)),
        Slot(
            kind=SERVICE,
            name=f"{stack.name}-metrics",
            wanted=metrics_service(stack) if monitored else None,
        ),
        Slot(kind=SERVICE_MONITOR, name=stack.name, wanted=service_monitor(stack) if monitored else None),
        Slot(
            kind=PROMETHEUS_RULE,
            name=stack.name,
            wanted=prometheus_rule(stack) if spec.monitoring.prometheus_rule else None,
        ),
    ]
