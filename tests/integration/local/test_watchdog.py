"""The watchdog makes room for a command that takes the folder's lock, and comes back after it."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from signals.local import watchdog
from signals.local.errors import LocalStackError, NotReadyError
from signals.local.folder import StackFolder
from signals.local.processes.process import ChildProcess, Command


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """The folder of a stack in which something runs."""
    folder = StackFolder(root=tmp_path)
    part = ChildProcess(name="part", pid_path=folder.pid_path("part"), log_path=folder.log_path("part"))
    argv = (sys.executable, "-c", "import time; time.sleep(600)")
    part.start(Command(argv=argv, env=dict(os.environ), cwd=tmp_path))
    yield tmp_path
    watchdog.stop(tmp_path)
    part.stop()


def fail(root: Path, error: type[LocalStackError]) -> None:
    """Let a command fail while the watchdog is away."""
    with watchdog.paused(root):
        assert not watchdog.is_running(root)
        raise error


def test_command_that_fails_leaves_the_watchdog_as_it_was(root: Path) -> None:
    with pytest.raises(LocalStackError):
        fail(root, LocalStackError)
    assert not watchdog.is_running(root)  # a start that failed: nothing is to be started again
    watchdog.start(root)
    with pytest.raises(LocalStackError):
        fail(root, LocalStackError)
    assert watchdog.is_running(root)  # an upgrade that failed: the former code goes on


def test_late_parts_are_watched(root: Path) -> None:
    with pytest.raises(NotReadyError):
        fail(root, NotReadyError)
    assert watchdog.is_running(root)
