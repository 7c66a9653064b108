"""The folder of an earlier release's local stack (`.signals/`) is taken over by this one's commands."""

import json
from pathlib import Path
from typing import Final

import pytest

from signals.local.bring_up import prepare
from signals.local.environment import read_env_file
from signals.local.folder import StackFolder
from tests.system.upgrade.conftest import Run
from tests.system.upgrade.fixtures import Fixture

KEPT_PORTS: Final = ("postgres", "kafka", "opensearch", "http", "ray_dashboard")
"""Those that users connect to; the others are chosen at each start."""


@pytest.fixture
def folder(old: Fixture, tmp_path: Path) -> Path:
    """The state folder as the release left it, its servers stopped."""
    return old.copy_state(tmp_path)


def test_remembered_ports_and_password_are_read(folder: Path) -> None:
    written = json.loads((folder / "state.json").read_text())
    state = StackFolder(root=folder).load()
    assert state is not None
    assert (state.password, state.data) == (written["password"], written["data"])
    assert state.ports == written["ports"]


def test_commands_find_the_stack_stopped(folder: Path, run: Run) -> None:
    shown = run("stack", "status").stdout
    assert shown.count("stopped") == 3
    assert json.loads((folder / "state.json").read_text())["password"] not in shown
    assert run("down").stdout == "Nothing was running.\n"


@pytest.mark.usefixtures("kafka", "opensearch")
def test_up_keeps_issued_keys(folder: Path, run: Run) -> None:
    known = read_env_file(folder / "env")
    assert run("migrate").exit_code == 0
    kept = prepare(known)
    admin = kept.pop("ADMIN_API_KEY")  # a scope that the earlier release did not have
    assert admin.startswith("sig_admin_")
    assert kept == {name: known[name] for name in ("PROJECT_API_KEY", "READ_API_KEY")}


def test_stack_up_takes_the_folder_over(folder: Path, run: Run) -> None:
    before, state = read_env_file(folder / "env"), StackFolder(root=folder).load()
    assert run("stack", "up").exit_code == 0  # with the test's servers as the user's own: none is started
    assert StackFolder(root=folder).names_with_pid() == []
    after, now = read_env_file(folder / "env"), StackFolder(root=folder).load()
    assert before.keys() <= after.keys()
    assert after["READ_API_KEY"] == before["READ_API_KEY"]
    assert state is not None
    assert now is not None
    assert (now.password, now.data) == (state.password, state.data)
    assert {name: now.ports[name] for name in KEPT_PORTS} == {name: state.ports[name] for name in KEPT_PORTS}
