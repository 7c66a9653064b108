"""Protection of the Ray pods from node drains and from other pods."""

from typing import Any, Final

from k8s.operator.cluster import DISRUPTION_BUDGET, NETWORK_POLICY, Manifest
from k8s.operator.manifests.naming import Stack, manifest
from k8s.operator.manifests.ray_service import COMPONENT, PORTS
from k8s.operator.manifests.services import serving_pods
from k8s.operator.stack_types import SignalsStackSpec

KUBERAY: Final = {"app.kubernetes.io/name": "kuberay-operator"}  # its chart's label


def disruption_budget(stack: Stack, spec: SignalsStackSpec, ray_cluster: str | None) -> Manifest | None:
    """Build the budget of the serving workers; with one worker it would block drains indefinitely.

    During an upgrade the second cluster's workers must not stand in for those that serve.
    `minAvailable` is a number, because a RayCluster has no scale subresource to take a share of.
    """
    if spec.ray.workers < 2:
        return None
    labels = serving_pods(ray_cluster) | {"ray.io/node-type": "worker"}
    body = {"minAvailable": spec.disruption.min_available, "selector": {"matchLabels": labels}}
    return manifest(DISRUPTION_BUDGET, stack, f"{stack.name}-workers", COMPONENT, spec=body)


def network_policy(stack: Stack, spec: SignalsStackSpec) -> Manifest | None:
    """Build the policy: all pods may call the APIs; only the stack's pods and KubeRay reach other ports."""
    if not spec.network_policy.enabled:
        return None
    own = {"podSelector": {"matchLabels": stack.selector(COMPONENT)}}
    kuberay = {"namespaceSelector": {}, "podSelector": {"matchLabels": KUBERAY}}
    rules: list[dict[str, Any]] = [
        {"from": [own]},
        {"from": [kuberay], "ports": _ports(PORTS["dashboard"])},
        {"ports": _ports(PORTS["serve"])},
    ]
    if spec.monitoring.service_monitor:
        rules.append({"ports": _ports(PORTS["metrics"])})
    body = {
        "ingress": rules,
        "podSelector": {"matchLabels": stack.selector(COMPONENT)},
        "policyTypes": ["Ingress"],
    }
    return manifest(NETWORK_POLICY, stack, f"{stack.name}-ray", COMPONENT, spec=body)


def _ports(number: int) -> list[dict[str, Any]]:
    return [{"port": number, "protocol": "TCP"}]
