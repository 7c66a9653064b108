"""The whole product on real servers and real Ray, once for all tests of this folder."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psycopg
import pytest

from signals.clients.postgres import Connection, conninfo
from signals.local.bring_up import prepare, wait_until_ready
from signals.local.folder import StackFolder, State
from signals.local.ports import free_port
from signals.local.ray_head import DEFAULT_PORTS, RayHead
from signals.local.stack import ephemeral
from signals.settings import PostgresSettings
from tests.model_server import ModelServer, open_model_server

LEASE_S = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """The running product, as its users and its operators reach it."""

    environment: Mapping[str, str]
    head: RayHead
    model: ModelServer

    def get(self, path: str) -> Any:
        """Ask core-api with the read key."""
        headers = {"X-API-Key": self.environment["READ_API_KEY"]}
        with urlopen(Request(self.environment["CORE_API_URL"] + path, headers=headers), timeout=30) as answer:
            return json.load(answer)

    def send(self, events: list[dict[str, Any]]) -> None:
        """Post one batch with the ingest key; all of it must be accepted."""
        headers = {"X-API-Key": self.environment["PROJECT_API_KEY"], "Content-Type": "application/json"}
        url = self.environment["INGEST_API_URL"] + "/v1/events/batch"
        with urlopen(Request(url, json.dumps(events).encode(), headers), timeout=30) as answer:
            assert answer.status == 202, answer.read()

    def readiness(self) -> dict[str, str]:
        """Return the state of every part, ready or not."""
        try:
            with urlopen(self.environment["CORE_API_URL"] + "/readyz", timeout=30) as answer:
                body = json.load(answer)
        except HTTPError as error:
            with error:
                body = json.load(error)
        return {part["name"]: part["state"] for part in (*body["dependencies"], *body["actors"])}

    def loadgen(self, mode: str, *options: str) -> dict[str, Any]:
        """Run the producer as the separate tool that it is; return its report."""
        report = self.head.folder.root / f"{mode}.json"
        tool = Path(sys.executable).parent / "signals-loadgen"
        command = [str(tool), mode, *options, f"--report={report}"]
        done = subprocess.run(command, env={**os.environ, **self.environment}, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        answer = json.loads(report.read_text())
        assert isinstance(answer, dict)
        return answer

    def database(self) -> Connection:
        """Connect to the product's database; every statement is a transaction of its own."""
        return psycopg.connect(conninfo(PostgresSettings.from_env()), autocommit=True)

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run one query."""
        with self.database() as connection:
            return connection.execute(query, parameters).fetchall()

    def actor_pid(self, kind: str) -> int:
        """Return the process that the first actor of a kind last reported from."""
        ((pid,),) = self.rows("SELECT pid FROM pipeline.workers WHERE name = %s", f"{kind}-0")
        return int(pid)


@pytest.fixture(scope="package")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Servers, Ray, both APIs, all actors, and a model that answers at once."""
    root = tmp_path_factory.mktemp("product")
    with (
        pytest.MonkeyPatch.context() as patch,
        ephemeral(root / "servers") as servers,
        open_model_server() as model,
    ):
        state = State(data="", password="", ports={name: free_port() for name in DEFAULT_PORTS})
        head = RayHead(folder=StackFolder(root=root / "ray"), state=state)
        head.folder.root.mkdir()
        environment = {
            **servers.environment,
            "GRADIENT_BASE_URL": model.base_url,
            "GRADIENT_API_KEY": "test-key",
            "GRADIENT_MODEL": "test-model",
            "SIGNALS_AI_LEASE_S": str(LEASE_S),
            "SIGNALS_AI_TIMEOUT_S": "4",
            "SIGNALS_AI_REQUESTS_PER_MINUTE": "600",
            "SIGNALS_TICK_S": "2",
        }
        for name, value in environment.items():
            patch.setenv(name, value)
        environment |= prepare({}) | {"INGEST_API_URL": head.http_url, "CORE_API_URL": head.http_url}
        head.start(environment, tie_to_parent=True)
        try:
            head.deploy()
            wait_until_ready(state.ports["http"], head)
            yield Product(environment=environment, head=head, model=model)
        finally:
            head.process.stop()
            shutil.rmtree(head.temp)
