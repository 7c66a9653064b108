"""The RayService: a head without work, workers with all of it.

Its `rayClusterConfig` is stable to the byte: any change of it is a second whole cluster, so nothing that
changes often (counts, secrets' contents, the operator's own version, time) may enter it.
"""

from typing import Any, Final

from k8s.operator.cluster import RAY_SERVICE, Manifest
from k8s.operator.manifests.configuration import connection_variables
from k8s.operator.manifests.naming import Stack, manifest, short_hash
from k8s.operator.manifests.pods import container, pod, resources
from k8s.operator.manifests.serve_config import serve_config
from k8s.operator.stack_types import RedisStore, ResourceAmounts, SignalsStackSpec

RAY_VERSION: Final = "2.60.0"  # Ray's version in this operator's image; KubeRay chooses its probes by it
COMPONENT: Final = "ray"
OBJECT_STORE_BYTES: Final = "80000000"  # guess: events never go through it
GRACE_S: Final = 90  # guess; the drain below it, and the pause before it, must fit in
DRAIN_S: Final = 75
PAUSE_S: Final = 10  # until every node has taken an ending pod out of its Services
OLD_CLUSTER_S: Final = 120  # an operator that is being restarted still moves the Services over in time

# The image carries Ray's and HAProxy's settings; these differ between a container and a cluster.
RAY_VARIABLES: Final = {
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": str(DRAIN_S),
    "RAY_LOGGING_CONFIG_ENCODING": "JSON",
    "RAY_USAGE_STATS_ENABLED": "0",
}
PORTS: Final = {"gcs": 6379, "dashboard": 8265, "client": 10001, "metrics": 8080, "serve": 8000}


def ray_service(stack: Stack, spec: SignalsStackSpec, live: Manifest | None = None) -> Manifest:
    """Build the RayService, named like the stack, in place of the one that is `live`."""
    body = {
        "excludeHeadPodFromServeSvc": True,
        "rayClusterConfig": ray_cluster(stack, spec, _ray_version(live, spec.image)),
        "rayClusterDeletionDelaySeconds": OLD_CLUSTER_S,
        "serveConfigV2": serve_config(spec),
        "upgradeStrategy": {"type": spec.upgrade.strategy},
    }
    return manifest(RAY_SERVICE, stack, stack.name, COMPONENT, spec=body)


def _ray_version(live: Manifest | None, image: str) -> str:
    """Return the live Ray version while the image stays, so that an operator with another moves no pod."""
    cluster = ((live or {}).get("spec") or {}).get("rayClusterConfig") or {}
    head = (cluster.get("headGroupSpec") or {}).get("template") or {}
    images = [container["image"] for container in (head.get("spec") or {}).get("containers") or []]
    return str(cluster.get("rayVersion") or RAY_VERSION) if image in images else RAY_VERSION


def ray_cluster(stack: Stack, spec: SignalsStackSpec, ray_version: str) -> dict[str, Any]:
    """Build the RayCluster's spec; token authentication is always on."""
    workers = spec.ray.workers
    cluster: dict[str, Any] = {
        "authOptions": {"mode": "token"},
        "headGroupSpec": {
            "rayStartParams": _start_params() | {"dashboard-host": "0.0.0.0", "num-cpus": "0"},  # noqa: S104
            "template": _template(stack, spec, "ray-head", spec.ray.head_resources),
        },
        "rayVersion": ray_version,
        "workerGroupSpecs": [
            {
                "groupName": "workers",
                "maxReplicas": workers,
                "minReplicas": workers,
                "rayStartParams": _start_params(),
                "replicas": workers,
                "template": _template(stack, spec, "ray-worker", spec.ray.worker_resources),
            }
        ],
    }
    if store := spec.ray.gcs_fault_tolerance:
        cluster["gcsFaultToleranceOptions"] = _fault_tolerance(store)
    return cluster


def plan_hash(spec: dict[str, Any]) -> str:
    """Return the hash of those parts of a RayService's `spec` that replace pods; worker counts do not."""
    cluster = dict(spec["rayClusterConfig"])
    sizes = ("maxReplicas", "minReplicas", "replicas")
    cluster["workerGroupSpecs"] = [
        {name: value for name, value in group.items() if name not in sizes}
        for group in cluster["workerGroupSpecs"]
    ]
    return short_hash(cluster)


def _start_params() -> dict[str, str]:
    return {"object-store-memory": OBJECT_STORE_BYTES}


def _template(stack: Stack, spec: SignalsStackSpec, name: str, size: ResourceAmounts) -> dict[str, Any]:
    ports = [{"containerPort": number, "name": port} for port, number in PORTS.items()]
    ray = container(
        spec,
        name,
        connection_variables(spec) | RAY_VARIABLES,
        resources(size.cpu, size.memory),
        lifecycle={"preStop": {"exec": {"command": ["sleep", str(PAUSE_S)]}}},
        ports=ports if name == "ray-head" else ports[-2:],
    )
    return {
        "metadata": {"labels": stack.labels(COMPONENT)},
        "spec": pod(spec, ray, terminationGracePeriodSeconds=GRACE_S),
    }


def _fault_tolerance(store: RedisStore) -> dict[str, Any]:
    options: dict[str, Any] = {"redisAddress": store.address}
    if ref := store.secret_ref:
        key = {"name": ref.name, "key": ref.key or "REDIS_PASSWORD"}
        options["redisPassword"] = {"valueFrom": {"secretKeyRef": key}}
    return options
