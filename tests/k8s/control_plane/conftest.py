"""One control plane with fake nodes for the session; every test has a namespace of its own."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.k8s.control_plane.api import Api
from tests.k8s.control_plane.control_plane import CHART, ControlPlane, control_plane
from tests.k8s.control_plane.fake_node import FakeNodes, fake_nodes
from tests.k8s.control_plane.fake_ray import FakeRay, fake_ray
from tests.k8s.control_plane.gateway import Gateway, gateway
from tests.k8s.control_plane.installed import Installed, installed
from tests.support.waiting import until

CRDS = CHART / "crds"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
"""The API server refuses every pod that does not keep to the strictest standard."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, which `make test` leaves out."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.kubernetes)


@pytest.fixture(scope="session")
def cluster() -> Iterator[ControlPlane]:
    """etcd, API server, controllers and scheduler."""
    with control_plane() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def api(cluster: ControlPlane) -> Api:
    """The API server, with all rights."""
    return cluster.api


@pytest.fixture(scope="session")
def crds(cluster: ControlPlane) -> None:
    """Our custom resource definitions, as the chart ships them and Helm installs them."""
    manager = "--field-manager=helm"
    cluster.run("kubectl", "apply", "--server-side", "--force-conflicts", manager, "-f", str(CRDS))
    wait = ("kubectl", "wait", "--for=condition=Established", "--timeout=10s", "-f", str(CRDS))
    # kubectl takes it for an error that a definition of this instant has no conditions yet
    until(lambda: cluster.run(*wait, check=False).returncode == 0, within_s=60)
    # helm says "no matches for kind" in the instant between established and served
    served = ("kubectl", "get", "signalsstacks,signalsscenarios", "-n", "default")
    until(lambda: cluster.run(*served, check=False).returncode == 0, within_s=60)


@pytest.fixture(scope="session")
def nodes(api: Api) -> Iterator[FakeNodes]:
    """Two nodes that need no containers."""
    with fake_nodes(api) as nodes:
        yield nodes


@pytest.fixture(scope="session")
def ray(cluster: ControlPlane, nodes: FakeNodes) -> Iterator[FakeRay]:
    """Ray's answers in every pod, under the real KubeRay operator."""

    def image_at(address: str) -> str:
        image: str = nodes.pods[address]["spec"]["containers"][0]["image"]
        return image

    with fake_ray(cluster.socket, image_at) as ray:
        cluster.script("up-kuberay.sh", "--use-kubernetes-proxy")
        yield ray


@pytest.fixture
def gate(cluster: ControlPlane) -> Iterator[Gateway]:
    """The gateway between the test's operator and the API server."""
    with gateway(cluster) as gate:
        yield gate


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"test-{uuid4().hex[:8]}"
    api.create("namespaces", {"metadata": {"name": name, "labels": RESTRICTED}})
    yield name
    api.delete("namespaces", name)


@pytest.fixture
def release(
    cluster: ControlPlane, crds: None, nodes: FakeNodes, ray: FakeRay, gate: Gateway, namespace: str
) -> Iterator[Installed]:
    """A namespace with Secrets for the chart, and the means to run its operator."""
    with installed(cluster, nodes, ray, gate, namespace) as release:
        yield release
