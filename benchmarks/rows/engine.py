"""Engine: topic → buckets and offsets committed in PostgreSQL, rules evaluated, in one process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, LiteralString
from uuid import uuid4

import psycopg

from benchmarks.backlog import fill, remember
from benchmarks.events import START, EventKind, kinds
from benchmarks.peers.environments import peer
from benchmarks.rounds import Contender, Plan, Round, Row, Target, costs_at_most
from benchmarks.servers import Servers, open_servers
from benchmarks.timing import Program, Race, ours, timed
from signals.clients.kafka import ENGINE_GROUP, RAW_TOPIC
from signals.clients.postgres import Connection, conninfo
from signals.settings import KafkaSettings, PostgresSettings

COUNTED: LiteralString = "SELECT coalesce(sum(value), 0) FROM metrics_buckets WHERE bucket_start >= %s"
QUIX_COUNTED: LiteralString = """
SELECT coalesce(sum(value), 0) FROM quix_buckets WHERE to_timestamp(minute_ms / 1000) >= %s
"""
OFFSETS: LiteralString = (
    "SELECT coalesce(sum(next_offset), 0) FROM pipeline.offsets WHERE consumer_group = %s"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Number of keys and partitions, and the share of keys with a firing incident.

    A key that is calm has sent as much in each of the 75 minutes before; one that fires comes from nothing.
    """

    keys: int
    partitions: int
    firing: float = 0.0
    with_peers: bool = True

    def split(self) -> tuple[list[EventKind], list[EventKind]]:
        """Return all kinds, and those with a history."""
        chosen = kinds(self.keys)
        return chosen, chosen[round(self.firing * len(chosen)) :]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A filled topic, and databases whose history makes keys calm or not."""

    plan: Plan
    servers: Servers
    kafka: KafkaSettings
    events: int

    def consume(self) -> Round:
        """Read and decode records, without storing anything."""
        return self._time(ours("consume", self.environment()), self.events, None)

    def detect(self) -> Round:
        """Run the product's engine on a database of its own, and check its sum."""
        with self._database() as (settings, connection):
            durable = partial(_one, connection, OFFSETS, ENGINE_GROUP)
            result = self._time(ours("detect", self.environment(settings)), self.events, durable)
            counted = _one(connection, COUNTED, START)
            assert counted == self.events, f"{counted} counted of {self.events}"
            return result

    def compete(
        self, name: str, wanted: int, query: LiteralString = COUNTED, *, reads_history: bool = False
    ) -> Round:
        """Run a peer on a database of its own until `wanted` events are in its rows."""
        with self._database() as (settings, connection):
            if not reads_history:  # else the progress query would scan rows that the peer never reads
                connection.execute("TRUNCATE metrics_buckets")
            durable = partial(_one, connection, query, START)
            return self._time(peer(name, self.environment(settings)), wanted, durable)

    @contextmanager
    def _database(self) -> Iterator[tuple[PostgresSettings, Connection]]:
        with (
            self.servers.fresh_database() as settings,
            psycopg.connect(conninfo(settings), autocommit=True) as connection,
        ):
            yield settings, connection

    def environment(self, database: PostgresSettings | None = None) -> dict[str, str]:
        """Return the variables of a program: servers, topic, its own group, number of events."""
        variables = {
            "KAFKA_BROKERS": self.kafka.kafka_brokers,
            "KAFKA_GROUP_PROTOCOL": self.kafka.kafka_group_protocol,
            "BENCH_TOPIC": RAW_TOPIC,
            "BENCH_GROUP": f"bench-{uuid4().hex[:8]}",
            "BENCH_EVENTS": str(self.events),
            "BENCH_FOLDER": str(self.plan.folder),
        }
        if database is not None:
            variables |= {"DATABASE_URL": database.database_url.get_secret_value(), "PG_SSLMODE": "disable"}
        return variables

    def _time(self, program: Program, wanted: int, durable: Callable[[], int] | None) -> Round:
        race = Race(wanted=wanted, durable=durable, meters=self.servers.meters())
        return timed(program, race, self.plan.folder / f"program-{uuid4().hex[:8]}.log")


def _one(connection: Connection, query: LiteralString, parameter: object) -> int:
    """Return the query's number, 0 while a peer's own table does not exist yet."""
    try:
        row = connection.execute(query, [parameter]).fetchone()
    except psycopg.errors.UndefinedTable:
        return 0
    assert row is not None
    return int(row[0])


@contextmanager
def _open(case: Case, plan: Plan) -> Iterator[list[Contender]]:
    count = plan.pick(full=300_000, quick=120_000, tiny=45_000)  # full: 6 s for us at 50 k/s
    chosen, calm = case.split()
    with open_servers(plan, "postgres", "kafka") as servers:
        kafka = servers.kafka(partitions=case.partitions)
        fill(kafka, chosen, count)
        remember(servers.prepare_template(), calm, len(chosen))
        bench = Bench(plan=plan, servers=servers, kafka=kafka, events=count)
        yield [
            Contender(name="consume and decode", role="limit", run=bench.consume, note="keeps nothing"),
            Contender(name="incident-engine", role="ours", run=bench.detect),
            *(_peers(bench) if case.with_peers else ()),
        ]


def _peers(bench: Bench) -> list[Contender]:
    """Bound each round to about ten seconds by the peer's measured rate."""
    pick = bench.plan.pick
    some = pick(full=100_000, quick=0, tiny=5_000)
    # Whole minutes of the events' clock: three of 30,000, or one; a late key or two is not waited for.
    closed = pick(full=88_000, quick=0, tiny=29_000)
    few = pick(full=4_000, quick=0, tiny=200)
    return [
        Contender(
            name="arroyo + psycopg",
            role="peer",
            run=partial(bench.compete, "arroyo_batch", some),
            note=f"{LESS}; two commits, a crash between them counts a batch twice",
        ),
        Contender(
            name="Bytewax fold window",
            role="peer",
            run=partial(bench.compete, "bytewax_window", closed),
            note=f"{LESS}; a count is readable a minute later; a crash adds an epoch twice",
        ),
        Contender(
            name="Quix Streams window",
            role="peer",
            run=partial(bench.compete, "quix_window", closed, QUIX_COUNTED),
            note=f"{LESS}; a count is readable a minute and five seconds later",
        ),
        Contender(
            name="upsert per event",
            role="peer",
            run=partial(bench.compete, "per_event_upsert", few, reads_history=True),
            note=f"{few:,} events a round; judges Rule A only, opens nothing, no validation, no dedup",
        ),
    ]


LESS: Final = "no rules, no incidents, no validation, no dedup"
METHOD: Final = (
    "A topic filled beforehand; timed from the first record handed over to the last offset committed, so "
    "neither the start nor joining the group counts. CPU is the consumer's process; Kafka's and "
    "PostgreSQL's stand beside it. A slow peer gets fewer of the same events."
)
SHOWN: Final = ("rate", "cpu_us", "postgres_cpu_us", "kafka_cpu_us")


ROWS: Final = (
    Row(
        name="engine",
        title="topic → buckets, 300 keys, 6 partitions",
        unit="event",
        method=METHOD,
        open=partial(_open, Case(keys=300, partitions=6)),
        shown=SHOWN,
        targets=(
            Target(sentence="≤ 6 CPU-µs an event at 300 keys", figure="cpu_us", at_most=6.0),
            Target(sentence="≥ 1.5× the best peer", figure="rate", at_least=1.5, of="best peer"),
            Target(
                sentence="≥ 40 k events/s where the limit is ≥ 100 k",
                figure="rate",
                at_least=40_000,
                unless_below=("rate", 100_000),
            ),
        ),
        guards=(costs_at_most(5.0),),  # 3.7 measured
    ),
    Row(
        name="engine-hot",
        title="topic → buckets, one key, one partition",
        unit="event",
        method=METHOD,
        open=partial(_open, Case(keys=1, partitions=1)),
        shown=SHOWN,
        targets=(Target(sentence="≥ 40 % of the limit", figure="rate", at_least=0.4, of="limit"),),
        guards=(costs_at_most(4.0),),  # 2.8 measured
    ),
    Row(
        name="engine-firing",
        title="topic → buckets, 300 keys, 57 % of events on firing fingerprints",
        unit="event",
        method=METHOD,
        open=partial(_open, Case(keys=300, partitions=6, firing=0.57, with_peers=False)),
        shown=SHOWN,
        targets=(
            Target(
                sentence="not below half of ≥ 50 % of the limit", figure="rate", at_least=0.25, of="limit"
            ),
        ),
        guards=(costs_at_most(5.5),),  # 4.0 measured
    ),
)
