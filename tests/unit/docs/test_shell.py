"""The files around the code that a public project is expected to have: they name what exists, and pin it."""

import re
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.docs.markdown import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
ACTIONS = [*WORKFLOWS, *sorted((ROOT / ".github/actions").rglob("action.yml"))]
PINNED = re.compile(r"^(?:\./\S+|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$")
"""An action of ours, or one by commit with its version beside it: a tag can be moved."""
PAGES = ("CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md")
MAKE = re.compile(r"(?:^|`|run: )make ([a-z][a-z0-9-]*)", re.MULTILINE)


def _parsed(workflow: Path) -> dict[str, Any]:
    parsed = yaml.safe_load(workflow.read_text())
    assert isinstance(parsed, dict)
    return parsed


@pytest.mark.parametrize("path", ACTIONS, ids=lambda path: path.stem)
def test_every_action_is_pinned_to_a_commit(path: Path) -> None:
    used = re.findall(r"uses: (.+)$", path.read_text(), re.MULTILINE)
    assert used
    assert [action for action in used if not PINNED.match(action)] == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_may_only_read_unless_a_job_says_more(workflow: Path) -> None:
    parsed = _parsed(workflow)
    assert parsed["permissions"] == {"contents": "read"}
    jobs = parsed["jobs"].values()
    assert [job for job in jobs if not 0 < job["timeout-minutes"] <= 120] == []
    checkouts = [step for job in jobs for step in job["steps"] if "/checkout@" in step.get("uses", "")]
    assert [step for step in checkouts if step["with"]["persist-credentials"] is not False] == []


def test_checks_run_on_every_python_that_the_package_promises() -> None:
    tested = _parsed(ROOT / ".github/workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert tested == ["3.11", "3.12", "3.13", "3.14"]


def test_named_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = [*ACTIONS, *(ROOT / page for page in PAGES), ROOT / ".github/pull_request_template.md"]
    named = set(chain.from_iterable(MAKE.findall(page.read_text()) for page in pages))
    assert {"lint", "test", "release"} <= named
    assert named <= targets


def test_linked_files_exist() -> None:
    links = [link for page in PAGES for link in re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text())]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_contributing_is_read_in_one_sitting() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 150


def test_hooks_run_the_tools_of_the_virtual_environment() -> None:
    (repository,) = _parsed(ROOT / ".pre-commit-config.yaml")["repos"]
    commands = [hook["entry"].split()[0] for hook in repository["hooks"]]
    assert repository["repo"] == "local"
    assert [command for command in commands if not command.startswith(".venv/bin/")] == []


def test_owned_paths_exist() -> None:
    lines = (ROOT / ".github/CODEOWNERS").read_text().splitlines()
    paths = [line.split()[0] for line in lines if line.startswith("/")]
    assert paths
    assert [path for path in paths if not (ROOT / path.strip("/")).exists()] == []
