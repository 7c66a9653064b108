"""Latency: from the last answer to a batch to its open incident, and from missing signups to theirs."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from statistics import quantiles
from typing import Final, LiteralString
from uuid import uuid4

import psycopg
from confluent_kafka import Consumer

from benchmarks.backlog import remember
from benchmarks.cpu import tree_cpu_s
from benchmarks.events import kinds, records
from benchmarks.rounds import Contender, Plan, Round, Row, Target
from benchmarks.servers import Servers, open_servers
from benchmarks.timing import Running, ours, started
from shared_types import Tenancy, canonicalize, partition_key
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.connection import connection_config, ensure_topics, group_config
from signals.clients.kafka.publisher import OutgoingRecord, Publisher, open_publisher
from signals.clients.postgres import Connection, conninfo
from signals.domain.detection.buckets import Series, minute_of
from signals.settings import KafkaSettings, PostgresSettings
from signals.store.detection import buckets, rule_states

SPIKE: Final = 30  # the rule's least
WITHIN_S: Final = 30.0
WARM_UPS: Final = 5  # a new consumer starts its partitions one by one
POLL_S: Final = 0.001  # how late an incident may be noticed
BACKGROUND_PER_S: Final = 1_000
BACKGROUND_STEP_S: Final = 0.01
TICK_S: Final = 1  # shorter than the default, so that the tick itself does not hide what comes after it
SERIES: Final = 12  # signup series that drop in the same minute, two a partition
OPENED: LiteralString = "SELECT count(*) FROM incidents WHERE fingerprint LIKE %s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Servers whose database knows a calm past of the background's events."""

    plan: Plan
    servers: Servers
    kafka: KafkaSettings
    spikes: int

    def round_trip(self) -> Round:
        """Publish one record at a time and wait until a consumer has received it."""
        config = connection_config(self.kafka) | group_config(self.kafka, f"bench-{uuid4().hex[:8]}")
        consumer, taken = Consumer(dict(config)), []
        consumer.subscribe([RAW_TOPIC])
        cpu_s, began = time.process_time(), time.monotonic()
        try:
            with open_publisher(self.kafka) as publisher:
                for number in range(-WARM_UPS, self.spikes):
                    (*_, record) = spike(f"TRIP_{uuid4().hex[:8]}")
                    sent_at = time.monotonic()
                    publisher.publish_and_wait(RAW_TOPIC, [record])
                    wait_for(partial(_is_next, consumer, record.value))
                    if number >= 0:
                        taken.append(time.monotonic() - sent_at)
        finally:
            consumer.close()
        return percentiles(taken, time.monotonic() - began, time.process_time() - cpu_s)

    def spike(self, background_per_s: int) -> Round:
        """Publish spikes of new fingerprints, each after the previous incident."""
        with ExitStack() as stack:
            connection, running = self._engine(stack)
            publisher = stack.enter_context(open_publisher(self.kafka))
            self._incident(publisher, connection)  # joins the group, connects, warms up
            if background_per_s:
                stack.enter_context(background(publisher, background_per_s))
            cpu_s, began = tree_cpu_s(running.pid), time.monotonic()
            taken = [self._incident(publisher, connection) for _ in range(self.spikes)]
            return percentiles(taken, time.monotonic() - began, tree_cpu_s(running.pid) - cpu_s)

    @staticmethod
    def _incident(publisher: Publisher, connection: Connection) -> float:
        code = f"SPIKE_{uuid4().hex[:8]}"
        publisher.publish_and_wait(RAW_TOPIC, spike(code))
        answered_at = time.monotonic()
        wait_for(partial(_count, connection, f"{code}|%"))
        return time.monotonic() - answered_at

    def drop(self) -> Round:
        """Let the signups of some series stop in the current minute, and wait for its end."""
        with ExitStack() as stack:
            connection, running = self._engine(stack)
            publisher = stack.enter_context(open_publisher(self.kafka))
            self._incident(publisher, connection)
            wait_for(lambda: datetime.now(UTC).second < 50, 12.0)  # room to write the past
            minute = minute_of(datetime.now(UTC))
            _lose_signups(connection, minute)
            over_at = datetime.fromtimestamp((minute + 1) * 60, UTC)
            cpu_s, began, taken = tree_cpu_s(running.pid), time.monotonic(), [0.0] * 0
            while len(taken) < SERIES:
                late_s = (datetime.now(UTC) - over_at).total_seconds()
                assert late_s < WITHIN_S, f"{len(taken)} of {SERIES} drops became incidents"
                taken += [late_s] * (_count(connection, "signup|%") - len(taken))
                time.sleep(POLL_S)
            assert min(taken) > 0, "an incident opened before its minute was over"
            return percentiles(taken, time.monotonic() - began, tree_cpu_s(running.pid) - cpu_s)

    def _engine(self, stack: ExitStack) -> tuple[Connection, Running]:
        """Start the engine on a new database, at the end of the topic."""
        settings = stack.enter_context(self.servers.fresh_database())
        connection = stack.enter_context(psycopg.connect(conninfo(settings), autocommit=True))
        environment = self._environment(settings)
        log = self.plan.folder / f"engine-{uuid4().hex[:8]}.log"
        return connection, stack.enter_context(started(ours("detect", environment), log))

    def _environment(self, database: PostgresSettings) -> dict[str, str]:
        return {
            "KAFKA_BROKERS": self.kafka.kafka_brokers,
            "KAFKA_GROUP_PROTOCOL": self.kafka.kafka_group_protocol,
            "DATABASE_URL": database.database_url.get_secret_value(),
            "PG_SSLMODE": "disable",
            "SIGNALS_TICK_S": str(TICK_S),
        }


def spike(code: str, project_id: str = "proj_spike") -> list[OutgoingRecord]:
    """Make the fewest errors that open an incident, as ingest-api would publish them."""
    now = datetime.now(UTC)
    body = {
        "event_type": "error",
        "occurred_at": (now - timedelta(seconds=1)).isoformat(),
        "environment": "prod",
        "message": "upstream did not answer",
        "attributes": {"error_code": code, "route": "/checkout", "status_code": 503},
    }
    tenancy = Tenancy("org_bench", project_id)
    events = [canonicalize(body, tenancy=tenancy, received_at=now, event_id=uuid4()) for _ in range(SPIKE)]
    return [OutgoingRecord(key=partition_key(event).encode(), value=event.to_json()) for event in events]


@contextmanager
def background(publisher: Publisher, per_s: int) -> Iterator[None]:
    """Publish calm events evenly until the block ends."""
    stop, failed = threading.Event(), list[str]()
    events = records(kinds(), 10**9, seed=int(time.time()))

    def run() -> None:
        began, sent = time.monotonic(), 0
        while not stop.wait(BACKGROUND_STEP_S):
            due = int((time.monotonic() - began) * per_s) - sent
            chosen = [OutgoingRecord(key=key, value=value) for key, value in islice(events, due)]
            publisher.publish(RAW_TOPIC, chosen, lambda errors: failed.extend(e for e in errors if e))
            sent += due

    thread = threading.Thread(target=run, name="background", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert not failed, failed[0]


def _lose_signups(connection: Connection, minute: int) -> None:
    """Write an hour of signups that ended 15 minutes before the end of `minute`, for several series."""
    series = [
        Series(f"proj_drop_{n}", "prod", "signup_count", "signup|prod", "org_bench") for n in range(SERIES)
    ]
    past = {(one, minute - back): 11 for one in series for back in range(15, 76)}
    newest = dict.fromkeys(series, minute - 15)
    partitions = {one: number % 6 for number, one in enumerate(series)}
    with connection.transaction():
        buckets.increment(connection, past)
        rule_states.insert(connection, newest, partitions, by_clock=True)


def _count(connection: Connection, fingerprints: str) -> int:
    row = connection.execute(OPENED, [fingerprints]).fetchone()
    assert row is not None
    return int(row[0])


def _is_next(consumer: Consumer, value: bytes) -> bool:
    message = consumer.poll(0.1)
    return message is not None and message.value() == value


def wait_for(is_so: Callable[[], object], within_s: float = WITHIN_S) -> None:
    """Poll every millisecond until the condition holds."""
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, "the condition did not hold before the deadline"
        time.sleep(POLL_S)


def percentiles(taken_s: list[float], wall_s: float, cpu_s: float) -> Round:
    """Return the round with its percentiles; of few values the 99th is the largest."""
    cuts = quantiles(taken_s, n=100, method="inclusive")
    extra = {
        "p50_ms": cuts[49] * 1000,
        "p95_ms": cuts[94] * 1000,
        "p99_ms": cuts[98] * 1000,
        "max_ms": max(taken_s) * 1000,
    }
    return Round(events=len(taken_s), wall_s=wall_s, cpu_s=cpu_s, extra=extra)


@contextmanager
def _servers(plan: Plan) -> Iterator[Bench]:
    spikes = plan.pick(full=100, quick=40, tiny=3)  # full: 10 s a round, and a 99th percentile
    with open_servers(plan, "postgres", "kafka") as servers:
        kafka = servers.kafka()
        ensure_topics(kafka)
        remember(servers.prepare_template(), kinds(), len(kinds()))
        yield Bench(plan=plan, servers=servers, kafka=kafka, spikes=spikes)


@contextmanager
def _open_spikes(plan: Plan) -> Iterator[list[Contender]]:
    with _servers(plan) as bench:
        yield [
            Contender(name="Kafka round trip", role="limit", run=bench.round_trip, note="one record"),
            Contender(name="idle", role="ours", run=partial(bench.spike, 0)),
            Contender(name="loaded", role="ours", run=partial(bench.spike, BACKGROUND_PER_S)),
        ]


@contextmanager
def _open_drops(plan: Plan) -> Iterator[list[Contender]]:
    with _servers(plan) as bench:
        yield [Contender(name="drop", role="ours", run=bench.drop)]


SHOWN: Final = ("p50_ms", "p99_ms", "max_ms", "cpu_us")
ROWS: Final = (
    Row(
        name="latency",
        title="last answer to a batch of 30 errors → open incident",
        unit="incident",
        method="One spike of a new fingerprint after the other, through the product's publisher and its "
        "engine in a process of its own: no HTTP, no indexer beside it. Looked for each millisecond. Loaded: "
        "beside 1,000 others a second.",
        open=_open_spikes,
        shown=SHOWN,
        targets=(
            Target(sentence="idle p50 ≤ 40 ms", figure="p50_ms", at_most=40, ours="idle"),
            Target(sentence="idle p99 ≤ 150 ms", figure="p99_ms", at_most=150, ours="idle"),
            Target(sentence="loaded p99 ≤ 500 ms", figure="p99_ms", at_most=500, ours="loaded"),
        ),
    ),
    Row(
        name="latency-drop",
        title="signups fall away → open incident, from the end of the minute that proves it",
        unit="incident",
        method="Twelve series, two a partition, whose last 15 minutes become empty with the running minute; "
        "the engine ticks once a second.",
        open=_open_drops,
        shown=SHOWN,
        targets=(Target(sentence="≤ 1 tick + 1 s", figure="max_ms", at_most=(TICK_S + 1) * 1000),),
    ),
)
