"""Rendered manifests and refused values of the chart, by the real helm without a cluster."""

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.k8s.control_plane.control_plane import CHART, RIG, rig_environment

EXAMPLES = sorted((CHART / "examples").glob("*.yaml"), key=lambda path: path.name)
GOLDEN = Path(__file__).parent / "golden"
KIND = str(CHART / "examples" / "kind.yaml")

Helm = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def helm() -> Helm:
    """The real helm, which needs no cluster for these."""
    environment = rig_environment("none", 0)
    subprocess.run([RIG / "build.sh", "tools"], env=environment, check=True)

    def run(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["helm", *arguments], env=environment, check=check, capture_output=True, text=True
        )

    return run


def _template(helm: Helm, *arguments: str) -> list[dict[str, Any]]:
    text = helm("template", "signals", str(CHART), "--namespace", "signals", *arguments).stdout
    return [document for document in yaml.safe_load_all(text) if document]


def _one(documents: Sequence[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    [found] = [one for one in documents if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_passes_lint_and_renders_the_golden_manifests(helm: Helm, example: Path) -> None:
    helm("lint", "--strict", str(CHART), "--values", str(example))
    golden = GOLDEN / example.name
    arguments = ("template", "signals", str(CHART), "--namespace", "signals", "--values", str(example))
    rendered = helm(*arguments).stdout
    command = f"helm {' '.join(arguments)} >{golden}"
    assert rendered == (golden.read_text() if golden.exists() else ""), f"if that is wanted: {command}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--set", "stack.create=false"],
        ["--values", KIND, "--set", "stack.name=shop"],
        ["--values", KIND, "--set", "image.tag=1.2.3"],
        ["--values", KIND, "--set", "image.digest=sha256:" + 64 * "a"],
        ["--values", KIND, "--set", "stack.spec.image=registry.example.com/signals:0.9.0"],
        ["--values", KIND, "--set", "stack.spec.ai.enabled=false"],
        ["--values", KIND, "--set-json", 'operator.tolerations=[{"operator": "Exists"}]'],
        ["--values", KIND, "--set-json", 'operator.resources.limits={"cpu": 1, "memory": "1Gi"}'],
    ],
    ids=" ".join,
)
def test_values_are_taken(helm: Helm, arguments: list[str]) -> None:
    helm("lint", "--strict", str(CHART), *arguments)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "missing properties 'postgres', 'kafka', 'opensearch'"),
        (["--values", KIND, "--set", "stack.spec.kafka.brokrs=x"], "additional properties 'brokrs'"),
        (["--values", KIND, "--set", "operator.replicas=2"], "additional properties 'replicas'"),
        (["--values", KIND, "--set", "crd.upgrade=false"], "additional properties 'crd'"),
        (["--values", KIND, "--set", "image.tag=a b"], "/image/tag"),
        (["--values", KIND, "--set", "image.digest=sha256:1"], "/image/digest"),
        (["--values", KIND, "--set", "image.pullPolicy=Sometimes"], "/image/pullPolicy"),
        (["--values", KIND, "--set", "stack.name=9lives"], "/stack/name"),
        (["--values", KIND, "--set", "stack.spec.kafka.brokers=null"], "/stack/spec/kafka/brokers"),
        (["--values", KIND, "--set", "stack.spec.kafka.brokers=host:9092"], "/stack/spec/kafka/brokers"),
        (["--values", KIND, "--set", "stack.spec.postgres.sslMode=on"], "/stack/spec/postgres/sslMode"),
        (["--values", KIND, "--set", "stack.spec.postgres.secretRef.name="], "secretRef/name"),
        (["--values", KIND, "--set", "stack.spec.pipeline.workers=0"], "/stack/spec/pipeline/workers"),
        (["--values", KIND, "--set", "stack.spec.ingest.service.type=NodePort"], "service/type"),
        (["--values", KIND, "--set", "stack.spec.ray.headResources.cpu=many"], "headResources/cpu"),
        (["--values", KIND, "--set", "operator.logLevel=loud"], "/operator/logLevel"),
        (["--values", KIND, "--set-string", "crds.upgrade=no"], "/crds/upgrade"),
    ],
    ids=lambda value: " ".join(value[2:] or ["nothing"]) if isinstance(value, list) else "",
)
def test_values_are_refused_by_name(helm: Helm, arguments: list[str], named: str) -> None:
    refused = helm("lint", "--strict", str(CHART), *arguments, check=False)
    assert refused.returncode != 0
    assert named in refused.stdout + refused.stderr


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("image.tag=latest", "image.tag: latest may be another image tomorrow; name a version"),
        (
            r"operator.podLabels.app\.kubernetes\.io/name=x",
            "operator.podLabels: app.kubernetes.io/name is the chart's own",
        ),
    ],
)
def test_values_are_refused_with_a_sentence(helm: Helm, value: str, sentence: str) -> None:
    refused = helm("template", "signals", str(CHART), "--values", KIND, "--set", value, check=False)
    assert refused.returncode != 0
    assert sentence in refused.stderr


def test_operator_may_read_the_secrets_of_its_stack_by_name_and_list_none(helm: Helm) -> None:
    role = _one(
        _template(helm, "--values", str(CHART / "examples/bring-your-own.yaml")), "Role", "signals-operator"
    )
    [rule] = [rule for rule in role["rules"] if "secrets" in rule["resources"]]
    assert rule["verbs"] == ["get"]
    assert rule["resourceNames"] == [
        *("internal-ca", "signals-kafka", "signals-model", "signals-opensearch"),
        *("signals-postgres", "signals-redis", "signals-scenario-keys"),
    ]


def test_no_rule_has_a_wildcard_and_only_the_hook_reaches_beyond_the_namespace(helm: Helm) -> None:
    documents = _template(helm, "--values", KIND)
    roles = [one for one in documents if one["kind"] in ("Role", "ClusterRole")]
    assert {one["kind"] for one in roles} == {"Role", "ClusterRole"}
    assert "*" not in {
        word for role in roles for rule in role["rules"] for words in rule.values() for word in words
    }
    [wide] = [role for role in roles if role["kind"] == "ClusterRole"]
    assert wide["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert [rule["verbs"] for rule in wide["rules"]] == [["get", "patch"]]
    names = {path.stem for path in (CHART / "crds").iterdir()}
    assert {name.partition(".")[0] for name in wide["rules"][0]["resourceNames"]} == names


def test_own_service_account_takes_the_place_of_account_and_role(helm: Helm) -> None:
    documents = _template(
        helm, "--values", KIND, "--set", "operator.serviceAccountName=mine,crds.upgrade=false"
    )
    assert not {"ServiceAccount", "Role", "RoleBinding"} & {one["kind"] for one in documents}
    pod = _one(documents, "Deployment", "signals-operator")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "mine"


def test_stack_has_the_image_of_the_operator_unless_it_names_its_own(helm: Helm) -> None:
    digest = "sha256:" + 64 * "a"
    arguments = ("--values", KIND, "--set", f"image.digest={digest}")
    documents = _template(helm, *arguments)
    pod = _one(documents, "Deployment", "signals-operator")["spec"]["template"]["spec"]
    image = pod["containers"][0]["image"]
    assert image == f"customer-signals-copilot@{digest}"
    assert _one(documents, "SignalsStack", "demo")["spec"]["image"] == image
    behind = _template(helm, *arguments, "--set", "stack.spec.image=customer-signals-copilot:0.0.9")
    assert _one(behind, "SignalsStack", "demo")["spec"]["image"] == "customer-signals-copilot:0.0.9"


class _Stack(BaseHTTPRequestHandler):
    """Both APIs of a stack; `ready` is core-api's readiness."""

    ready = HTTPStatus.OK

    def do_GET(self) -> None:
        """core-api's /readyz."""
        self._answer(self.ready if self.path == "/readyz" else HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """ingest-api, without a key."""
        self._answer(HTTPStatus.UNAUTHORIZED if self.path == "/v1/events" else HTTPStatus.NOT_FOUND)

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def _answer(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.mark.parametrize("ready", [HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE])
def test_helm_test_succeeds_when_both_apis_answer_and_says_which_does_not(
    helm: Helm, monkeypatch: pytest.MonkeyPatch, ready: HTTPStatus
) -> None:
    pod = _one(_template(helm, "--values", KIND), "Pod", "signals-test")
    [container] = pod["spec"]["containers"]
    *command, script = container["command"]
    assert command == ["python", "-c"]
    monkeypatch.setattr(_Stack, "ready", ready)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Stack) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here = re.sub(r"http://demo-(core|ingest):8000", f"http://127.0.0.1:{server.server_port}", script)
        assert here != script
        impatient = here.replace("time.monotonic() + 120", "time.monotonic()")
        done = subprocess.run([sys.executable, "-c", impatient], capture_output=True, text=True, check=False)
        server.shutdown()
    if ready is HTTPStatus.OK:
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("\n") == 2
    else:
        assert done.returncode == 1
        assert "/readyz answered 503, not 200: kubectl describe signalsstack demo" in done.stderr


def test_package_holds_the_crds_and_no_examples(helm: Helm, tmp_path: Path) -> None:
    helm("package", str(CHART), "--destination", str(tmp_path))
    [package] = tmp_path.iterdir()
    listed = subprocess.run(["tar", "-tf", package], check=True, capture_output=True, text=True).stdout
    assert {f"signals/crds/{path.name}" for path in (CHART / "crds").iterdir()} <= set(listed.split())
    assert "examples" not in listed
    assert helm("show", "crds", str(package)).stdout.count("kind: CustomResourceDefinition\n") == 2
