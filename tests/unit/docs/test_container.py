"""The container files agree with the code, without a Docker engine."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.writers.settings import documented
from signals.local.environment import MODEL_VARIABLES, NOTIFY_VARIABLES, PEOPLE_VARIABLES, VARIABLES
from signals.local.folder import StackFolder, StackState
from signals.local.ray_head import DEFAULT_PORTS, SERVE_CONFIG, RayHead
from signals.local.servers.artifacts import read_lock
from signals.ray_node.variables import IMAGE_LAUNCHER, image_variables
from tests.unit.docs.markdown import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
START_NODE = ROOT / "docker/start-node"
RAY_VARIABLE = re.compile("RAY_[A-Z_]+")
"""Ray writes names of inner tuning in lower case; those may differ."""
APP_SERVICES = ("prepare", "app", "loadgen", "replay")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The Compose file."""
    parsed = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert isinstance(parsed, dict)
    return parsed


def _environment(compose: dict[str, Any], service: str) -> dict[str, str]:
    environment = compose["services"][service]["environment"]
    assert isinstance(environment, dict)
    return environment


def test_app_gets_the_variables_of_the_local_stack(compose: dict[str, Any]) -> None:
    connections = {name for names in VARIABLES.values() for name in names}
    expected = connections | {*MODEL_VARIABLES, *NOTIFY_VARIABLES, *PEOPLE_VARIABLES}
    expected |= {"CORE_API_URL", "READ_API_KEY", "ADMIN_API_KEY"}
    assert set(_environment(compose, "app")) == set(_environment(compose, "prepare")) == expected


@pytest.mark.parametrize("service", APP_SERVICES)
def test_only_documented_variables_are_set_and_as_text(compose: dict[str, Any], service: str) -> None:
    environment = _environment(compose, service)
    assert set(environment) <= set(documented())
    assert all(isinstance(value, str) for value in environment.values())


def test_images_are_pinned_to_a_release(compose: dict[str, Any]) -> None:
    images = [service["image"] for service in compose["services"].values()]
    images += re.findall(r"^ARG PYTHON_IMAGE=(.+)$", DOCKERFILE, re.MULTILINE)
    tags = [image.partition(":")[2] for image in images]
    assert [tag for tag in tags if not re.search(r"\d+\.\d+|\d{4}-\d\d-\d\dT", tag)] == []


@pytest.mark.parametrize(
    ("service", "lock", "artifact"),
    [
        ("kafka", "kafka", r"/kafka-server/([\d.]+)/"),
        ("opensearch", "opensearch", r"/opensearch/([\d.]+)/"),
        ("postgres", "postgres", r"-linux-amd64/(\d+\.\d+)"),
    ],
)
def test_servers_have_the_versions_of_the_local_stack(
    compose: dict[str, Any], service: str, lock: str, artifact: str
) -> None:
    paths = " ".join(item.path for item in read_lock(lock))
    version = re.search(artifact, paths)
    assert version
    assert compose["services"][service]["image"].endswith(f":{version[1]}")


def test_published_ports_are_on_loopback_only(compose: dict[str, Any]) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_dependencies_exist_and_are_healthy_or_done(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for service in services.values():
        for name, wait in service.get("depends_on", {}).items():
            healthy = wait["condition"] == "service_healthy"
            assert "healthcheck" in services[name] if healthy else name == "prepare"
    mounted = {
        volume.partition(":")[0] for service in services.values() for volume in service.get("volumes", ())
    }
    assert mounted == set(compose["volumes"])


def _local_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[tuple[str, ...], dict[str, str]]:
    """How the local stack starts Ray: arguments and variables, without what belongs to one stack only."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.setattr("sys.platform", "linux")
    head = RayHead(
        folder=StackFolder(root=tmp_path), state=StackState(data="", password="", ports=dict(DEFAULT_PORTS))
    )
    command = head._command({})
    places = (str(head.temp), str(tmp_path))
    ports = {str(port) for port in DEFAULT_PORTS.values()}
    shared = {
        name: value
        for name, value in command.env.items()
        if RAY_VARIABLE.fullmatch(name) and value not in ports and not any(place in value for place in places)
    }
    return tuple(command.argv), shared


def test_image_sets_ray_as_the_local_stack_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, local = _local_command(tmp_path, monkeypatch)
    del local["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"]  # a container's node listens on the container's address
    image = {name: value for name, value in image_variables().items() if RAY_VARIABLE.fullmatch(name)}
    assert image == local | {"RAY_SERVE_HAPROXY_BINARY_PATH": IMAGE_LAUNCHER}


def test_dockerfile_sets_the_variables_of_the_image() -> None:
    final_stage = DOCKERFILE.rpartition("\nFROM ")[2].replace("\\\n", " ")
    variables = re.findall(r"^ENV (.+)$", final_stage, re.MULTILINE)
    set_here = dict(word.split("=", 1) for word in shlex.split(variables[0]))
    expected = image_variables()
    assert {name: set_here.get(name) for name in expected} == expected
    assert {name for name in set_here if name.startswith("RAY_")} <= set(expected)


def test_node_starts_ray_as_the_local_stack_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments, _ = _local_command(tmp_path, monkeypatch)
    places = ("port=", "--node-ip-address=", "--temp-dir=", "--dashboard-host=")
    expected = {a for a in arguments if a.startswith("--") and not any(place in a for place in places)}
    started = START_NODE.read_text().replace("\\\n", " ").partition("exec ")[2]
    assert expected | {"--block"} == {
        a for a in shlex.split(started) if a.startswith("--") and "port=" not in a
    }


def test_start_script_is_executable_shell() -> None:
    assert os.access(START_NODE, os.X_OK)
    subprocess.run(["sh", "-n", START_NODE], check=True)


def test_image_opens_the_host_of_the_serve_configuration() -> None:
    pattern, replacement = re.findall(r"sed 's/(.+)/(.+)/' serve_apps", DOCKERFILE)[0]
    changed, count = re.subn(pattern, replacement, SERVE_CONFIG.read_text())
    assert count == 1
    assert yaml.safe_load(changed)["http_options"]["host"] == "0.0.0.0"


def test_copied_paths_exist_and_are_in_the_build_context() -> None:
    copied = re.findall(r"^COPY (?!--from)(?:--\S+ )?(.+) \S+$", DOCKERFILE, re.MULTILINE)
    sources = [source.rstrip("/") for line in copied for source in line.split()]
    context = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert [s for s in sources if not any(s == c or s.startswith(f"{c}/") for c in context)] == []


def test_image_runs_as_an_ordinary_user() -> None:
    final_stage = DOCKERFILE.rpartition("\nFROM ")[2]
    users = re.findall(r"^USER (.+)$", final_stage, re.MULTILINE)
    assert users == ["10001:10001"]  # a number: Kubernetes cannot tell that a name is not root
    assert f"useradd --uid {users[0].partition(':')[0]} --home-dir /tmp " in final_stage
