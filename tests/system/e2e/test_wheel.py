"""Without a clone: an ordinary user installs the wheel and runs `signals demo` in an empty folder."""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from signals.local.folder import StackFolder
from signals.local.processes.account import account_to_drop_to, can_reach, hand_over
from signals.local.ray_head import ray_folder
from signals.local.servers.assembly import CACHE_OF_ROOT
from signals.local.stack import RunningStack

ROOT = Path(__file__).parents[3]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
KEPT = ("PATH", "TMPDIR", "SIGNALS_MAVEN_MIRROR", "SIGNALS_CACHE_DIR", "PG_BINDIR")
"""Of our environment; everything else might lead the user back to the source tree."""

pytestmark = pytest.mark.timeout(1800)


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """An ordinary user with the wheel installed, and the folder in which they work."""

    bin: Path
    folder: Path
    environment: Mapping[str, str]
    drop: tuple[str, ...]

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run an installed command in the folder, with the stack's variables once there are any."""
        given = f"set -a; ! test -e .signals/env || . .signals/env; exec {self.bin / command} " + '"$@"'
        return subprocess.run(
            [*self.drop, "sh", "-c", given, "sh", *arguments],
            env=dict(self.environment),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def newcomer(servers: RunningStack) -> Iterator[Newcomer]:
    """Install the wheel as its page on a package index says, with the versions of our lock."""
    assert servers.environment  # they have filled the cache, which the user may read and not write
    home = Path(tempfile.mkdtemp(prefix="newcomer-"))
    _install(home)
    account = account_to_drop_to()
    hand_over(account, home)
    drop: tuple[str, ...] = ()
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | {"HOME": str(home)}
    if account is not None:
        drop = ("setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups")
        if not can_reach(account, Path(sys.executable).resolve()):  # an interpreter in root's private home
            drop += ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
        environment.setdefault("SIGNALS_CACHE_DIR", str(CACHE_OF_ROOT))
    else:
        environment["XDG_CACHE_HOME"] = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    newcomer = Newcomer(bin=home / "venv/bin", folder=home / "empty", environment=environment, drop=drop)
    try:
        yield newcomer
    finally:
        newcomer.run("signals", "stack", "reset", "--yes")
        shutil.rmtree(ray_folder(StackFolder(root=newcomer.folder / ".signals")), ignore_errors=True)
        shutil.rmtree(home)


def _install(home: Path) -> None:
    (home / "empty").mkdir()
    tools, python = Path(sys.executable).parent, home / "venv/bin/python"
    build = (tools / "hatchling", "build", "-t", "wheel", "-d", home / "dist")
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    subprocess.run([tools / "uv", "venv", "-q", "--python", sys.executable, home / "venv"], check=True)
    (wheel,) = (home / "dist").iterdir()
    install = (tools / "uv", "pip", "install", "-q", "--python", python, "--link-mode", "copy")
    wanted = ("-c", ROOT / "requirements/dev.lock", f"customer-signals-copilot[local] @ {wheel.as_uri()}")
    if subprocess.run([*install, "--offline", *wanted], check=False, capture_output=True).returncode != 0:
        subprocess.run([*install, *wanted], check=True)  # not all of it lies in uv's cache


def test_demo_works_in_an_empty_folder(newcomer: Newcomer) -> None:
    assert newcomer.run("signals", "--version").stdout.strip() == PYPROJECT["project"]["version"]
    told = newcomer.run("signals", "demo")
    assert told.returncode == 0, told.stdout + told.stderr
    assert "Done: 3000 events became one incident." in told.stdout
    (made,) = newcomer.folder.iterdir()
    assert made.name == ".signals"
    assert made.stat().st_uid == (made.parent.stat().st_uid if newcomer.drop else os.geteuid()) != 0
    replayed = newcomer.run("signals-replay", "drop_signups", "--speed=max")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    listed = newcomer.run("signals", "incidents", "list")
    assert listed.returncode == 0, listed.stderr
    assert "PRICE_MISSING" in listed.stdout
    stopped = newcomer.run("signals", "down")
    assert stopped.stdout == "Stopped ray, postgres, kafka, opensearch.\n", stopped.stderr
