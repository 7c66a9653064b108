"""The whole product on real servers and real Ray, for system tests."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from pydantic import SecretStr

from signals.clients.kafka import ENGINE_GROUP, INDEXER_GROUP
from signals.clients.postgres import Connection, open_pool
from signals.domain.access.scopes import Scope
from signals.local.bring_up import DEMO_ORG, prepare, unready
from signals.local.folder import StackFolder, StackState
from signals.local.processes.ports import free_port
from signals.local.ray_head import DEFAULT_PORTS, RayHead
from signals.local.stack import SERVERS, RunningStack, ephemeral
from signals.ray_node.variables import HOST
from signals.services.access import provisioning
from signals.settings import KafkaSettings, OpenSearchSettings, PostgresSettings
from tests.support.model_server import ModelServer, open_model_server
from tests.support.waiting import until
from tests.system.faults.processes import product_processes
from tests.system.faults.proxy import TcpProxy, open_proxy
from tests.system.faults.senders import HttpSender
from tests.system.faults.server_contents import Servers, unsettled

LEASE_S: Final = 15.0
MODEL_KEY: Final = "model-key-recognisable-4c1f"
READY_WITHIN_S: Final = 280.0  # 83 s on two cores that eight suites shared (measured)
ANSWER_WITHIN_S: Final = 120.0  # of one request, on a machine that stands still for a while
BUSY_WITHIN_S: Final = 60.0  # for so long a request is repeated that is answered with 503
ADDRESSES: Final = {"postgres": "DATABASE_URL", "kafka": "KAFKA_BROKERS", "opensearch": "OPENSEARCH_URL"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """The running product, as its users and its operators reach it.

    With `proxied`, `proxies` stand between the product and each server; `servers` is the way
    around them.
    """

    environment: Mapping[str, str]
    head: RayHead
    model: ModelServer
    stack: RunningStack
    servers: Servers
    proxies: Mapping[str, TcpProxy]

    def get(self, path: str) -> Any:
        """Ask core-api with the read key."""
        headers = {"X-API-Key": self.environment["READ_API_KEY"]}
        request = Request(self.environment["CORE_API_URL"] + path, headers=headers)
        return json.loads(until(lambda: _body(request), within_s=BUSY_WITHIN_S, every_s=0.5))

    def send(self, events: list[dict[str, Any]]) -> None:
        """Post one batch with the ingest key; all of it must be accepted."""
        headers = {"X-API-Key": self.environment["PROJECT_API_KEY"], "Content-Type": "application/json"}
        url = self.environment["INGEST_API_URL"] + "/v1/events/batch"
        request = Request(url, json.dumps(events).encode(), headers)
        until(lambda: _body(request, HTTPStatus.ACCEPTED), within_s=BUSY_WITHIN_S, every_s=0.5)

    def readiness(self) -> dict[str, str]:
        """Return the state of every part, ready or not."""
        try:
            with urlopen(self.environment["CORE_API_URL"] + "/readyz", timeout=ANSWER_WITHIN_S) as answer:
                body = json.load(answer)
        except HTTPError as error:
            with error:
                body = json.load(error)
        return {part["name"]: part["state"] for part in (*body["dependencies"], *body["actors"])}

    def loadgen(self, mode: str, *options: str) -> dict[str, Any]:
        """Run the load generator as a separate process; return its report."""
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
        return self.servers.database()

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run one query."""
        with self.database() as connection:
            return connection.execute(query, parameters).fetchall()

    def unsettled(self) -> int:
        """Return how many accepted records the engine and the indexer have before them, together."""
        return unsettled(self.servers, ENGINE_GROUP, INDEXER_GROUP)

    def actor_pid(self, kind: str) -> int:
        """Return the process id that the first actor of a kind last reported."""
        ((pid,),) = self.rows("SELECT pid FROM pipeline.workers WHERE name = %s", f"{kind}-0")
        return int(pid)

    @property
    def root_pid(self) -> int:
        """The process that holds the Ray node."""
        pid = self.head.process.pid
        assert pid is not None, "the Ray node has died"
        return pid

    def processes(self) -> dict[int, str]:
        """Return the kind of every process of ours, by pid."""
        return product_processes(self.root_pid)

    def new_project(self, project_id: str) -> HttpSender:
        """Make a project with an ingest key of its own, and the client that uses it."""
        return sender_of(project_id, self.environment["INGEST_API_URL"], self.servers.postgres)


def _body(request: Request, status: HTTPStatus = HTTPStatus.OK) -> bytes:
    """Return the body of an answer; nothing after a 503: a server was slow, and may be asked again."""
    try:
        with urlopen(request, timeout=ANSWER_WITHIN_S) as answer:
            body = bytes(answer.read())
            assert answer.status == status, body
            return body
    except HTTPError as error:
        with error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            return b""


def sender_of(project_id: str, url: str, postgres: PostgresSettings) -> HttpSender:
    """Make a project of the demo organisation, unless it exists, and a client with a new ingest key of it."""
    with open_pool(postgres, size=1) as pool:
        provisioning.create_project(pool, project_id, org_id=DEMO_ORG, name=project_id)
        key = provisioning.issue_key(pool, project_id, Scope.INGEST)
    return HttpSender(url=url, api_key=key.text)


@contextmanager
def open_product(
    root: Path,
    *,
    proxied: bool = False,
    settings: Mapping[str, str] | Callable[[Mapping[str, str]], Mapping[str, str]] | None = None,
) -> Iterator[Product]:
    """Start servers, Ray, both APIs, all actors, and a model that answers at once; end them all.

    `settings` may depend on the servers' own variables.
    """
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        front = {name: free_port() for name in SERVERS} if proxied else {}
        advertised = {"kafka_advertised": front["kafka"]} if proxied else {}
        servers = stack.enter_context(ephemeral(root / "servers", ports=advertised))
        proxies = {
            name: stack.enter_context(open_proxy(port, _own_port(servers, name)))
            for name, port in front.items()
        }
        model = stack.enter_context(open_model_server())
        own = settings(servers.environment) if callable(settings) else settings or {}
        variables = {**servers.environment, **_model_settings(model), **own}
        for name, value in variables.items():
            patch.setenv(name, value)
        keys = prepare({})
        state = StackState(data="", password="", ports={name: free_port() for name in DEFAULT_PORTS})
        head = RayHead(folder=StackFolder(root=root / "ray"), state=state)
        head.folder.root.mkdir()
        urls = {"INGEST_API_URL": head.http_url, "CORE_API_URL": head.http_url}
        environment = variables | keys | urls
        environment |= {
            ADDRESSES[name]: _moved(environment[ADDRESSES[name]], port) for name, port in front.items()
        }
        head.start(environment, tie_to_parent=True)
        stack.callback(shutil.rmtree, head.temp)
        stack.callback(head.process.stop)
        head.deploy()
        until(lambda: not unready(state.ports["http"]), within_s=READY_WITHIN_S, every_s=0.5)
        yield Product(
            environment=environment,
            head=head,
            model=model,
            stack=servers,
            servers=_direct(servers),
            proxies=proxies,
        )


def _model_settings(model: ModelServer) -> dict[str, str]:
    return {
        "GRADIENT_BASE_URL": model.base_url,
        "GRADIENT_API_KEY": MODEL_KEY,
        "GRADIENT_MODEL": "test-model",
        "SIGNALS_AI_LEASE_S": str(LEASE_S),
        "SIGNALS_AI_TIMEOUT_S": "12",
        "SIGNALS_AI_REQUESTS_PER_MINUTE": "600",
        "SIGNALS_TICK_S": "2",
    }


def _direct(servers: RunningStack) -> Servers:
    """Settings that lead around the proxies; Kafka's broker sends every client through its own."""
    environment = servers.environment
    return Servers(
        kafka=KafkaSettings(kafka_brokers=environment["KAFKA_BROKERS"]),
        postgres=PostgresSettings(database_url=SecretStr(environment["DATABASE_URL"]), pg_sslmode="disable"),
        opensearch=OpenSearchSettings(opensearch_url=environment["OPENSEARCH_URL"]),
    )


def _own_port(servers: RunningStack, name: str) -> int:
    address = servers.environment[ADDRESSES[name]]
    port = urlsplit(address if "//" in address else f"//{address}").port
    assert port is not None
    return port


def _moved(address: str, port: int) -> str:
    """Return the address with another port."""
    own = urlsplit(address if "//" in address else f"//{address}").port
    return address.replace(f"{HOST}:{own}", f"{HOST}:{port}")
