"""A product that `signals up` has started, as on its user's laptop, and the clone whose code it runs."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from signals.local.environment import read_env_file
from signals.local.folder import StackFolder
from signals.local.ray_head import ray_process
from signals.settings import KafkaSettings, OpenSearchSettings, PostgresSettings
from tests.support.product import sender_of
from tests.support.releases import Code, files_of
from tests.support.waiting import until
from tests.system.faults.processes import product_processes
from tests.system.faults.server_contents import Servers
from tests.system.faults.trial import Stage

KEPT: Final = ("PATH", "HOME", "SIGNALS_CACHE_DIR")

UP_WITHIN_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Laptop:
    """One stack. With a `clone` its commands and processes run that code, else the present one."""

    root: Path
    clone: Path | None = None

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run one command of `signals` on the stack."""
        tool = Path(sys.executable).parent / "signals"
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        ours = {"PYTHONPATH": str(self.clone)} if self.clone else {}
        return subprocess.run(
            [tool, *words, f"--folder={self.root}"], env=kept | ours, capture_output=True, text=True
        )

    def command(self, *words: str) -> str:
        """Run one command that must succeed; return its output."""
        done = self.run(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def up(self, *options: str) -> str:
        """Run `signals up` until all is ready; on a starved machine a second call goes on where one ended."""
        return until(lambda: self._up_once(*options), within_s=UP_WITHIN_S)

    def _up_once(self, *options: str) -> str:
        done = self.run("up", *options)
        print(done.stdout, done.stderr)
        return done.stdout if done.returncode == 0 else ""

    def install(self, code: Code) -> None:
        """Put other code in the place of the clone's, file by file, as `git checkout` does."""
        assert self.clone is not None
        for name, content in code.items():
            path = self.clone / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_bytes() != content:
                path.write_bytes(content)
        for name in files_of(self.clone).keys() - code.keys():
            (self.clone / name).unlink()

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that `signals up` has written."""
        return read_env_file(self.root / "env")

    @property
    def servers(self) -> Servers:
        """The servers as the checker reaches them."""
        known = self.environment
        url = SecretStr(known["DATABASE_URL"])
        return Servers(
            kafka=KafkaSettings(kafka_brokers=known["KAFKA_BROKERS"]),
            postgres=PostgresSettings(database_url=url, pg_sslmode="disable"),
            opensearch=OpenSearchSettings(opensearch_url=known["OPENSEARCH_URL"]),
        )

    def processes(self) -> dict[int, str]:
        """Return the kind of every process of the product, by pid."""
        return product_processes(ray_process(StackFolder(root=self.root)).pid or 0)

    def stage(self) -> Stage:
        """Trials on the stack as its user reaches it; no model is configured."""
        url, servers = self.environment["INGEST_API_URL"], self.servers
        return Stage(
            servers=servers,
            project=lambda name: sender_of(name, url, servers.postgres),
            processes=self.processes,
            summarizes=False,
        )
