"""Latency: from an open incident to its summary with findings, and the parts that the time consists of."""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final, LiteralString
from uuid import uuid4

import psycopg

from benchmarks.cpu import tree_cpu_s
from benchmarks.rounds import Contender, Plan, Round, Row, Target
from benchmarks.rows.latency import background, percentiles, spike, wait_for
from benchmarks.servers import Servers, open_servers
from benchmarks.timing import ours, started
from shared_types import Tenancy, canonicalize, partition_key
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.connection import ensure_topics
from signals.clients.kafka.publisher import OutgoingRecord, Publisher, open_publisher
from signals.clients.opensearch.connection import open_client
from signals.clients.opensearch.index import ensure_index
from signals.clients.postgres import Connection, conninfo
from signals.settings import KafkaSettings, PostgresSettings

BACKGROUND_PER_S: Final = 200  # a busy small shop; the indexer takes a multiple
WORKING: Final = 200  # requests of the same minute, half of them by the release that fails
WARM_UPS: Final = 3  # groups are joined, caches filled, Java's compiler has seen the searches
WITHIN_S: Final = 90.0  # a job waits for the index 60 s at most

FOUND: LiteralString = """
SELECT i.id IS NOT NULL, count(o.id), count(o.id) FILTER (WHERE o.content_json ? 'findings')
FROM incidents i LEFT JOIN ai_outputs o ON o.incident_id = i.id
WHERE i.fingerprint LIKE %s GROUP BY i.id
"""


@dataclass(slots=True)
class Seen:
    """When an incident, its first summary and its findings were there, in seconds of a steady clock."""

    opened: float = 0.0
    first: float = 0.0
    findings: float = 0.0

    def note(self, connection: Connection, code: str) -> bool:
        """Look once; True when all three are there."""
        row = connection.execute(FOUND, [f"{code}|%"]).fetchone()
        now = time.monotonic()
        if row:
            self.opened = self.opened or now
            self.first = self.first or (now if row[1] else 0.0)
            self.findings = now if row[2] else 0.0
        return bool(self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Servers, topics and index."""

    plan: Plan
    servers: Servers
    kafka: KafkaSettings
    incidents: int

    def find(self, background_per_s: int) -> Round:
        """Open one incident at a time, and wait until its findings are stored."""
        with ExitStack() as stack:
            settings = stack.enter_context(self.servers.fresh_database())
            environment = self._environment(settings)
            running = [
                stack.enter_context(started(ours(name, environment), self._log(name)))
                for name in ("detect", "index", "summarize")
            ]
            publisher = stack.enter_context(open_publisher(self.kafka))
            connection = stack.enter_context(psycopg.connect(conninfo(settings), autocommit=True))
            for _ in range(WARM_UPS):
                _findings(publisher, connection)
            if background_per_s:
                stack.enter_context(background(publisher, background_per_s))
            running[-1].take_logged()
            cpu_s, began = sum(tree_cpu_s(one.pid) for one in running), time.monotonic()
            seen = [_findings(publisher, connection) for _ in range(self.incidents)]
            cpu_s = sum(tree_cpu_s(one.pid) for one in running) - cpu_s
            found = percentiles([one.findings - one.opened for one in seen], time.monotonic() - began, cpu_s)
            parts = _parts(running[-1].take_logged())
            first = {"first_ms": median(one.first - one.opened for one in seen) * 1000}
            return replace(found, extra={**found.extra, **first, **parts})

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


def _findings(publisher: Publisher, connection: Connection) -> Seen:
    code, seen = f"SPIKE_{uuid4().hex[:8]}", Seen()
    publisher.publish_and_wait(RAW_TOPIC, [*_working(), *spike(code)])
    wait_for(partial(seen.note, connection, code), WITHIN_S)
    return seen


def _working(project_id: str = "proj_spike") -> Iterable[OutgoingRecord]:
    now = datetime.now(UTC)
    for number in range(WORKING):
        body = {
            "event_type": "http_request",
            "occurred_at": (now - timedelta(seconds=1)).isoformat(),
            "environment": "prod",
            "message": "POST /checkout",
            "attributes": {"route": "/checkout", "status_code": 200, "release": f"2.{number % 2}"},
        }
        tenancy = Tenancy("org_bench", project_id)
        event = canonicalize(body, tenancy=tenancy, received_at=now, event_id=uuid4())
        yield OutgoingRecord(key=partition_key(event).encode(), value=event.to_json())


def _parts(logged: Iterable[str]) -> dict[str, float]:
    """Return the middle of each part that the ai-worker logged."""
    lines = [json.loads(line) for line in logged if line.startswith("{")]
    names = {"waited_s": "wait_ms", "refresh_s": "refresh_ms", "search_s": "search_ms"}
    values = {shown: [line[name] * 1000 for line in lines if name in line] for name, shown in names.items()}
    return {name: median(found) for name, found in values.items() if found}


@contextmanager
def _open(plan: Plan) -> Iterator[list[Contender]]:
    with open_servers(plan, "postgres", "kafka", "opensearch") as servers:
        kafka = servers.kafka()
        ensure_topics(kafka)
        servers.prepare_template()
        with open_client(servers.opensearch()) as client:
            ensure_index(client)
        incidents = plan.pick(full=40, quick=20, tiny=2)
        bench = Bench(plan=plan, servers=servers, kafka=kafka, incidents=incidents)
        yield [
            Contender(name="calm", role="ours", run=partial(bench.find, 0)),
            Contender(name="busy", role="ours", run=partial(bench.find, BACKGROUND_PER_S)),
        ]


ROW: Final = Row(
    name="latency-findings",
    title="open incident → summary with findings",
    unit="incident",
    method="One spike after the other, beside 200 working requests, through engine, indexer and ai-worker, "
    "each in its own process, without a model. From the moment that the incident is in PostgreSQL to its "
    "first summary, and to the one with findings. The wait is the job's age when it compares: until then "
    "the indexer has to settle what the engine had counted. Busy: beside "
    f"{BACKGROUND_PER_S} other events a second.",
    open=_open,
    shown=("p50_ms", "p99_ms", "max_ms", "first_ms", "wait_ms", "refresh_ms", "search_ms", "cpu_us"),
    targets=(
        Target(sentence="calm p50 ≤ 3 s", figure="p50_ms", at_most=3_000, ours="calm"),
        Target(sentence="busy p50 ≤ 3 s", figure="p50_ms", at_most=3_000, ours="busy"),
    ),
    limit_s=600.0,
)
