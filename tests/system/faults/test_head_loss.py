"""Ray's head node is lost on a laptop; the watchdog of `signals up` starts it again by itself."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import psutil
import pytest
from pydantic import SecretStr

from signals.local import watchdog
from signals.local.environment import read_env_file
from signals.local.folder import StackFolder
from signals.local.processes.ports import free_port
from signals.local.processes.process import ChildProcess
from signals.local.processes.server_watch import NAME as WATCHDOG
from signals.local.ray_head import ray_process
from signals.settings import KafkaSettings, OpenSearchSettings, PostgresSettings
from tests.support.product import sender_of
from tests.support.waiting import until
from tests.system.faults.processes import kill, product_processes
from tests.system.faults.server_contents import Servers
from tests.system.faults.table import FaultRow
from tests.system.faults.trial import Stage, trial

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]

KEPT: Final = ("PATH", "HOME", "SIGNALS_CACHE_DIR")


def command(*words: str, root: Path) -> str:
    """Run one command of `signals` on the stack below `root`; return its output."""
    tool = Path(sys.executable).parent / "signals"
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    done = subprocess.run(
        [tool, *words, f"--folder={root}"], env=kept, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a stack that `signals up` has started."""
    root = tmp_path_factory.mktemp("laptop") / ".signals"
    try:
        command("up", f"--http-port={free_port()}", root=root)
        yield root
    finally:
        command("down", root=root)


def stage_on(root: Path) -> Stage:
    """Trials on the stack as its user reaches it; no model is configured."""
    known = read_env_file(root / "env")
    url = SecretStr(known["DATABASE_URL"])
    servers = Servers(
        kafka=KafkaSettings(kafka_brokers=known["KAFKA_BROKERS"]),
        postgres=PostgresSettings(database_url=url, pg_sslmode="disable"),
        opensearch=OpenSearchSettings(opensearch_url=known["OPENSEARCH_URL"]),
    )
    node = ray_process(StackFolder(root=root))
    return Stage(
        servers=servers,
        project=lambda name: sender_of(name, known["INGEST_API_URL"], servers.postgres),
        processes=lambda: product_processes(node.pid or 0),
        summarizes=False,
    )


def pid_in_node(root: Path, program: str) -> int:
    """Return the process of the node that runs a program."""
    holder = ray_process(StackFolder(root=root)).pid
    assert holder is not None, "the node has died"
    (found,) = [p.pid for p in psutil.Process(holder).children(recursive=True) if p.name() == program]
    return found


def watchdog_of(root: Path) -> ChildProcess:
    """The stack's watchdog."""
    folder = StackFolder(root=root)
    return ChildProcess(name=WATCHDOG, pid_path=folder.pid_path(WATCHDOG), log_path=folder.log_path(WATCHDOG))


@pytest.mark.parametrize("program", ["gcs_server", "raylet"])
def test_lost_head_node_starts_again_without_hands(
    root: Path, fault_row: Callable[[str], FaultRow], program: str
) -> None:
    row = fault_row(f"SIGKILL of Ray's head node: {program}")
    former = ray_process(StackFolder(root=root)).pid
    assert former is not None
    with trial(stage_on(root), row, seed=45) as running:
        running.recovered()
        watching = watchdog_of(root)
        watching.suspend()  # so that the death is still there to be reported
        kill(pid_in_node(root, program))
        running.injected()
        until(lambda: watchdog.died(root) == ["ray"])
        said = command("status", root=root)
        watching.resume()
        assert said.startswith("Died: ray; starts again by itself.")
        running.healed()
        until(lambda: ray_process(StackFolder(root=root)).pid not in (None, former), within_s=300)
        print(f"{program} killed: recovered after {running.recovered(within_s=300):.1f} s")
