"""What `make kind-up` applies, as far as a real API server can tell without Docker."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.k8s.api import Api
from tests.k8s.conftest import CHART
from tests.k8s.control_plane import ControlPlane

ROOT = Path(__file__).parents[2]
KIND = ROOT / "k8s" / "kind"
SERVERS = sorted((KIND / "servers").iterdir())
VALUES = CHART / "examples" / "kind.yaml"


def _documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def _secrets() -> dict[str, set[str]]:
    found = [one for path in SERVERS for one in _documents(path) if one["kind"] == "Secret"]
    return {one["metadata"]["name"]: set(one["stringData"]) for one in found}


@pytest.mark.parametrize("path", SERVERS, ids=lambda path: path.stem)
def test_servers_are_accepted_where_only_restricted_pods_are(
    cluster: ControlPlane, api: Api, namespace: str, path: Path
) -> None:
    [made] = _documents(KIND / "namespace.yaml")
    labels = dict(made["metadata"]["labels"]) | {"pod-security.kubernetes.io/warn": "restricted"}
    api.merge("namespaces", namespace, {"metadata": {"labels": labels}})
    done = cluster.run("kubectl", "apply", "-n", namespace, "--dry-run=server", "-f", str(path))
    assert done.stderr == ""
    assert f"statefulset.apps/{path.stem} created" in done.stdout


def test_scenario_is_accepted(cluster: ControlPlane, crds: None, namespace: str) -> None:
    done = cluster.run(
        "kubectl", "create", "-n", namespace, "--dry-run=server", "-f", str(KIND / "scenario.yaml")
    )
    assert "signalsscenario.signals.copilot.dev/spike-" in done.stdout


def test_servers_are_those_of_the_compose_file() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for path in SERVERS:
        [workload] = [one for one in _documents(path) if one["kind"] == "StatefulSet"]
        assert workload["spec"]["template"]["spec"]["containers"][0]["image"] == compose[path.stem]["image"]


def test_stack_scenario_and_script_speak_of_the_same_objects() -> None:
    values = yaml.safe_load(VALUES.read_text())
    spec, script = values["stack"]["spec"], (KIND / "kind.sh").read_text()
    assert "DATABASE_URL" in _secrets()[spec["postgres"]["secretRef"]["name"]]
    assert "OPENSEARCH_URL" in _secrets()[spec["opensearch"]["secretRef"]["name"]]
    services = {
        one["metadata"]["name"] for path in SERVERS for one in _documents(path) if one["kind"] == "Service"
    }
    assert {broker.partition(":")[0] for broker in spec["kafka"]["brokers"]} <= services
    [scenario] = _documents(KIND / "scenario.yaml")
    stack, keys = values["stack"]["name"], scenario["spec"]["apiKeyRef"]["name"]
    assert scenario["spec"]["stackRef"]["name"] == stack
    assert scenario["spec"]["expect"]["readKeyRef"]["name"] == keys
    assert values["operator"]["secretNames"] == [keys]  # the operator reads the read key
    assert f"STACK={stack} " in script
    assert f"secret generic {keys} --from-literal=ingest=" in script


def test_script_says_what_is_missing(tmp_path: Path) -> None:
    for tool in ("sh", "dirname", "sed"):
        (tmp_path / tool).symlink_to(Path("/usr/bin") / tool)
    done = subprocess.run(
        ["sh", KIND / "kind.sh", "up"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "docker is missing: https://" in done.stderr
