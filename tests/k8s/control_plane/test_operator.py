"""The operator with the chart's rights: it creates all objects, comes to rest, and survives crashes."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, get_args

import pytest
import yaml

from signals.local.processes.ports import free_port
from tests.k8s.control_plane import conditions
from tests.k8s.control_plane.api import Object
from tests.k8s.control_plane.control_plane import ControlPlane
from tests.k8s.control_plane.gateway import Fault, Write, gateway
from tests.k8s.control_plane.installed import RELEASE, Installed
from tests.support.waiting import until

ALWAYS = {
    *("Accepted", "ResolvedRefs", "DependenciesReachable", "Migrated", "TopicsReady"),
    *("ServeReady", "ConsumersReady", "Ready"),
}
CHILDREN = (
    ("rayservices", "demo"),
    ("services", "demo-ingest"),
    ("services", "demo-core"),
    ("poddisruptionbudgets", "demo-workers"),
    ("networkpolicies", "demo-ray"),
)
DRIFT_WITHIN_S = 80.0
"""The operator reconciles every object once a minute."""


def test_installed_stack_becomes_ready_with_all_its_objects(release: Installed) -> None:
    release.helm("install", {})
    release.start()

    release.until_ready()

    found = release.stack()
    said = found["status"]["conditions"]
    assert {entry["type"] for entry in said} == ALWAYS
    assert {entry["observedGeneration"] for entry in said} == {found["metadata"]["generation"]}
    assert found["metadata"].get("finalizers", []) == []
    assert found["status"]["version"] == "1.0.0"
    for plural, name in CHILDREN:
        owner = release.child(plural, name)["metadata"]["ownerReferences"][0]
        assert (owner["uid"], owner["controller"]) == (found["metadata"]["uid"], True), name
    jobs = {
        job["metadata"]["name"].rpartition("-")[0]: job for job in release.api.list("jobs", release.namespace)
    }
    assert set(jobs) == {"demo-preflight", "demo-prepare"}
    assert all(conditions.condition(job, "Complete") == "True" for job in jobs.values())
    assert release.gate.refused == []


@pytest.mark.parametrize("fault", get_args(Fault))
def test_operator_starts_after_hurt_first_answers(release: Installed, fault: Fault) -> None:
    """An API server that is starting, or behind a broken proxy, hurts the first answer to each question."""
    release.helm("install", {})
    release.gate.fault = fault
    release.start()
    process = release.process

    release.until_ready()

    hurt = {part for path in release.gate.hurt for part in path.split("/")}
    assert {"signalsstacks", "signalsscenarios", "leases"} <= hurt
    assert process is not None
    assert process.poll() is None


def test_operator_starts_once_a_refusing_api_server_listens(
    release: Installed, cluster: ControlPlane
) -> None:
    """Until then nothing listens at its address."""
    release.helm("install", {})
    port = free_port()
    release.gate.url = f"http://127.0.0.1:{port}"
    release.start()
    process = release.process
    until(lambda: str(port) in release.log.read_text(), within_s=60)  # it has reported a failed attempt

    with gateway(cluster, port=port):
        release.until_ready()

        assert process is not None
        assert process.poll() is None
        release.kill()


def test_ray_pods_are_guarded_and_end_slowly(release: Installed) -> None:
    release.helm("install", {})
    release.start()
    release.until_ready()

    service = release.child("rayservices")
    cluster = service["spec"]["rayClusterConfig"]
    assert cluster["authOptions"]["mode"] == "token"
    assert "ray.io/initializing-timeout" not in service["metadata"].get("annotations", {})
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        environment = {entry["name"]: entry.get("value") for entry in container["env"]}
        assert pod["terminationGracePeriodSeconds"] > int(
            environment["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"]
        )
        assert not {"DATABASE_URL", "OPENSEARCH_URL"} & set(environment)
        mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
        assert "subPath" not in mounts[environment["SIGNALS_SECRETS_DIR"] or ""]
    assert release.child("poddisruptionbudgets", "demo-workers")["spec"]["minAvailable"] == 1
    open_to_all = [
        port["port"]
        for rule in release.child("networkpolicies", "demo-ray")["spec"]["ingress"]
        if "from" not in rule
        for port in rule["ports"]
    ]
    assert open_to_all == [8000]


def test_services_select_the_serving_pods(release: Installed) -> None:
    release.helm("install", {})
    release.start()
    release.until_ready()

    active = release.child("rayservices")["status"]["activeServiceStatus"]["rayClusterName"]
    workers = release.api.list(
        "pods", release.namespace, labels=f"ray.io/cluster={active},ray.io/node-type=worker"
    )
    addresses = {pod["status"]["podIP"] for pod in workers}
    until(lambda: addresses <= endpoints(release, "demo-ingest") & endpoints(release, "demo-core"))


@pytest.mark.parametrize("shared", [{}, {"type": "ClusterIP"}])
def test_second_pass_writes_nothing(release: Installed, shared: Object) -> None:
    """Not even where another manager shares a field."""
    release.helm("install", {})
    release.start()
    release.until_ready()
    release.kill()
    if shared:
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "demo-ingest"}}
        release.api.apply("services", service | {"spec": shared}, release.namespace)
    before = versions(release)
    assert pass_of_a_new_operator(release) == []
    assert versions(release) == before


def test_default_written_by_another_manager_is_taken_over_once(release: Installed) -> None:
    release.helm("install", {})
    release.start()
    release.until_ready()
    release.kill()
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "demo-ingest"}}
    spelt_out = {"type": "ClusterIP", "sessionAffinity": "None"}
    release.api.apply("services", service | {"spec": spelt_out}, release.namespace)
    assert [write.method for write in pass_of_a_new_operator(release)] == ["PATCH", "PATCH"]
    assert pass_of_a_new_operator(release) == []


def pass_of_a_new_operator(release: Installed) -> list[Write]:
    """The writes of a new operator until its second pass."""
    release.gate.writes.clear()
    release.gate.reads.clear()
    release.start()
    path = f"/apis/ray.io/v1/namespaces/{release.namespace}/rayservices/{RELEASE}"
    until(lambda: release.gate.reads[path] >= 2, within_s=60)
    release.kill()
    return list(release.gate.writes)


def test_operator_killed_after_every_write_still_makes_the_stack_ready(release: Installed) -> None:
    """Each write is the last thing that an operator does: its answer never arrives."""
    release.helm("install", {})
    killed: list[Write] = []

    def kill(write: Write) -> bool:
        killed.append(write)
        assert release.process is not None
        release.process.kill()
        return False

    release.gate.after_write = kill
    until(lambda: survives(release), within_s=240, every_s=0)
    release.gate.after_write = lambda _write: True

    assert conditions.condition(release.stack(), "Ready") == "True"
    assert len(killed) >= len(CHILDREN) + 2, killed  # the children, both Jobs, and each status
    assert len(release.api.list("jobs", release.namespace)) == 2


def test_children_edited_by_hand_are_restored(release: Installed) -> None:
    release.helm("install", {})
    release.start()
    release.until_ready()
    wanted = {(plural, name): release.child(plural, name)["spec"] for plural, name in CHILDREN}
    clusters = {cluster["metadata"]["uid"] for cluster in release.api.list("rayclusters", release.namespace)}
    space = release.namespace

    release.api.delete("networkpolicies", "demo-ray", space)
    release.api.merge("poddisruptionbudgets", "demo-workers", {"spec": {"minAvailable": 0}}, space)
    release.api.merge("services", "demo-ingest", {"spec": {"selector": {"app": "mine"}}}, space)
    release.api.merge("services", "demo-core", {"spec": {"sessionAffinity": "ClientIP"}}, space)
    release.api.merge("rayservices", "demo", {"spec": {"serveConfigV2": "applications: []"}}, space)

    def restored() -> bool:
        found = {(plural, name): release.api.find(plural, name, space) for plural, name in CHILDREN}
        return all(child is not None and child["spec"] == wanted[key] for key, child in found.items())

    until(restored, within_s=DRIFT_WITHIN_S, every_s=0.5)
    now = {cluster["metadata"]["uid"] for cluster in release.api.list("rayclusters", release.namespace)}
    assert now == clusters, "restoring must not cost a second cluster"


def test_scaling_changes_counts_of_consumers_and_no_pod(release: Installed) -> None:
    release.helm("install", {})
    release.start()
    release.until_ready()
    before = release.child("rayservices")["spec"]

    release.cluster.run("kubectl", "-n", release.namespace, "scale", "sstk", RELEASE, "--replicas=5")

    until(lambda: counts(release.child("rayservices")) == {5}, within_s=30)
    after = release.child("rayservices")["spec"]
    assert after | {"serveConfigV2": ""} == before | {"serveConfigV2": ""}
    release.until_ready()


def test_deleting_stack_and_release_leaves_only_the_secrets(release: Installed) -> None:
    release.helm("install", {})
    release.start()
    release.until_ready()

    release.cluster.run("helm", "uninstall", RELEASE, "-n", release.namespace, "--wait")

    settled(lambda: left(release), {"secrets/opensearch", "secrets/postgres"}, within_s=60)


def settled(found: Callable[[], set[str]], wanted: set[str], *, within_s: float) -> None:
    """Wait until nothing is missing or left over; then compare, so that a failure shows the difference."""
    with suppress(TimeoutError):
        until(lambda: found() == wanted, within_s=within_s)
    assert found() == wanted


def survives(release: Installed) -> bool:
    """Run one more operator until it is killed; True when it has nothing left to write."""
    release.start()
    assert release.process is not None
    process = release.process

    def over() -> bool:
        ready = conditions.condition(release.stack(), "Ready") == "True"
        return process.poll() is not None or (ready and is_resting(release))

    until(over, within_s=60, every_s=0.1)
    return process.poll() is None


def is_resting(release: Installed) -> bool:
    """Whether the operator has made two passes over everything since the last write."""
    path = f"/apis/ray.io/v1/namespaces/{release.namespace}/rayservices/{RELEASE}"
    return release.gate.reads[path] >= 2


def endpoints(release: Installed, service: str) -> set[str]:
    """The addresses to which a Service leads now."""
    subsets = release.api.get("endpoints", service, release.namespace).get("subsets", [])
    return {entry["ip"] for subset in subsets for entry in subset.get("addresses", [])}


def versions(release: Installed) -> dict[str, str]:
    """The resourceVersion of the stack and of each child."""
    objects = [release.stack(), *(release.child(plural, name) for plural, name in CHILDREN)]
    objects += release.api.list("jobs", release.namespace)
    return {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in objects}


def counts(service: Object) -> set[int]:
    """How many detectors and indexers the Serve configuration asks for, wherever it says so."""
    found: set[int] = set()

    def search(node: Any) -> None:
        if isinstance(node, dict):
            found.update(value for key, value in node.items() if key in ("detectors", "indexers"))
            for value in node.values():
                search(value)
        elif isinstance(node, list):
            for value in node:
                search(value)

    search(yaml.safe_load(service["spec"]["serveConfigV2"]))
    return found


def left(release: Installed) -> set[str]:
    """Everything of ours, of the chart and of KubeRay in the namespace."""
    plurals = (
        *("deployments", "jobs", "pods", "services", "secrets", "roles", "rolebindings", "signalsstacks"),
        *("poddisruptionbudgets", "networkpolicies", "rayservices", "rayclusters", "leases"),
    )
    return {
        f"{plural}/{item['metadata']['name']}"
        for plural in plurals
        for item in release.api.list(plural, release.namespace)
    }
