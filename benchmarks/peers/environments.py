"""A virtual environment for each peer, made once from its pinned requirements, outside the repository."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.timing import Program

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
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
    return python_with(requirements, "bench-peers", name)


def python_with(requirements: Path, kind: str, name: str, *options: str) -> Path:
    """Return a Python with exactly these requirements, from the cache if they have not changed.

    `options` are for `uv pip install`.
    """
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    folder = cache() / kind / f"{name}-{digest}"
    ready, python = folder / ".ready", folder / "bin" / "python"
    if not ready.exists():
        _run("venv", "--quiet", "--clear", f"--python={sys.executable}", str(folder))
        install = ("pip", "install", "--quiet", f"--python={python}", "--no-deps", *options)
        _run(*install, "--requirements", str(requirements))
        ready.touch()
    return python


def cache() -> Path:
    """Return the folder for what is fetched once."""
    given = os.environ.get("SIGNALS_CACHE_DIR")
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "customer-signals-copilot"
    return Path(given).expanduser() if given else default


def _run(*arguments: str) -> None:
    trusting = (sys.executable, str(ROOT / "requirements" / "system_trust.py"))
    done = subprocess.run([*trusting, str(UV), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"uv {arguments[0]} failed: {done.stderr.strip()[-500:]}")
