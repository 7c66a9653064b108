"""The servers' accounts: never root, and an ordinary user needs no privilege."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from signals.local.processes.account import ACCOUNT_NAME, account_to_drop_to, can_reach, hand_over
from signals.local.stack import RunningStack

BRING_UP = """
import os, sys
from pathlib import Path
import psutil
from rich.console import Console
from signals.local import stack

root = Path(sys.argv[1])
try:
    running = stack.up(root, environ=os.environ, console=Console(file=sys.stderr))
    users = {psutil.Process(server.process.pid).uids().effective for server in running.servers.values()}
    print(os.geteuid(), sorted(running.started), sorted(users))
finally:
    stack.reset(root)
"""

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to drop from it")


def test_no_server_runs_as_root(servers: RunningStack) -> None:
    pids = [server.process.pid for server in servers.servers.values()]
    users = {psutil.Process(pid).username() for pid in pids}
    assert users == {ACCOUNT_NAME if os.geteuid() == 0 else psutil.Process().username()}


@only_root
def test_private_folder_is_unreachable_and_public_one_is_reachable(tmp_path: Path) -> None:
    account = account_to_drop_to()
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    (private / "inside").mkdir(mode=0o777)
    assert not can_reach(account, private / "inside")
    assert can_reach(account, Path("/usr/bin"))


@only_root
def test_change_of_owner_covers_all_files(tmp_path: Path) -> None:
    account = account_to_drop_to()
    assert account is not None
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "deep" / "file").write_text("x")
    hand_over(account, tmp_path / "data")
    assert {path.stat().st_uid for path in (tmp_path / "data").rglob("*")} == {account.uid}


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that the ordinary user owns."""
    account = account_to_drop_to()
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    hand_over(account, folder)
    yield folder
    shutil.rmtree(folder)


@only_root
def test_ordinary_user_brings_up_all_servers(home: Path, servers: RunningStack) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv (util-linux)")
    account = account_to_drop_to()
    assert account is not None
    assert servers.environment  # they have filled the cache, which the user may read and not write
    drop = ["setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups"]
    if not can_reach(account, Path(sys.executable).resolve()):  # an interpreter in root's private home
        drop += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    repository = Path(__file__).parents[3]
    ran = subprocess.run(
        [*drop, sys.executable, "-c", BRING_UP, str(home / ".signals")],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(repository)}
        | {name: os.environ[name] for name in ("SIGNALS_MAVEN_MIRROR",) if name in os.environ}
        | {"SIGNALS_CACHE_DIR": os.environ.get("SIGNALS_CACHE_DIR", "/var/cache/customer-signals-copilot")},
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout == f"{account.uid} ['kafka', 'opensearch', 'postgres'] [{account.uid}]\n", ran.stderr
