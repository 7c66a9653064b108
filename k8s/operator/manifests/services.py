"""The Services in front of both APIs, and the one that Prometheus scrapes."""

from typing import Any, Final

from k8s.operator.cluster import SERVICE, Manifest
from k8s.operator.manifests.naming import Stack, manifest
from k8s.operator.manifests.ray_service import COMPONENT, PORTS
from k8s.operator.stack_types import Exposure, SignalsStackSpec

NO_CLUSTER: Final = "none"  # the name of no RayCluster: no pod matches before one is Ready


def serving_pods(ray_cluster: str | None) -> dict[str, str]:
    """Return the label of the RayCluster that serves; no pod carries it before one is Ready."""
    return {"ray.io/cluster": ray_cluster or NO_CLUSTER}


def api_services(stack: Stack, spec: SignalsStackSpec, ray_cluster: str | None) -> list[Manifest]:
    """Build the Services of both APIs, which lead to the RayCluster that serves.

    During an upgrade the second cluster's pods may be ready before its applications are, so the Services
    move when KubeRay moves its own.
    """
    selector = serving_pods(ray_cluster) | {"ray.io/serve": "true"}
    return [
        _api(stack, stack.ingest, spec.ingest.service, selector),
        _api(stack, stack.core, spec.core_api.service, selector),
    ]


def _api(stack: Stack, name: str, exposure: Exposure, selector: dict[str, str]) -> Manifest:
    ports = [{"name": "http", "port": PORTS["serve"], "protocol": "TCP", "targetPort": PORTS["serve"]}]
    body = {"ports": ports, "selector": selector, "type": exposure.type}
    service = manifest(SERVICE, stack, name, "api", spec=body)
    if exposure.annotations:
        service["metadata"]["annotations"] = dict(sorted(exposure.annotations.items()))
    return service


def metrics_service(stack: Stack) -> Manifest:
    """Build the headless Service through which each Ray pod's metrics are found, ready or not."""
    ports: list[dict[str, Any]] = [{"name": "metrics", "port": PORTS["metrics"], "protocol": "TCP"}]
    body = {
        "clusterIP": "None",
        "ports": ports,
        "publishNotReadyAddresses": True,
        "selector": stack.selector(COMPONENT),
    }
    return manifest(SERVICE, stack, f"{stack.name}-metrics", "metrics", spec=body)
