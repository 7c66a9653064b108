"""One version: every file and the installed package state that of pyproject.toml."""

import re
import shutil
from importlib.metadata import version
from pathlib import Path

import pytest

from release.version import ROOT, disagreements, mentions, source_version, write_version


def test_every_file_states_the_version_of_pyproject() -> None:
    assert disagreements() == []
    stated = mentions()
    assert len(stated["helm/signals/Chart.yaml"]) == 2  # of the chart and of the application
    assert {"pyproject.toml", "docker-compose.yml", "Dockerfile"} < set(stated)


def test_installed_package_has_the_version_of_pyproject() -> None:
    assert version("customer-signals-copilot") == source_version()


def test_newest_release_of_the_changelog_is_this_version() -> None:
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert next(heading for heading in headings if heading != "Unreleased") == source_version()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the files that state the version."""
    for name in mentions():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_new_version_is_written_everywhere(tree: Path) -> None:
    before = mentions(tree)
    assert set(write_version("7.8.9", tree)) == set(before)
    assert source_version(tree) == "7.8.9"
    assert mentions(tree) == {name: ["7.8.9"] * len(stated) for name, stated in before.items()}
    assert write_version("7.8.9", tree) == []


def test_outdated_file_is_named(tree: Path) -> None:
    chart = tree / "helm/signals/Chart.yaml"
    chart.write_text(chart.read_text().replace("appVersion: ", "appVersion: 9.9.9 # "))
    assert disagreements(tree) == ["helm/signals/Chart.yaml"]
