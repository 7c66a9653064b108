"""The product on a real node: installation, upgrade under traffic and faults lose no event.

Ray, KubeRay, kubelet, containers, Services and the servers are real; times are printed (pytest -s).
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import httpx2
import pytest
import yaml
from pydantic import SecretStr

from signals.clients.postgres import open_pool
from signals.domain.access.scopes import Scope
from signals.services.access import provisioning
from signals.settings import KafkaSettings, OpenSearchSettings, PostgresSettings
from tests.k8s.control_plane import conditions
from tests.k8s.control_plane.api import Object
from tests.k8s.control_plane.control_plane import CHART, ControlPlane
from tests.k8s.pods.node import node
from tests.k8s.pods.servers import servers_for_pods
from tests.support.waiting import until
from tests.system.faults.senders import HttpSender
from tests.system.faults.server_contents import Servers
from tests.system.faults.table import FaultRow
from tests.system.faults.trial import Stage, trial

pytestmark = [pytest.mark.pods, pytest.mark.timeout(2400)]
NAMESPACE: Final = "signals"
RELEASE: Final = "demo"
PROJECT: Final = "pods"
READY_WITHIN_S: Final = 900.0
"""85 s beside seven busy engineers (measured); the first minutes of a cold page cache come on top."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """The release on the node, and the servers behind it."""

    cluster: ControlPlane
    variables: Mapping[str, str]

    @property
    def servers(self) -> Servers:
        """The servers as the checker reaches them."""
        url = SecretStr(self.variables["DATABASE_URL"])
        return Servers(
            kafka=KafkaSettings(kafka_brokers=self.variables["KAFKA_BROKERS"]),
            postgres=PostgresSettings(database_url=url, pg_sslmode="disable"),
            opensearch=OpenSearchSettings(opensearch_url=self.variables["OPENSEARCH_URL"]),
        )

    def stack(self) -> Object:
        """The custom resource as it is."""
        return self.cluster.api.get("signalsstacks", RELEASE, NAMESPACE)

    def until_ready(self, image: str) -> None:
        """Wait until this image serves."""

        def serves() -> bool:
            found = self.stack()
            ready = conditions.condition(found, "Ready") == "True"
            return ready and found["status"].get("version") == image.rpartition(":")[2]

        until(serves, within_s=READY_WITHIN_S, every_s=1.0)

    def url(self, service: str) -> str:
        """A Service's own address, which this machine reaches through the node."""
        found = self.cluster.api.get("services", f"{RELEASE}-{service}", NAMESPACE)
        return f"http://{found['spec']['clusterIP']}:8000"

    def key(self, project_id: str, scope: Scope) -> str:
        """A new key of the project, which is made when it does not exist."""
        with open_pool(self.servers.postgres, size=1) as pool:
            provisioning.create_org(pool, "acme", "Acme")
            provisioning.create_project(pool, project_id, org_id="acme", name=project_id)
            return provisioning.issue_key(pool, project_id, scope).text

    def sender(self, project_id: str) -> HttpSender:
        """A client of a project of its own, through the Service."""
        return HttpSender(url=self.url("ingest"), api_key=self.key(project_id, Scope.INGEST))


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The chart on a node, Ready."""
    with node() as cluster, servers_for_pods(tmp_path_factory.mktemp("servers")) as variables:
        release = Deployed(cluster=cluster, variables=variables)
        with timed("helm install until Ready"):
            install(release)
            release.until_ready("localhost/signals:1")
        yield release


def install(release: Deployed) -> None:
    """Secrets, then the chart with the smallest stack."""
    api = release.cluster.api
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    api.create("namespaces", {"metadata": {"name": NAMESPACE, "labels": restricted}})
    for name, variable in (("postgres", "DATABASE_URL"), ("opensearch", "OPENSEARCH_URL")):
        secret = {"metadata": {"name": name}, "stringData": {variable: release.variables[variable]}}
        api.create("secrets", secret, NAMESPACE)
    spec = {
        "postgres": {"secretRef": {"name": "postgres"}, "sslMode": "disable"},
        "kafka": {
            "brokers": [release.variables["KAFKA_BROKERS"]],
            "securityProtocol": "PLAINTEXT",
            "topics": {"partitions": 3, "replicationFactor": 1},
        },
        "opensearch": {"secretRef": {"name": "opensearch"}},
        "pipeline": {"workers": 1},
        "ingest": {"replicas": 1},
        "coreApi": {"replicas": 1},
        "ray": {
            "workers": 1,
            "headResources": {"cpu": "100m", "memory": "2Gi"},
            "workerResources": {"cpu": "200m", "memory": "3Gi"},
        },
    }
    values = release.cluster.folder / "values.yaml"
    image = {"repository": "localhost/signals", "tag": "1", "pullPolicy": "Never"}
    operator = {"secretNames": ["keys"]}
    values.write_text(yaml.safe_dump({"image": image, "operator": operator, "stack": {"spec": spec}}))
    release.cluster.run("helm", "install", RELEASE, str(CHART), "-n", NAMESPACE, "-f", str(values))


def test_both_apis_answer_through_their_services(deployed: Deployed) -> None:
    until(lambda: answers(f"{deployed.url('core')}/readyz", 200), within_s=60)
    until(lambda: answers(f"{deployed.url('ingest')}/v1/events/healthz", 200), within_s=60)


def test_spike_becomes_an_incident_with_its_summary(deployed: Deployed) -> None:
    keys = {scope.value: deployed.key(PROJECT, scope) for scope in (Scope.INGEST, Scope.READ)}
    api = deployed.cluster.api
    api.create("secrets", {"metadata": {"name": "keys"}, "stringData": keys}, NAMESPACE)
    scenario = {
        "apiVersion": "signals.copilot.dev/v1alpha1",
        "kind": "SignalsScenario",
        "metadata": {"name": "spike"},
        "spec": {
            "type": "Loadgen",
            "stackRef": {"name": RELEASE},
            "apiKeyRef": {"name": "keys", "key": Scope.INGEST.value},
            "loadgen": {"mode": "spike_errors", "rate": 10, "duration": "90s"},
            "expect": {
                "incidentWithin": "4m",
                "summaryWithin": "5m",
                "readKeyRef": {"name": "keys", "key": Scope.READ.value},
            },
        },
    }
    with timed("scenario until Verified"):
        api.create("signalsscenarios", scenario, NAMESPACE)
        until(
            lambda: conditions.condition(verdict(deployed), "Verified") not in (None, "Unknown"), within_s=480
        )
    found = verdict(deployed)
    assert conditions.condition(found, "Verified") == "True", found["status"]
    assert found["status"]["accepted"] == found["status"]["sent"] > 0


def test_deleted_worker_pod_is_replaced(deployed: Deployed) -> None:
    row = FaultRow(fault="a worker pod deleted")
    stage = Stage(servers=deployed.servers, project=deployed.sender, summarizes=False)
    with trial(stage, row, seed=61, events_per_s=10.0) as running:
        before = workers(deployed)
        for name in before:
            deployed.cluster.api.delete("pods", name, NAMESPACE)
        running.injected()
        # The old pod goes on serving for a while as it ends: only then is the new one on its own.
        until(lambda: workers(deployed) and not workers(deployed) & before, within_s=600, every_s=1.0)
        seconds = running.recovered(within_s=600)
    print(f"worker pod deleted: a new one counts and indexes {seconds:.0f} s later")


def test_upgrade_under_traffic_loses_and_doubles_nothing(deployed: Deployed) -> None:
    row = FaultRow(fault="an upgrade to a second image")
    stage = Stage(servers=deployed.servers, project=deployed.sender, summarizes=False)
    with trial(stage, row, seed=62, events_per_s=10.0) as running:
        patch = {"spec": {"image": "localhost/signals:2"}}
        with timed("upgrade to a second image"):
            deployed.cluster.api.merge("signalsstacks", RELEASE, patch, NAMESPACE)
            deployed.until_ready("localhost/signals:2")
        running.injected()
        running.recovered(within_s=600)
    print(f"upgrade: {row.acknowledged} events acknowledged meanwhile, {row.lost} lost, {row.double} double")
    images = {
        container["image"]
        for pod in deployed.cluster.api.list("pods", NAMESPACE, labels="ray.io/node-type")
        for container in pod["spec"]["containers"]
        if "deletionTimestamp" not in pod["metadata"]
    }
    assert "localhost/signals:2" in images


def workers(deployed: Deployed) -> set[str]:
    """The pods that carry the product, those that are ending too."""
    found = deployed.cluster.api.list("pods", NAMESPACE, labels="ray.io/node-type=worker")
    return {pod["metadata"]["name"] for pod in found}


def verdict(deployed: Deployed) -> Object:
    """The scenario as it is."""
    return deployed.cluster.api.get("signalsscenarios", "spike", NAMESPACE)


def answers(url: str, status: int) -> bool:
    """Whether a GET is answered so now."""
    try:
        return httpx2.get(url, timeout=5, trust_env=False).status_code == status
    except httpx2.TransportError:
        return False


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long the block took."""
    started = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - started:.0f} s", flush=True)
