"""A server of the local stack: what to prepare, what to run, how to know it is ready."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from signals.local.errors import LocalStackError, NotReadyError, PortTakenError
from signals.local.processes.account import ServerAccount
from signals.local.processes.ports import is_listening
from signals.local.processes.process import ChildProcess, Command
from signals.ray_node.variables import HOST

QUIET_START_S = 120.0
"""Without a new line in its log. A cold JVM on a busy two-core machine took 20 s to be ready (measured)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPlace:
    """Where one server keeps its data and whom it runs as."""

    data: Path
    account: ServerAccount | None


class Recipe(Protocol):
    """How to run one kind of server, which listens on `port`; holds no process."""

    @property
    def port(self) -> int:
        """Its TCP port on the loopback address."""

    def prepare(self) -> None:
        """Write configuration and, the first time, the empty data folder."""

    def command(self) -> Command:
        """The server's command line."""

    def is_ready(self) -> bool:
        """Whether clients are being answered."""

    def variables(self) -> dict[str, str]:
        """The environment variables of requirements R33 to R35 for a client of this server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A recipe and the process that follows it."""

    recipe: Recipe
    process: ChildProcess
    tie_to_parent: bool = False

    def start(self) -> None:
        """Prepare, start and wait until it answers.

        Raises:
            LocalStackError: it died.
            NotReadyError: it is late, and goes on running.
        """
        self.recipe.prepare()
        self.process.start(self.recipe.command(), tie_to_parent=self.tie_to_parent)
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Return once clients are answered, by this server: another one may have taken the port meanwhile.

        Its start is then complete.

        Raises:
            PortTakenError: it died, because another program listens on its port, or did.
            LocalStackError: it died.
            NotReadyError: it is late, and goes on running.
        """
        port = self.recipe.port
        try:
            self.process.wait_until_ready(
                lambda: self.recipe.is_ready() and self.process.is_listening_on(port), QUIET_START_S
            )
        except NotReadyError:
            raise
        except LocalStackError as error:
            was_taken = os.strerror(errno.EADDRINUSE) in str(error)  # by a program that has left it since
            if not (was_taken or is_listening(HOST, port)):
                raise
            raise PortTakenError(
                f"another program took port {port} while {self.process.name} started: start again"
            ) from error
        self.process.mark_started()

    def stop(self) -> None:
        """Stop it in an orderly way; data stays."""
        self.process.stop()

    def kill(self) -> None:
        """Crash it; data stays."""
        self.process.kill()

    def suspend(self) -> None:
        """Freeze it: ports stay open, nothing answers."""
        self.process.suspend()

    def resume(self) -> None:
        """Thaw it."""
        self.process.resume()
