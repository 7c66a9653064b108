"""The chart installed in a namespace, and its operator as a process with the pod's variables and rights."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from signals.local.processes.ports import free_port
from tests.k8s.control_plane import conditions
from tests.k8s.control_plane.api import Api, Object
from tests.k8s.control_plane.control_plane import CHART, ControlPlane
from tests.k8s.control_plane.fake_node import FakeNodes, Outcome
from tests.k8s.control_plane.fake_ray import Answer, FakeRay
from tests.k8s.control_plane.gateway import Gateway
from tests.k8s.control_plane.process import BIN, kubeconfig_of
from tests.k8s.control_plane.specs import Change, changed, stack
from tests.support.waiting import until

RELEASE: Final = "demo"
CHECKS: Final = ("postgres", "kafka", "opensearch", "topics", "schema")
SECRETS: Final = {
    "postgres": {"DATABASE_URL": "postgresql://signals:secret@postgres.example.com/signals"},
    "opensearch": {"OPENSEARCH_URL": "https://opensearch.example.com:9200"},
}
READY_WITHIN_S: Final = 90.0
"""Ten seconds on a quiet machine; KubeRay looks again every 2 s, the operator every 3 s."""


def report(**failed: tuple[str, str, str]) -> str:
    """A report of `signals preflight`: all checks pass except those given as (reason, message, variable)."""
    rows = []
    for check in CHECKS:
        reason, message, variable = failed.get(check, ("Ok", f"{check} is well", None))
        rows.append(
            {
                "check": check,
                "ok": check not in failed,
                "reason": reason,
                "message": message,
                "variable": variable,
            }
        )
    return json.dumps(rows)


WELL: Final = Outcome(message=report())


@dataclass(slots=True, kw_only=True)
class Installed:
    """One release and its operator; every test has its own."""

    cluster: ControlPlane
    nodes: FakeNodes
    ray: FakeRay
    gate: Gateway
    namespace: str
    process: subprocess.Popen[bytes] | None = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.cluster.folder / "log" / f"operator-{self.namespace}.log"

    @property
    def api(self) -> Api:
        """The API server, with all rights."""
        return self.cluster.api

    def helm(self, verb: str, change: Change, *options: str) -> None:
        """Install or upgrade the release with the smallest stack, changed."""
        values = self.cluster.folder / f"{self.namespace}.yaml"
        manifest = changed(stack(RELEASE), change)
        values.write_text(yaml.safe_dump({"stack": {"spec": manifest["spec"]}}))
        where = ("-n", self.namespace, "-f", str(values))
        self.cluster.run("helm", verb, RELEASE, str(CHART), *where, *options)

    def start(self) -> None:
        """Run the container of the chart's Deployment as a process: its command, variables and account."""
        deployment = self.api.get("deployments", f"{RELEASE}-operator", self.namespace)
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        kubeconfig = kubeconfig_of(self.cluster, self.namespace, pod["serviceAccountName"], self.gate.url)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.cluster.folder),
            "KUBECONFIG": str(kubeconfig),
            "HTTP_PROXY": self.ray.proxy,  # stands in for the cluster's DNS and Services
            "NO_PROXY": "127.0.0.1",
            **{entry["name"]: self._value(entry) for entry in container["env"]},
            "SIGNALS_OPERATOR_LISTEN": "127.0.0.1",
            "SIGNALS_OPERATOR_HEALTH_PORT": str(free_port()),
            "SIGNALS_OPERATOR_METRICS_PORT": str(free_port()),
        }
        program, *arguments = container["command"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [BIN / program, *arguments], env=environment, stdout=log, stderr=subprocess.STDOUT
            )

    def _value(self, entry: Mapping[str, Any]) -> str:
        fields = {"metadata.namespace": self.namespace, "metadata.name": f"{RELEASE}-operator-0"}
        source = entry.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        return fields[source] if source else str(entry["value"])

    def kill(self) -> None:
        """Kill the operator, as a failing node does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stack(self) -> Object:
        """The custom resource as it is."""
        return self.api.get("signalsstacks", RELEASE, self.namespace)

    def change(self, change: Change) -> None:
        """Set fields of the stack; None removes one."""
        patch = changed({}, change)
        self.api.merge("signalsstacks", RELEASE, patch, self.namespace)

    def child(self, plural: str, name: str = RELEASE) -> Object:
        """One object that the operator made."""
        return self.api.get(plural, name, self.namespace)

    def until_condition(
        self, kind: str, status: str | None, *, reason: str | None = None, within_s: float = READY_WITHIN_S
    ) -> str:
        """Wait until the condition has this value for the present spec; return its message."""

        def holds() -> bool:
            found = self.stack()
            if found.get("status", {}).get("observedGeneration") != found["metadata"]["generation"]:
                return False
            said = conditions.condition(found, kind), conditions.reason(found, kind)
            return said == (status, reason or said[1])

        try:
            until(holds, within_s=within_s, every_s=0.2)
        except TimeoutError as error:
            tail = "\n".join(self.log.read_text().splitlines()[-15:])
            said = yaml.safe_dump(self.stack().get("status"))
            raise AssertionError(f"{kind} is not {status}/{reason}:\n{said}\n{tail}") from error
        return conditions.message(self.stack(), kind)

    def until_ready(self) -> None:
        """Wait until the stack serves the present spec."""
        self.until_condition("Ready", "True")

    def consumers(self, **states: str) -> None:
        """Set core-api's readiness: every consumer runs except the given ones."""
        actors = {"incident-engine-0": "running", "indexer-0": "running", "ai-worker-0": "running"}
        actors |= {name.replace("_", "-"): state for name, state in states.items()}
        body = {
            "dependencies": [{"name": name, "state": "ok"} for name in ("postgresql", "kafka", "opensearch")],
            "actors": [{"name": name, "state": state, "lag": 0} for name, state in actors.items()],
        }
        host = f"{RELEASE}-core.{self.namespace}.svc"
        self.ray.pages[host, "/readyz"] = Answer(body=body)


@contextmanager
def installed(
    cluster: ControlPlane, nodes: FakeNodes, ray: FakeRay, gate: Gateway, namespace: str
) -> Iterator[Installed]:
    """A namespace with Secrets in which all checks will pass; nothing is installed yet."""
    for name, data in SECRETS.items():
        cluster.api.create("secrets", {"metadata": {"name": name}, "stringData": data}, namespace)
    nodes.decide(namespace, "preflight", WELL)
    release = Installed(cluster=cluster, nodes=nodes, ray=ray, gate=gate, namespace=namespace)
    release.consumers()
    yield release
    release.kill()
    cluster.api.delete_all("signalsstacks", namespace)
    cluster.api.delete_all("rayservices", namespace)
