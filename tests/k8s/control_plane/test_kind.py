"""Manifests and script of `make kind-up`, checked by a real API server without Docker."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.k8s.control_plane.api import Api
from tests.k8s.control_plane.control_plane import CHART, ControlPlane

ROOT = Path(__file__).parents[3]
KIND = ROOT / "k8s" / "kind"
SERVERS = sorted((KIND / "servers").iterdir())
VALUES = CHART / "examples" / "kind.yaml"


KUBECTL = "kubectl --context kind-signals --namespace signals"
STAND_IN = """#!/bin/sh
printf '%s' "${0##*/}" >>"$CALLS"; printf ' %s' "$@" >>"$CALLS"; echo >>"$CALLS"
case "$*" in
"get clusters") echo "$CLUSTERS" ;;
*"get secret signals-keys"*) [ -n "$CLUSTERS" ] ;;
*"get pod"*) echo pod/demo-head ;;
*"keys create --project shop --scope ingest") echo sk_ingest ;;
*"keys create --project shop --scope read") echo sk_read ;;
esac
"""
"""Notes each call; answers what the script asks for."""


def _calls(folder: Path, clusters: str) -> list[str]:
    """The calls of `kind.sh up`, in order, with these existing clusters."""
    for tool in ("docker", "kind", "kubectl", "helm"):
        (folder / tool).write_text(STAND_IN)
        (folder / tool).chmod(0o755)
    calls = folder / "calls"
    calls.write_text("")
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "CALLS": str(calls), "CLUSTERS": clusters}
    subprocess.run(["sh", KIND / "kind.sh", "up"], env=environment, check=True, stdout=subprocess.DEVNULL)
    return calls.read_text().splitlines()


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


def test_stack_scenario_and_script_use_the_same_objects() -> None:
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


def test_script_names_the_missing_tool(tmp_path: Path) -> None:
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


def test_script_builds_loads_and_installs_in_order_and_keeps_the_keys(tmp_path: Path) -> None:
    calls = _calls(tmp_path, "")
    image = f"customer-signals-copilot:{yaml.safe_load((CHART / 'Chart.yaml').read_text())['appVersion']}"
    keys = "--from-literal=ingest=sk_ingest --from-literal=read=sk_read"
    steps = [
        f"docker build --tag {image} .",
        "kind create cluster --config k8s/kind/cluster.yaml",
        f"kind load docker-image --name signals {image}",
        "helm upgrade --install kuberay-operator",
        "kubectl --context kind-signals apply --filename k8s/kind/namespace.yaml",
        f"{KUBECTL} apply --filename k8s/kind/servers/",
        f"{KUBECTL} rollout status statefulset/opensearch",
        "helm upgrade --install signals helm/signals",
        f"{KUBECTL} wait signalsstack/demo --for=condition=Ready",
        f"{KUBECTL} create secret generic signals-keys {keys}",
    ]
    positions = [next(n for n, call in enumerate(calls) if call.startswith(step)) for step in steps]
    assert positions == sorted(positions)


def test_second_run_keeps_the_cluster_and_the_keys(tmp_path: Path) -> None:
    calls = _calls(tmp_path, "signals")
    assert not [call for call in calls if call.startswith("kind create") or "create secret" in call]
    assert [call for call in calls if call.startswith("helm upgrade --install signals")]
