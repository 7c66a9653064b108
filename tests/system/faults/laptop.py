"""A product that `signals up` has started from a clone of its own, whose files other code may replace."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from signals.local.environment import read_env_file
from tests.support.releases import Code, install
from tests.support.waiting import until
from tests.system.faults.server_contents import Servers
from tests.system.faults.watched_stack import WatchedStack

UP_WITHIN_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Laptop:
    """One stack. With a `clone` its commands and processes run that code, else the present one."""

    root: Path
    clone: Path | None = None

    @property
    def stack(self) -> WatchedStack:
        """The stack and its commands."""
        settings = {"PYTHONPATH": str(self.clone)} if self.clone else {}
        return WatchedStack(root=self.root, settings=settings)

    def up(self, *options: str) -> str:
        """Run `signals up` until all is ready; on a starved machine a second call goes on where one ended."""
        return until(lambda: self._up_once(*options), within_s=UP_WITHIN_S)

    def _up_once(self, *options: str) -> str:
        done = self.stack.run("up", *options)
        print(done.stdout, done.stderr)
        return done.stdout if done.returncode == 0 else ""

    def install(self, code: Code) -> None:
        """Put other code in the place of the clone's."""
        assert self.clone is not None
        install(code, self.clone)

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that `signals up` has written."""
        return read_env_file(self.root / "env")

    @property
    def servers(self) -> Servers:
        """The servers as the checker reaches them."""
        return self.stack.stage().servers
