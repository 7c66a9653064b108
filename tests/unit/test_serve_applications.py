"""One table says which application answers which paths, on a laptop, in the image and in a cluster."""

import os
import subprocess
import sys
from typing import Any, Final, get_args

import pytest
import yaml

from k8s.operator.manifests.serve_config import serve_config
from serve_apps import app
from signals.errors import SettingsError
from signals.local.ray_head import SERVE_CONFIG
from signals.ray_node.serve_file import read_serve_file
from signals.serve_applications import APPLICATIONS, ConsolePlacement, with_console
from tests.unit.docs.markdown import ROOT
from tests.unit.k8s.specs import MINIMAL, parsed

PLACEMENTS: Final[tuple[ConsolePlacement, ...]] = get_args(ConsolePlacement)
WRITTEN: Final[dict[str, Any]] = yaml.safe_load(SERVE_CONFIG.read_text())


def routes(config: dict[str, Any]) -> dict[str, str | None]:
    """Return the applications of a configuration with the paths that they answer."""
    return {one["name"]: one["route_prefix"] for one in config["applications"]}


def test_file_is_the_configuration_with_the_console_in_core() -> None:
    assert with_console(WRITTEN, "core") == WRITTEN


def test_own_application_answers_below_console() -> None:
    assert routes(with_console(WRITTEN, "own")) == routes(WRITTEN) | {"console": "/console"}


def test_core_learns_that_it_serves_no_pages() -> None:
    args = {
        placement: {one["name"]: one["args"] for one in with_console(WRITTEN, placement)["applications"]}
        for placement in PLACEMENTS
    }
    assert {placement: found["core"] for placement, found in args.items()} == {
        "core": {},
        "own": {"console": "own"},
        "none": {"console": "none"},
    }


def test_written_deployments_stay() -> None:
    counts = [{"name": "core-api", "user_config": {"detectors": 3}}]
    core, *others = [dict(one) for one in WRITTEN["applications"] if one["name"] == "core"]
    changed = with_console({**WRITTEN, "applications": [core | {"deployments": counts}, *others]}, "own")
    found = {one["name"]: one.get("deployments") for one in changed["applications"]}
    assert found["core"] == counts
    assert found["console"] is None


def test_every_row_has_its_builder() -> None:
    assert [row.name for row in APPLICATIONS if not callable(getattr(app, row.name, None))] == []


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_operator_places_the_console_as_a_laptop_does(placement: ConsolePlacement) -> None:
    cluster = yaml.safe_load(serve_config(parsed(MINIMAL | {"console": {"placement": placement}})))
    for one in cluster["applications"]:
        del one["deployments"]
    assert cluster["applications"] == with_console(WRITTEN, placement)["applications"]


def test_image_deploys_the_file_with_the_console_where_the_variable_says() -> None:
    assert "signals.ray_node.serve_file" in (ROOT / "docker/start-node").read_text()
    command = [sys.executable, "-m", "signals.ray_node.serve_file", str(SERVE_CONFIG)]
    environment = {**os.environ, "SIGNALS_CONSOLE": "own"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert yaml.safe_load(done.stdout) == with_console(WRITTEN, "own")


def test_another_place_is_refused_by_the_name_of_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNALS_CONSOLE", "off")
    with pytest.raises(SettingsError, match="SIGNALS_CONSOLE"):
        read_serve_file(SERVE_CONFIG)
