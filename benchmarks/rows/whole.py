"""The whole: events over HTTP → counted, indexed, and the incident among them summarized."""

import http.client
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, LiteralString
from urllib.parse import urlsplit
from uuid import uuid4

import orjson

from benchmarks.backlog import remember
from benchmarks.cpu import spent, tree_cpu_s
from benchmarks.events import PROJECTS, RATE_PER_S, as_sent, kinds, records
from benchmarks.rounds import Contender, Plan, Round, Row, Target
from benchmarks.rows import indexer
from benchmarks.rows.latency import spike
from benchmarks.servers import Servers
from signals.clients.kafka import ENGINE_GROUP, INDEXER_GROUP
from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import Client, open_client
from signals.clients.postgres import Connection, open_pool
from signals.domain.access.scopes import Scope
from signals.services.access.provisioning import create_org, create_project, issue_key
from tests.support.product import Product, open_product

SENDERS: Final = 4  # connections; ingest takes several times what the slowest hop does
BATCH: Final = 500
CALM: Final = 4  # times as many events in the hour before, so that only the planned spike fires
POLL_S: Final = 0.05
WITHIN_S: Final = 120.0
AHEAD: LiteralString = """
SELECT coalesce(sum(next_offset) FILTER (WHERE consumer_group = %(engine)s), 0)::bigint,
       coalesce(sum(next_offset) FILTER (WHERE consumer_group = %(indexer)s), 0)::bigint
FROM pipeline.offsets
"""
SUMMARIZED: LiteralString = """
SELECT count(*) FROM incidents i JOIN ai_outputs o ON o.incident_id = i.id WHERE i.fingerprint LIKE %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One batch as its project sends it."""

    key: str
    body: bytes


@dataclass(slots=True, kw_only=True)
class Bench:
    """The running product, and projects with a calm past."""

    product: Product
    client: Client
    database: Connection
    keys: Mapping[str, str]
    events: int
    rounds: int = field(default=0)

    def run(self) -> Round:
        """Send new events and one spike; wait until all are counted and indexed, and the incident read."""
        self.rounds += 1
        code = f"SPIKE_{uuid4().hex[:8]}"
        requests, sent = self._requests(code)
        engine, indexed, documents = *self._ahead(), self._documents()
        meters: dict[str, Callable[[], float]] = {"cpu_s": partial(tree_cpu_s, self.product.root_pid)}
        meters |= Servers(stack=self.product.stack).meters()
        with spent(meters) as used:
            began = time.monotonic()
            with ThreadPoolExecutor(SENDERS) as senders:
                list(senders.map(self._post, [requests[n::SENDERS] for n in range(SENDERS)]))
            answered_s = time.monotonic() - began
            counted_s = indexed_s = summarized_s = 0.0
            while not (counted_s and indexed_s and summarized_s):
                took_s = time.monotonic() - began
                assert took_s < WITHIN_S, f"{self._ahead()} of {sent} after {engine}, {indexed}"
                now = self._ahead()
                counted_s = counted_s or took_s * (now[0] - engine >= sent)
                indexed_s = indexed_s or took_s * (now[1] - indexed >= sent)
                summarized_s = summarized_s or took_s * self._is_summarized(code)
                time.sleep(POLL_S)
            wall_s = time.monotonic() - began
        assert self._documents() - documents == sent, "events are missing from the index"
        extra = {
            **used,
            "answered_s": answered_s,
            "counted_s": counted_s,
            "indexed_s": indexed_s,
            "summarized_s": summarized_s,
        }
        return Round(events=sent, wall_s=wall_s, cpu_s=extra.pop("cpu_s"), extra=extra)

    def _requests(self, code: str) -> tuple[list[Request], int]:
        """Write a round's batches: events up to now by project, and the spike's errors in the middle."""
        start = datetime.now(UTC) - timedelta(seconds=self.events / RATE_PER_S)
        by_project: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for _, value in records(kinds(), self.events, seed=self.rounds, start=start):
            by_project[orjson.loads(value)["project_id"]].append(as_sent(value))
        requests = [
            Request(key=self.keys[project], body=orjson.dumps(sent[first : first + BATCH]))
            for project, sent in by_project.items()
            for first in range(0, len(sent), BATCH)
        ]
        errors = [as_sent(record.value) for record in spike(code)]
        surge = Request(key=next(iter(self.keys.values())), body=orjson.dumps(errors))
        requests.insert(len(requests) // 2, surge)
        return requests, self.events + len(errors)

    def _post(self, requests: Sequence[Request]) -> None:
        address = urlsplit(self.product.environment["INGEST_API_URL"])
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        for request in requests:
            headers = {"X-API-Key": request.key, "Content-Type": "application/json"}
            connection.request("POST", "/v1/events/batch", request.body, headers)
            answer = connection.getresponse()
            words = answer.read()
            assert answer.status == http.HTTPStatus.ACCEPTED, words[:300]
        connection.close()

    def _ahead(self) -> tuple[int, int]:
        row = self.database.execute(AHEAD, {"engine": ENGINE_GROUP, "indexer": INDEXER_GROUP}).fetchone()
        assert row is not None
        return row

    def _documents(self) -> int:
        self.client.indices.refresh(index=EVENTS_INDEX)
        return int(self.client.count(index=EVENTS_INDEX)["count"])

    def _is_summarized(self, code: str) -> bool:
        return self.database.execute(SUMMARIZED, [f"{code}|%"]).fetchone() != (0,)


def _provision(product: Product) -> dict[str, str]:
    """Make the projects of the events with a calm past; return their keys."""
    keys = {}
    with open_pool(product.servers.postgres, size=1) as pool:
        create_org(pool, "org_bench", "Bench")
        for number in range(PROJECTS):
            project = f"proj_{number:02}"
            create_project(pool, project, org_id="org_bench", name=project)
            keys[project] = issue_key(pool, project, Scope.INGEST).text
    remember(product.servers.postgres, kinds(), len(kinds()) // CALM, start=datetime.now(UTC))
    return keys


@contextmanager
def _open(plan: Plan) -> Iterator[list[Contender]]:
    alone = Plan(size=plan.size, folder=plan.folder / "alone")
    alone.folder.mkdir()
    with (
        indexer.ROW.open(alone) as hops,
        open_product(plan.folder / "product", settings={"SIGNALS_TICK_S": "15"}) as product,
        open_client(product.servers.opensearch) as client,
        product.database() as database,
    ):
        keys, events = _provision(product), indexer.events_of(plan)
        bench = Bench(product=product, client=client, database=database, keys=keys, events=events)
        bench.run()  # the Java compilers are still at work, and connections are opened
        (slowest,) = [hop for hop in hops if hop.role == "ours"]
        yield [
            Contender(
                name="indexer alone", role="limit", run=slowest.run, note="one hop, on servers of its own"
            ),
            Contender(name="whole", role="ours", run=bench.run),
        ]


ROW: Final = Row(
    name="whole",
    title="Events over HTTP → all counted and indexed, the incident among them summarized",
    unit="event",
    method=(
        "Twelve projects with 300 keys send as many new events as the indexer's row takes, in batches of 500 "
        "over 4 connections, and one surge of 30 errors in the middle; a model on loopback answers at once. "
        "Timed from the first request sent; the end is when PostgreSQL has both consumers' offsets of all "
        "events, and the summary. Then all are counted in OpenSearch. The slowest hop alone is the "
        "indexer; its servers idle beside the product's meanwhile, and the other way round."
    ),
    open=_open,
    shown=(
        "rate",
        "cpu_us",
        "answered_s",
        "counted_s",
        "indexed_s",
        "summarized_s",
        "opensearch_cpu_s",
        "kafka_cpu_s",
    ),
    targets=(
        Target(sentence="≥ 60 % of the slowest hop", figure="rate", at_least=0.6, of="limit", ours="whole"),
    ),
)
