"""The chart under the real helm, on a real API server: objects, refusals, rights and leftovers."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.k8s.control_plane.api import Api, Object
from tests.k8s.control_plane.control_plane import CHART, ControlPlane
from tests.k8s.control_plane.fake_node import FakeNodes
from tests.k8s.control_plane.process import BIN, kubeconfig_of
from tests.support.waiting import until

EXAMPLES = sorted((CHART / "examples").glob("*.yaml"))
KIND = CHART / "examples" / "kind.yaml"
EVERYTHING = (
    "deployments,jobs,pods,services,serviceaccounts,configmaps,secrets,roles,rolebindings,leases,"
    "poddisruptionbudgets,networkpolicies,signalsstacks,signalsscenarios"
)
WITH_PODS = {"Deployment", "Job", "Pod"}
OF_THE_NAMESPACE = {"serviceaccount/default", "configmap/kube-root-ca.crt"}

REFUSED: dict[str, tuple[list[str], str]] = {
    "a misspelt value": (["image.tags=1"], "tags"),
    "a misspelt field of the stack": (["stack.spec.kafka.broker=a:9092"], "broker"),
    "a size in words": (["stack.spec.ray.workers=many"], "workers"),
    "an unknown log level": (["operator.logLevel=loud"], "logLevel"),
}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_lint_reports_nothing(cluster: ControlPlane, example: Path) -> None:
    found = cluster.run("helm", "lint", "--strict", str(CHART), "-f", str(example), check=False)

    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_api_server_accepts_every_object_of_an_example(
    cluster: ControlPlane, api: Api, crds: None, namespace: str, example: Path
) -> None:
    manifests = rendered(cluster, namespace, example)

    assert {manifest["kind"] for manifest in manifests} >= {"Deployment", "Role", "SignalsStack"}
    for manifest in manifests:
        group = manifest["apiVersion"].rpartition("/")[0]
        if group != "monitoring.coreos.com":  # the Prometheus operator's, which is not installed here
            api.create(f"{manifest['kind'].lower()}s", manifest, _place(manifest, namespace), dry_run=True)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_pods_of_the_chart_keep_the_restricted_standard(
    cluster: ControlPlane, api: Api, crds: None, namespace: str, example: Path
) -> None:
    mode = "pod-security.kubernetes.io"
    labels = {f"{mode}/enforce": "privileged", f"{mode}/warn": "restricted"}  # a warning instead of a refusal
    api.merge("namespaces", namespace, {"metadata": {"labels": labels}})
    with_pods = [one for one in rendered(cluster, namespace, example) if one["kind"] in WITH_PODS]
    assert {one["kind"] for one in with_pods} == WITH_PODS

    assert dry_run(cluster, namespace, with_pods) == ""

    text = yaml.safe_dump_all(with_pods).replace("runAsNonRoot: true", "runAsNonRoot: false")
    assert "PodSecurity" in dry_run(cluster, namespace, list(yaml.safe_load_all(text)))


def test_upgrade_fails_with_the_message_of_the_violated_rule(
    cluster: ControlPlane, nodes: FakeNodes, namespace: str
) -> None:
    release = ("demo", str(CHART), "-n", namespace, "-f", str(KIND))
    cluster.run("helm", "install", *release)

    refused = cluster.run("helm", "upgrade", *release, "--set", "stack.spec.pipeline.workers=7", check=False)

    assert refused.returncode != 0
    assert "more workers than partitions would idle" in refused.stderr
    cluster.run("helm", "uninstall", "demo", "-n", namespace, "--wait")


@pytest.mark.parametrize(("values", "named"), REFUSED.values(), ids=REFUSED)
def test_wrong_value_is_refused_by_name(cluster: ControlPlane, values: list[str], named: str) -> None:
    given = [word for value in values for word in ("--set", value)]
    found = cluster.run("helm", "template", "demo", str(CHART), "-f", str(KIND), *given, check=False)

    assert found.returncode != 0
    assert named in found.stderr


def test_uninstalling_leaves_only_the_secrets(
    cluster: ControlPlane, api: Api, nodes: FakeNodes, namespace: str
) -> None:
    api.create("secrets", {"metadata": {"name": "signals-postgres"}}, namespace)
    cluster.run("helm", "install", "demo", str(CHART), "-n", namespace, "-f", str(KIND), "--wait")
    assert "deployment.apps/demo-operator" in present(cluster, namespace)

    cluster.run("helm", "uninstall", "demo", "-n", namespace, "--wait")

    until(lambda: present(cluster, namespace) == {"secret/signals-postgres"})
    assert api.find("customresourcedefinitions", "signalsstacks.signals.copilot.dev") is not None


def test_hook_updates_the_definitions_with_its_own_rights(
    cluster: ControlPlane, api: Api, nodes: FakeNodes, crds: None, namespace: str
) -> None:
    """Helm would delete its objects when its pod has ended."""
    name = "signalsscenarios.signals.copilot.dev"
    wanted = api.get("customresourcedefinitions", name)["spec"]
    outdated = {"spec": {"versions": [wanted["versions"][0] | {"additionalPrinterColumns": []}]}}
    api.merge("customresourcedefinitions", name, outdated)
    for manifest in rendered(cluster, namespace, KIND, "--show-only", "templates/crds-upgrade.yaml"):
        if manifest["kind"] != "Job":
            api.create(f"{manifest['kind'].lower()}s", manifest, _place(manifest, namespace))

    apply_definitions(kubeconfig_of(cluster, namespace, "demo-crds"))

    assert api.get("customresourcedefinitions", name)["spec"] == wanted
    assert not may(cluster, namespace, "demo-crds", "delete", f"customresourcedefinitions/{name}")
    assert not may(cluster, namespace, "demo-crds", "patch", "customresourcedefinitions/pods.example.com")
    api.delete("clusterrolebindings", f"{namespace}-demo-crds")
    api.delete("clusterroles", f"{namespace}-demo-crds")


def test_upgrade_with_its_hook_goes_through(
    cluster: ControlPlane, api: Api, nodes: FakeNodes, namespace: str
) -> None:
    release = ("demo", str(CHART), "-n", namespace, "-f", str(KIND), "--wait")
    cluster.run("helm", "install", *release)

    cluster.run("helm", "upgrade", *release, "--set", "stack.spec.pipeline.workers=2")

    assert api.get("signalsstacks", "demo", namespace)["spec"]["pipeline"]["workers"] == 2
    assert api.list("jobs", namespace) == []
    cluster.run("helm", "uninstall", "demo", "-n", namespace, "--wait")


def test_chart_with_other_definitions_installs_after_an_upgrade(
    cluster: ControlPlane, api: Api, nodes: FakeNodes, namespace: str, tmp_path: Path
) -> None:
    """Helm 4 applies crds/ server-side, and would meet a conflict if the hook owned their fields."""
    newer = tmp_path / "signals"
    shutil.copytree(CHART, newer)
    definition = newer / "crds" / "signalsstacks.yaml"
    definition.write_text(
        definition.read_text().replace("The wanted state of a stack.", "What shall run.", 1)
    )
    release = ("-n", namespace, "-f", str(KIND), "--wait")
    cluster.run("helm", "install", "demo", str(CHART), *release)
    cluster.run("helm", "upgrade", "demo", str(CHART), *release)
    apply_definitions(cluster.kubeconfig)
    cluster.run("helm", "uninstall", "demo", "-n", namespace, "--wait")

    cluster.run("helm", "install", "demo", str(newer), *release)

    stored = api.get("customresourcedefinitions", "signalsstacks.signals.copilot.dev")
    assert "What shall run." in str(stored)
    apply_definitions(cluster.kubeconfig)
    cluster.run("helm", "uninstall", "demo", "-n", namespace, "--wait")


def test_operator_reads_only_the_named_secrets(
    cluster: ControlPlane, nodes: FakeNodes, namespace: str
) -> None:
    cluster.run("helm", "install", "demo", str(CHART), "-n", namespace, "-f", str(KIND), "--wait")

    named = [may(cluster, namespace, "demo-operator", "get", f"secrets/{name}") for name in NAMED]
    assert named == [True] * len(NAMED)
    for verb, what in (("list", "secrets"), ("get", "secrets/other"), ("create", "pods"), ("get", "nodes")):
        assert not may(cluster, namespace, "demo-operator", verb, what), (verb, what)
    role = cluster.api.get("roles", "demo-operator", namespace)
    assert "*" not in {word for rule in role["rules"] for words in rule.values() for word in words}
    cluster.run("helm", "uninstall", "demo", "-n", namespace, "--wait")


NAMED = ("signals-postgres", "signals-opensearch", "signals-keys")


def apply_definitions(kubeconfig: Path) -> None:
    """Run the hook's own program: fake nodes run no containers."""
    environment = os.environ | {"KUBECONFIG": str(kubeconfig)}
    subprocess.run([BIN / "python", "-m", "k8s.operator.crd_upgrade"], env=environment, check=True)


def rendered(cluster: ControlPlane, namespace: str, values: Path, *more: str) -> list[Object]:
    """The manifests that the chart renders from these values."""
    capabilities = ("--api-versions", "ray.io/v1/RayService", "--is-upgrade")
    command = (
        "helm",
        "template",
        "demo",
        str(CHART),
        "-n",
        namespace,
        "-f",
        str(values),
        *capabilities,
        *more,
    )
    return [manifest for manifest in yaml.safe_load_all(cluster.run(*command).stdout) if manifest]


def dry_run(cluster: ControlPlane, namespace: str, manifests: list[Object]) -> str:
    """Warnings and refusals of the API server; empty when every manifest is accepted."""
    done = subprocess.run(
        ["kubectl", "apply", "--server-side", "--dry-run=server", "-n", namespace, "-f", "-"],
        input=yaml.safe_dump_all(manifests),
        env=cluster.environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def present(cluster: ControlPlane, namespace: str) -> set[str]:
    """The objects of every kind that operator or chart create, without a namespace's default ones."""
    found = cluster.run("kubectl", "get", EVERYTHING, "-n", namespace, "-o", "name").stdout
    return set(found.split()) - OF_THE_NAMESPACE


def may(cluster: ControlPlane, namespace: str, account: str, verb: str, what: str) -> bool:
    """Whether the ServiceAccount has the right."""
    user = f"--as=system:serviceaccount:{namespace}:{account}"
    found = cluster.run("kubectl", "auth", "can-i", verb, what, "-n", namespace, user, check=False)
    return found.stdout.strip() == "yes"


def _place(manifest: Object, namespace: str) -> str | None:
    return None if manifest["kind"].startswith("Cluster") else namespace
