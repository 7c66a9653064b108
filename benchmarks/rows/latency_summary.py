"""Latency: from an open incident to its summary as core-api gives it, when the model answers at once."""

import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, LiteralString
from uuid import UUID, uuid4

import psycopg

from benchmarks.backlog import empty
from benchmarks.cpu import tree_cpu_s
from benchmarks.rounds import Contender, Plan, Round, Row, Target
from benchmarks.rows.latency import SHOWN, percentiles, spike, wait_for
from benchmarks.servers import Servers, open_servers
from benchmarks.timing import ours, started
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.connection import ensure_topics
from signals.clients.kafka.publisher import Publisher, open_publisher
from signals.clients.opensearch.connection import open_client
from signals.clients.opensearch.index import ensure_index
from signals.clients.postgres import Connection, conninfo, open_pool
from signals.domain.access.scopes import Scope
from signals.local.processes.ports import free_port
from signals.services.access.provisioning import create_org, create_project, issue_key
from signals.settings import KafkaSettings, PostgresSettings
from tests.support.model_server import open_model_server

ORG, PROJECT = "org_bench", "proj_spike"
WARM_UPS: Final = 10  # until the engine has its partitions and the ai-worker its connections
FOUND: LiteralString = "SELECT id FROM incidents WHERE fingerprint LIKE %s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Servers, topics and index."""

    plan: Plan
    servers: Servers
    kafka: KafkaSettings
    incidents: int

    def summarize(self) -> Round:
        """Open one incident at a time, and read it until its summary is there.

        The topic is empty: an engine on a new database would open the incidents of the last round again.
        """
        empty(self.kafka)
        with ExitStack() as stack:
            settings = stack.enter_context(self.servers.fresh_database())
            key = _provision(settings)
            model = stack.enter_context(open_model_server())
            port = free_port()
            environment = self._environment(settings) | {
                "GRADIENT_BASE_URL": model.base_url,
                "GRADIENT_API_KEY": "bench",
                "SIGNALS_AI_REQUESTS_PER_MINUTE": "100000",
                "BENCH_PORT": str(port),
            }
            running = [
                stack.enter_context(started(ours(name, environment), self._log(name)))
                for name in ("detect", "summarize", "serve_core")
            ]
            publisher = stack.enter_context(open_publisher(self.kafka))
            connection = stack.enter_context(psycopg.connect(conninfo(settings), autocommit=True))
            wait_for(partial(_is_up, port))
            core = http.client.HTTPConnection("127.0.0.1", port)
            stack.callback(core.close)
            read = partial(_is_summarized, core, key)
            for _ in range(WARM_UPS):
                _summarized_after_s(publisher, connection, read)
            cpu_s, began = sum(tree_cpu_s(one.pid) for one in running), time.monotonic()
            taken = [_summarized_after_s(publisher, connection, read) for _ in range(self.incidents)]
            cpu_s = sum(tree_cpu_s(one.pid) for one in running) - cpu_s
            assert len(model.calls) >= self.incidents, "summaries that no model has written"
            return percentiles(taken, time.monotonic() - began, cpu_s)

    def _log(self, name: str) -> Path:
        return self.plan.folder / f"{name}-{uuid4().hex[:8]}.log"

    def _environment(self, database: PostgresSettings) -> dict[str, str]:
        return {
            "KAFKA_BROKERS": self.kafka.kafka_brokers,
            "KAFKA_GROUP_PROTOCOL": self.kafka.kafka_group_protocol,
            "DATABASE_URL": database.database_url.get_secret_value(),
            "PG_SSLMODE": "disable",
            "OPENSEARCH_URL": self.servers.opensearch().opensearch_url,
        }


def _provision(settings: PostgresSettings) -> str:
    with open_pool(settings, size=1) as pool:
        create_org(pool, ORG, "An organisation")
        create_project(pool, PROJECT, org_id=ORG, name="A project")
        return issue_key(pool, PROJECT, Scope.READ).text


def _is_up(port: int) -> bool:
    core = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        core.request("GET", "/healthz")
        return core.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        core.close()


def _is_summarized(core: http.client.HTTPConnection, key: str, incident_id: UUID) -> bool:
    core.request("GET", f"/v1/incidents/{incident_id}", headers={"Authorization": f"Bearer {key}"})
    answer = core.getresponse()
    body = answer.read()
    assert answer.status == http.HTTPStatus.OK, body
    return json.loads(body)["summary"] is not None


def _summarized_after_s(publisher: Publisher, connection: Connection, read: Callable[[UUID], bool]) -> float:
    code, found = f"SPIKE_{uuid4().hex[:8]}", list[UUID]()
    publisher.publish_and_wait(RAW_TOPIC, spike(code))

    def is_open() -> bool:
        found.extend(row[0] for row in connection.execute(FOUND, [f"{code}|%"]))
        return bool(found)

    wait_for(is_open)
    opened_at = time.monotonic()
    wait_for(partial(read, found[0]))
    return time.monotonic() - opened_at


@contextmanager
def _open(plan: Plan) -> Iterator[list[Contender]]:
    with open_servers(plan, "postgres", "kafka", "opensearch") as servers:
        kafka = servers.kafka()
        ensure_topics(kafka)
        servers.prepare_template()
        with open_client(servers.opensearch()) as client:
            ensure_index(client)
        incidents = plan.pick(full=100, quick=30, tiny=3)
        bench = Bench(plan=plan, servers=servers, kafka=kafka, incidents=incidents)
        yield [Contender(name="summary", role="ours", run=bench.summarize)]


ROW: Final = Row(
    name="latency-summary",
    title="open incident → summary readable through core-api, the model answering at once",
    unit="incident",
    method="One spike after the other through engine, ai-worker and core-api, each in its own process; a "
    "model's server on loopback answers every call at once. Read without pause from the moment that the "
    "incident is in PostgreSQL.",
    open=_open,
    shown=SHOWN,
    targets=(
        Target(sentence="p50 ≤ 60 ms", figure="p50_ms", at_most=60),
        Target(sentence="p99 ≤ 250 ms", figure="p99_ms", at_most=250),
    ),
)
