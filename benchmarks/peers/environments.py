"""A virtual environment for each peer, made once from its pinned requirements, outside the repository."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.timing import Program

HERE = Path(__file__).parent
UV = Path(sys.executable).parent / "uv"


def peer(name: str, environment: Mapping[str, str]) -> Program:
    """Return the peer's program, run by its own interpreter."""
    module = f"benchmarks.peers.{name}.program"
    return Program(argv=(str(interpreter(name)), "-m", module), environment=environment)


def interpreter(name: str) -> Path:
    """Return the peer's Python, with exactly its requirements; make the environment when it is not there yet.

    A peer without requirements runs in the product's environment.
    """
    requirements = HERE / name / "requirements.txt"
    if not requirements.exists():
        return Path(sys.executable)
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    folder = _cache() / f"{name}-{digest}"
    ready, python = folder / ".ready", folder / "bin" / "python"
    if not ready.exists():
        _run("venv", "--quiet", "--clear", f"--python={sys.executable}", str(folder))
        _run(
            "pip",
            "install",
            "--quiet",
            f"--python={python}",
            "--no-deps",
            "--requirements",
            str(requirements),
        )
        ready.touch()
    return python


def _cache() -> Path:
    given = os.environ.get("SIGNALS_CACHE_DIR")
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "customer-signals-copilot"
    return (Path(given).expanduser() if given else default) / "bench-peers"


def _run(*arguments: str) -> None:
    done = subprocess.run([str(UV), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"uv {arguments[0]} failed: {done.stderr.strip()[-500:]}")
