"""The chart's release on the node: installed, looked at and changed."""

import time
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import yaml
from pydantic import SecretStr

from signals.clients.postgres import open_pool
from signals.domain.access.scopes import Scope
from signals.services.access import provisioning
from signals.settings import KafkaSettings, OpenSearchSettings, PostgresSettings
from tests.k8s.control_plane import conditions
from tests.k8s.control_plane.api import Object
from tests.k8s.control_plane.control_plane import CHART, ControlPlane
from tests.support.waiting import until
from tests.system.faults.senders import HttpSender
from tests.system.faults.server_contents import Servers
from tests.system.faults.trial import Stage

NAMESPACE: Final = "signals"
RELEASE: Final = "demo"
REPOSITORY: Final = "localhost/signals"
PRESENT: Final = "1"
"""The tag of the image of the code that is tested; 2 has the code of a release after it (rig/images.sh)."""
NEXT: Final = "2"
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

    def stage(self) -> Stage:
        """Trials on the release: nothing looks at its processes, and no model is asked."""
        return Stage(servers=self.servers, project=self.sender, summarizes=False)

    def is_ready(self) -> bool:
        """Whether the operator says so of the present state."""
        return conditions.condition(self.stack(), "Ready") == "True"

    def until_ready(self, tag: str) -> None:
        """Wait until the image of this tag serves."""
        until(
            lambda: self.is_ready() and self.stack()["status"].get("version") == tag,
            within_s=READY_WITHIN_S,
            every_s=1.0,
        )

    def upgrade(self, tag: str) -> None:
        """Name another image, and wait until it serves."""
        patch = {"spec": {"image": f"{REPOSITORY}:{tag}"}}
        self.cluster.api.merge("signalsstacks", RELEASE, patch, NAMESPACE)
        self.until_ready(tag)

    def pods(self, kind: str) -> dict[str, Object]:
        """Return Ray's pods of a kind (head or worker) by uid, those that are ending too."""
        found = self.cluster.api.list("pods", NAMESPACE, labels=f"ray.io/node-type={kind}")
        return {pod["metadata"]["uid"]: pod for pod in found}

    def delete_pods(self, kind: str, *, grace_s: int | None = None) -> Set[str]:
        """Delete Ray's pods of a kind, and return their uids."""
        found = self.pods(kind)
        for pod in found.values():
            self.cluster.api.delete("pods", pod["metadata"]["name"], NAMESPACE, grace_s=grace_s)
        return found.keys()

    def is_replaced(self, kind: str, before: Set[str]) -> bool:
        """Whether there are pods of the kind, and none of those before."""
        now = self.pods(kind).keys()
        return bool(now) and not now & before

    def all_ready(self) -> bool:
        """Whether the stack and each of Ray's pods are Ready."""
        pods = [*self.pods("head").values(), *self.pods("worker").values()]
        return self.is_ready() and all(conditions.condition(pod, "Ready") == "True" for pod in pods)

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
    image = {"repository": REPOSITORY, "tag": PRESENT, "pullPolicy": "Never"}
    operator = {"secretNames": ["keys"]}
    values.write_text(yaml.safe_dump({"image": image, "operator": operator, "stack": {"spec": spec}}))
    release.cluster.run("helm", "install", RELEASE, str(CHART), "-n", NAMESPACE, "-f", str(values))


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long the block took."""
    started = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - started:.0f} s", flush=True)
