"""A server of the local stack that cannot listen."""

import sys
from pathlib import Path

import pytest

from signals.local.errors import PortTakenError
from signals.local.processes.ports import free_port
from signals.local.processes.process import ChildProcess, Command
from signals.local.servers.server import Server

REFUSED = "import errno, os, sys; sys.exit('cannot bind: ' + os.strerror(errno.EADDRINUSE))"


class Refused:
    """A program that ends as one whose port was taken for a moment."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder

    def prepare(self) -> None:
        """Nothing to prepare."""

    def command(self) -> Command:
        return Command(argv=(sys.executable, "-c", REFUSED), env={}, cwd=self._folder)

    def is_ready(self) -> bool:
        return False

    def variables(self) -> dict[str, str]:
        return {}


def test_port_that_was_taken_for_a_moment_is_named(tmp_path: Path) -> None:
    process = ChildProcess(name="kafka", pid_path=tmp_path / "kafka.json", log_path=tmp_path / "kafka.log")
    recipe = Refused(tmp_path)
    with pytest.raises(PortTakenError, match=f"took port {recipe.port} while kafka started"):
        Server(recipe=recipe, process=process).start()
