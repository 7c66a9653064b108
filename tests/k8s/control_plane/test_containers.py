"""The Compose file under the real Docker Compose, the Dockerfile under BuildKit's own parser."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.k8s.control_plane.control_plane import RIG, rig_environment, rig_folder

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "Dockerfile"

Finished = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    """Build both, once a machine."""
    subprocess.run([RIG / "build.sh", "docker"], env=rig_environment("none", 0), check=True)


def _compose(path: Path, *command: str) -> Finished:
    program = rig_folder() / "bin" / "docker-compose"
    arguments: list[str | Path] = [program, "--file", path, "--profile", "*", "config", *command]
    return subprocess.run(arguments, env={"PATH": ""}, capture_output=True, text=True, check=False)


def _dockerfile(path: Path) -> Finished:
    program = rig_folder() / "bin" / "dockerfile"
    return subprocess.run([program, path], capture_output=True, text=True, check=False)


def test_compose_resolves_the_file_without_warnings() -> None:
    found = _compose(COMPOSE, "--format", "json")
    assert (found.returncode, found.stderr) == (0, "")
    services: dict[str, Any] = json.loads(found.stdout)["services"]
    assert {"app", "prepare", "postgres", "kafka", "opensearch", "loadgen", "replay", "minio"} == set(
        services
    )
    assert services["app"]["read_only"] is True
    assert {port["host_ip"] for service in services.values() for port in service.get("ports", ())} == {
        "127.0.0.1"
    }


@pytest.mark.parametrize(
    ("right", "wrong", "named"),
    [
        ("healthcheck:", "healthchek:", "healthchek"),
        ("volumes: [kafka:/var", "volumes: [kafak:/var", "kafak"),
        (
            "prepare: {condition: service_completed_successfully}",
            "prepared: {condition: service_started}",
            "prepared",
        ),
    ],
)
def test_compose_refuses_a_file_with_a_mistake(tmp_path: Path, right: str, wrong: str, named: str) -> None:
    text = COMPOSE.read_text()
    assert right in text
    (tmp_path / "docker-compose.yml").write_text(text.replace(right, wrong, 1))
    refused = _compose(tmp_path / "docker-compose.yml", "--quiet")
    assert refused.returncode != 0
    assert named in refused.stderr


def test_buildkit_builds_the_image_configuration_without_warnings() -> None:
    found = _dockerfile(DOCKERFILE)
    assert found.returncode == 0, found.stderr
    document = json.loads(found.stdout)
    assert document["warnings"] == []
    config = document["config"]
    assert (config["User"], config["Entrypoint"], config["WorkingDir"]) == (
        "10001:10001",
        ["/app/start-node"],
        "/app",
    )
    assert "HOME=/tmp" in config["Env"]
    assert len(document["stages"]) == 2


@pytest.mark.parametrize(
    ("right", "wrong", "named"),
    [
        ("COPY --from=build /opt", "COPY --from=bild /opt", "bild"),
        ("USER 10001", "USR 10001", "USR"),
        ("ENTRYPOINT [", "ENTRYPOINT /bin/sh [", "JSONArgsRecommended"),
    ],
)
def test_buildkit_names_a_mistake(tmp_path: Path, right: str, wrong: str, named: str) -> None:
    text = DOCKERFILE.read_text()
    assert right in text
    (tmp_path / "Dockerfile").write_text(text.replace(right, wrong, 1))
    found = _dockerfile(tmp_path / "Dockerfile")
    assert named in found.stdout + found.stderr
