"""Indexer: topic → documents that OpenSearch has on disk, offsets and ledger committed, in one process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, LiteralString
from uuid import uuid4

import psycopg

from benchmarks.backlog import fill
from benchmarks.events import kinds
from benchmarks.peers.environments import peer
from benchmarks.rounds import Contender, Plan, Round, Row, Target
from benchmarks.servers import Servers, open_servers
from benchmarks.timing import Program, Race, ours, timed
from signals.clients.kafka import INDEXER_GROUP, RAW_TOPIC
from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import Client, open_client
from signals.clients.opensearch.index import ensure_index
from signals.clients.postgres import Connection, conninfo
from signals.settings import KafkaSettings

OFFSETS: LiteralString = (
    "SELECT coalesce(sum(next_offset), 0)::bigint FROM pipeline.offsets WHERE consumer_group = %s"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A filled topic; each round begins with an empty index and ends with a count of it."""

    plan: Plan
    servers: Servers
    kafka: KafkaSettings
    client: Client
    events: int

    def post(self) -> Round:
        """Measure posting prepared bodies."""
        return self._time(ours("post_bulks", self.environment()), None)

    def index(self) -> Round:
        """Run the product's indexer on a database of its own."""
        with (
            self.servers.fresh_database() as settings,
            psycopg.connect(conninfo(settings), autocommit=True) as connection,
        ):
            url = settings.database_url.get_secret_value()
            environment = self.environment() | {"DATABASE_URL": url, "PG_SSLMODE": "disable"}
            return self._time(ours("index", environment), partial(_settled, connection))

    def help(self, helper: str) -> Round:
        """Measure one of opensearch-py's helpers."""
        environment = self.environment() | {"BENCH_HELPER": helper, "BENCH_INDEX": EVENTS_INDEX}
        return self._time(peer("bulk_helpers", environment), None)

    def environment(self) -> dict[str, str]:
        """Return the variables of a program: servers, topic, its own group, number of events."""
        return {
            "KAFKA_BROKERS": self.kafka.kafka_brokers,
            "KAFKA_GROUP_PROTOCOL": self.kafka.kafka_group_protocol,
            "OPENSEARCH_URL": self.servers.opensearch().opensearch_url,
            "BENCH_TOPIC": RAW_TOPIC,
            "BENCH_GROUP": f"bench-{uuid4().hex[:8]}",
            "BENCH_EVENTS": str(self.events),
        }

    def _time(self, program: Program, durable: Callable[[], int] | None) -> Round:
        self.client.indices.delete(index=EVENTS_INDEX, ignore_unavailable=True)
        ensure_index(self.client)
        race = Race(wanted=self.events, durable=durable, meters=self.servers.meters(), limit_s=120.0)
        result = timed(program, race, self.plan.folder / f"program-{uuid4().hex[:8]}.log")
        self.client.indices.refresh(index=EVENTS_INDEX)
        found = self.client.count(index=EVENTS_INDEX)["count"]
        assert found == self.events, f"{found} documents of {self.events}"
        return result


def _settled(connection: Connection) -> int:
    row = connection.execute(OFFSETS, [INDEXER_GROUP]).fetchone()
    assert row is not None
    return int(row[0])


def events_of(plan: Plan) -> int:
    """Return how many events a round has; full: 4 s at 9 k/s."""
    return plan.pick(full=40_000, quick=20_000, tiny=4_000)


@contextmanager
def _open(plan: Plan) -> Iterator[list[Contender]]:
    count = events_of(plan)
    with (
        open_servers(plan, "postgres", "kafka", "opensearch") as servers,
        open_client(servers.opensearch()) as client,
    ):
        kafka = servers.kafka()
        fill(kafka, kinds(), count)
        servers.prepare_template()
        bench = Bench(plan=plan, servers=servers, kafka=kafka, client=client, events=count)
        bench.post()  # OpenSearch's first documents take twice as long: the Java compiler is still at work
        yield [
            Contender(name="bulk bodies", role="limit", run=bench.post, note="no topic, no offsets"),
            Contender(name="EventIndexer", role="ours", run=bench.index),
            *(
                Contender(name=helper, role="peer", run=partial(bench.help, helper), note=LESS)
                for helper in ("streaming_bulk", "parallel_bulk")
            ),
        ]


LESS: Final = "no validation, no ledger, no dead letters; stops at the first duplicate"

ROW: Final = Row(
    name="indexer",
    title="topic → searchable",
    unit="event",
    method=(
        "A topic filled beforehand and an empty index each round; timed from the first record handed over to "
        "the last bulk answered and its offset committed. Documents are searchable at the next refresh, of "
        "which there is one a second for all; then all are counted. CPU is the program's process."
    ),
    open=_open,
    shown=("rate", "cpu_us", "opensearch_cpu_us", "kafka_cpu_us"),
    targets=(
        Target(sentence="≥ 90 % of the limit", figure="rate", at_least=0.9, of="limit"),
        Target(sentence="≥ 1.2× the helpers", figure="rate", at_least=1.2, of="best peer"),
    ),
    guards=(Target(sentence="≥ 60 % of the limit", figure="rate", at_least=0.6, of="limit"),),
)
