"""The product as `signals up` runs it: in the background, with a watchdog that starts dead parts again."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
from pydantic import SecretStr

from signals.local.bring_up import unready
from signals.local.environment import read_env_file
from signals.local.folder import StackFolder
from signals.local.processes.ports import free_port
from signals.local.processes.process import ChildProcess
from signals.local.processes.server_watch import NAME as WATCHDOG
from signals.local.ray_head import ray_process
from signals.local.servers.assembly import SERVERS, processes
from signals.settings import KafkaSettings, OpenSearchSettings, PostgresSettings
from tests.support.product import sender_of
from tests.system.faults.processes import family_of, product_processes
from tests.system.faults.server_contents import Servers
from tests.system.faults.trial import Stage

KEPT: Final = ("PATH", "HOME", "SIGNALS_CACHE_DIR", "XDG_CACHE_HOME", "PG_BINDIR", "SIGNALS_MAVEN_MIRROR")
OF_RAY: Final = ("raylet", "gcs_server")
OTHER: Final = "Ray, the rest"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedStack:
    """A stack in a folder of its own. `settings` are variables of each command besides the user's own."""

    root: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    def command(self, *words: str) -> str:
        """Run one command of `signals` on the stack, which must succeed; return its output."""
        done = self.run(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run one command of `signals` on the stack."""
        tool = Path(sys.executable).parent / "signals"
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        return subprocess.run(
            [tool, *words, f"--folder={self.root}"],
            env=kept | dict(self.settings),
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def node_pid(self) -> int | None:
        """The process that holds the Ray node; None while there is none."""
        return ray_process(StackFolder(root=self.root)).pid

    @property
    def watchdog(self) -> ChildProcess:
        """The process that starts dead parts again."""
        folder = StackFolder(root=self.root)
        return ChildProcess(
            name=WATCHDOG, pid_path=folder.pid_path(WATCHDOG), log_path=folder.log_path(WATCHDOG)
        )

    def server_pids(self) -> dict[str, int]:
        """Return the first process of each server that runs."""
        known = processes(StackFolder(root=self.root))
        return {name: pid for name in SERVERS if (pid := known[name].pid) is not None}

    def product_pids(self) -> dict[int, str]:
        """Return the kind of each process of the product on the Ray node."""
        return product_processes(self.node_pid or 0)

    def all_pids(self) -> dict[int, str]:
        """Return the kind of every process of the stack: the product's, Ray's, the servers', the watchdog."""
        found = {pid: _of_ray(pid) for pid in _members(self.node_pid)}
        found |= self.product_pids()
        for name, pid in self.server_pids().items():
            found |= dict.fromkeys(_members(pid), name)
        return found | dict.fromkeys(_members(self.watchdog.pid), WATCHDOG)

    def unready(self) -> list[str]:
        """Return the parts that are not ready, empty when all are."""
        state = StackFolder(root=self.root).load()
        return ["the stack's state"] if state is None else unready(state.ports["http"])

    def stage(self, *, summarizes: bool = False) -> Stage:
        """Trials on the stack as its user reaches it; `summarizes` once `settings` name a model."""
        known = read_env_file(self.root / "env")
        url = SecretStr(known["DATABASE_URL"])
        servers = Servers(
            kafka=KafkaSettings(kafka_brokers=known["KAFKA_BROKERS"]),
            postgres=PostgresSettings(database_url=url, pg_sslmode="disable"),
            opensearch=OpenSearchSettings(opensearch_url=known["OPENSEARCH_URL"]),
        )
        return Stage(
            servers=servers,
            project=lambda name: sender_of(name, known["INGEST_API_URL"], servers.postgres),
            processes=self.product_pids,
            summarizes=summarizes,
        )


@contextmanager
def open_watched_stack(root: Path, settings: Mapping[str, str] | None = None) -> Iterator[WatchedStack]:
    """Start a stack, its HTTP port free; at the end of the block nothing of it runs."""
    stack = WatchedStack(root=root, settings=settings or {})
    try:
        stack.command("up", f"--http-port={free_port()}")
        yield stack
    finally:
        stack.command("down")


def _members(pid: int | None) -> list[int]:
    try:
        return family_of(pid) if pid else []
    except psutil.NoSuchProcess:
        return []


def _of_ray(pid: int) -> str:
    try:
        name = psutil.Process(pid).name()
    except psutil.NoSuchProcess:
        return OTHER
    return name if name in OF_RAY else OTHER
