"""A local stack of the present code, reached as its users reach it: by commands and HTTP."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import psycopg

from tests.system.upgrade.capture import http_json

BIN: Final = Path(sys.executable).parent
INHERITED: Final = (
    "PATH",
    "HOME",
    "LANG",
    "SIGNALS_CACHE_DIR",
    "XDG_CACHE_HOME",
    "PG_BINDIR",
    "SIGNALS_MAVEN_MIRROR",
)
"""Variables that the commands inherit from this process; the stack itself is a newcomer's."""


class LocalStack:
    """Its commands, its database, its readers' answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._base = {name: os.environ[name] for name in INHERITED if name in os.environ}

    @property
    def environment(self) -> dict[str, str]:
        """The variables that `signals up` has written."""
        script = "set -a; . .signals/env; set +a; exec env -0"
        shown = subprocess.run(
            ["sh", "-c", script], cwd=self.folder, env=self._base, capture_output=True, check=True
        )
        pairs = (entry.partition("=") for entry in shown.stdout.decode().split("\0") if entry)
        return {name: value for name, _, value in pairs}

    def run(self, tool: str, *arguments: str, key: str | None = None) -> str:
        """Run one of the product's commands in the stack's folder; return its standard output."""
        variables = dict(self._base)
        if tool != "signals":
            variables = self.environment | ({"PROJECT_API_KEY": key} if key else {})
        done = subprocess.run(
            [BIN / tool, *arguments],
            cwd=self.folder,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise SystemExit(
                f"{tool} {' '.join(arguments)} ended with {done.returncode}: {done.stdout}{done.stderr}"
            )
        return done.stdout

    def signals(self, *arguments: str) -> str:
        """Run `signals`."""
        return self.run("signals", *arguments)

    def database(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Connect to the stack's PostgreSQL; every statement is a transaction of its own."""
        return psycopg.connect(self.environment["DATABASE_URL"], autocommit=True)

    def get(self, path: str, key: str, **query: str | int) -> Any:
        """Ask core-api."""
        return http_json(f"{self.environment['CORE_API_URL']}{path}?{urlencode(query)}", key)


@contextmanager
def new_stack() -> Iterator[LocalStack]:
    """A stack in a folder of its own; at the end nothing of it runs or is left."""
    with tempfile.TemporaryDirectory(prefix="fixture-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the servers' account, when root runs this, must come in
        stack = LocalStack(folder)
        try:
            yield stack
        finally:
            print(stack.signals("stack", "reset", "--yes"))
