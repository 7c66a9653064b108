"""The whole product, once for all clients, and the clients' own environments from their locks."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.peers.environments import cache
from tests.support.node import fetching_alone, locked_node
from tests.support.product import Product, open_product

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
WITHIN_S = 500  # of one program, on a busy machine


@pytest.fixture(scope="package")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Servers, Ray, both APIs and all actors."""
    with open_product(tmp_path_factory.mktemp("product")) as product:
        yield product


@dataclass(frozen=True, slots=True)
class Clients:
    """How to run the programs: Python with its packages, and Node with a folder that holds its own."""

    python: Path
    node: Path
    node_folder: Path

    def start(self, program: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a program."""
        script = PROGRAMS / program
        if script.suffix == ".mjs":  # Node looks for packages beside the script
            script = Path(shutil.copy(script, self.node_folder))
        command = [str(self.node if script.suffix == ".mjs" else self.python), str(script), *arguments]
        variables = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "TMPDIR")}
        return subprocess.Popen(
            command,
            env={**variables, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, program: str, *arguments: str, **environment: str) -> str:
        """Run a program to its end; return what it printed."""
        return finish(self.start(program, *arguments, **environment))


def finish(program: subprocess.Popen[str], within_s: float = WITHIN_S) -> str:
    """Wait for the end of a program, which must succeed; return what it printed."""
    with program:
        try:
            printed, errors = program.communicate(timeout=within_s)
        finally:
            program.kill()
    assert program.returncode == 0, errors[-2000:]
    return printed


@pytest.fixture(scope="package")
def clients() -> Clients:
    """The clients at their locked versions; fetched once, then from the cache."""
    lock = (HERE / "package-lock.json").read_bytes()
    folder = cache() / "clients" / f"node-{hashlib.sha256(lock).hexdigest()[:12]}"
    with fetching_alone():
        node = locked_node()
        if not (folder / ".ready").exists():
            folder.mkdir(parents=True, exist_ok=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, folder)
            node.run_npm(folder, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev")
            (folder / ".ready").touch()
    return Clients(node.python, node.program, folder)
