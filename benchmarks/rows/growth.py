"""Growth: the cost of an event with more bucket rows, fingerprints or partitions."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, LiteralString
from uuid import uuid4

import psycopg

from benchmarks.backlog import empty, fill
from benchmarks.events import START, EventKind, kinds
from benchmarks.rounds import Contender, Plan, Round, Row, Target
from benchmarks.scaling import EACH_ITS_ROW
from benchmarks.servers import Servers, open_servers
from benchmarks.timing import Race, ours, timed
from signals.clients.kafka import ENGINE_GROUP
from signals.clients.postgres import Connection, conninfo, open_pool
from signals.errors import DependencyUnavailable
from signals.services.operations.retention import Retention
from signals.settings import PostgresSettings, RetentionSettings

FEW_ROWS: Final = 10_000
FEW_FINGERPRINTS: Final = 100
RETENTION_EVERY_S: Final = 1.0
FILL: LiteralString = """
INSERT INTO metrics_buckets (org_id, project_id, environment, metric_name, fingerprint,
                             bucket_start, bucket_seconds, value, updated_at)
SELECT 'org_old', 'proj_' || f %% 40, 'prod', 'error_count', 'OLD_' || f || '|/r|prod',
       %(before)s - make_interval(mins => m), 60, 5, now() - interval '40 days'
FROM generate_series(1, %(fingerprints)s) f, generate_series(1, %(minutes)s) m
"""
RESET: Final[tuple[LiteralString, ...]] = (
    "TRUNCATE pipeline.offsets, pipeline.ledger, pipeline.rule_series CASCADE",
    "TRUNCATE incidents CASCADE",
    "DELETE FROM metrics_buckets WHERE org_id <> 'org_old'",
    "VACUUM metrics_buckets",
)
COMMITTED: LiteralString = (
    "SELECT coalesce(sum(next_offset), 0) FROM pipeline.offsets WHERE consumer_group = %s"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One size of everything; the topic is made and filled for each round, since its name is fixed."""

    plan: Plan
    servers: Servers
    database: PostgresSettings
    partitions: int
    chosen: list[EventKind]
    events: int

    def detect_beside_retention(self) -> Round:
        """Count a backlog while old buckets are removed, a round a second (by default a minute)."""
        stop, failed = threading.Event(), list[Exception]()

        def remove() -> None:
            try:
                with open_pool(self.database, size=1) as pool:
                    retention = Retention(pool, RetentionSettings())
                    while not stop.wait(RETENTION_EVERY_S):
                        retention.round()
            except DependencyUnavailable as error:
                failed.append(error)

        thread = threading.Thread(target=remove, name="retention", daemon=True)
        thread.start()
        try:
            return self.detect()
        finally:
            stop.set()
            thread.join()
            assert not failed, failed

    def detect(self) -> Round:
        """Count a backlog; `cost_us` is the processor time of engine and PostgreSQL an event."""
        kafka = self.servers.kafka(partitions=self.partitions)
        empty(kafka)
        fill(kafka, self.chosen, self.events)
        environment = {
            "KAFKA_BROKERS": kafka.kafka_brokers,
            "KAFKA_GROUP_PROTOCOL": kafka.kafka_group_protocol,
            "DATABASE_URL": self.database.database_url.get_secret_value(),
            "PG_SSLMODE": "disable",
        }
        with psycopg.connect(conninfo(self.database), autocommit=True) as connection:
            for statement in RESET:
                connection.execute(statement)
            race = Race(
                wanted=self.events, durable=partial(_committed, connection), meters=self.servers.meters()
            )
            log = self.plan.folder / f"engine-{uuid4().hex[:8]}.log"
            found = timed(ours("detect", environment), race, log)
        cost_us = (found.cpu_s + found.extra["postgres_cpu_s"]) / found.events * 1e6
        return replace(found, extra={**found.extra, "cost_us": cost_us})


def _committed(connection: Connection) -> int:
    row = connection.execute(COMMITTED, [ENGINE_GROUP]).fetchone()
    assert row is not None
    return int(row[0])


def _many(count: int) -> list[EventKind]:
    """Make kinds that differ in their error code alone."""
    first = kinds(1)[0]
    code = first.envelope.attributes.error_code
    assert code is not None
    old = code.encode()
    return [
        replace(
            first,
            key=first.key.replace(old, b"CODE_%d" % n),
            template=first.template.replace(old, b"CODE_%d" % n),
        )
        for n in range(count)
    ]


def _crowd(settings: PostgresSettings, fingerprints: int, rows: int) -> PostgresSettings:
    """Fill a database with history: rows of the hours before the events."""
    parameters = {"before": START, "fingerprints": fingerprints, "minutes": rows // fingerprints}
    with psycopg.connect(conninfo(settings), autocommit=True) as connection:
        connection.execute(FILL, parameters)
        connection.execute("VACUUM ANALYZE metrics_buckets")
    return settings


@contextmanager
def _open(plan: Plan) -> Iterator[list[Contender]]:
    events = plan.pick(full=100_000, quick=60_000, tiny=6_000)  # five batches at least
    rows = plan.pick(full=5_000_000, quick=500_000, tiny=20_000)
    fingerprints = plan.pick(full=100_000, quick=10_000, tiny=1_000)
    with open_servers(plan, "postgres", "kafka") as servers, ExitStack() as stack:
        servers.prepare_template()
        few = _crowd(stack.enter_context(servers.fresh_database()), FEW_FINGERPRINTS, FEW_ROWS)
        many = _crowd(stack.enter_context(servers.fresh_database()), fingerprints, rows)
        base = Bench(
            plan=plan,
            servers=servers,
            database=few,
            partitions=6,
            chosen=_many(FEW_FINGERPRINTS),
            events=events,
        )
        yield [
            Contender(name="10 k rows", role="ours", run=base.detect),
            Contender(name="5 M rows", role="ours", run=replace(base, database=many).detect),
            Contender(
                name="5 M rows, retention",
                role="ours",
                run=replace(base, database=many).detect_beside_retention,
                note="old buckets are removed meanwhile, a round a second",
            ),
            Contender(name="1 partition", role="ours", run=replace(base, partitions=1).detect),
            Contender(name="24 partitions", role="ours", run=replace(base, partitions=24).detect),
            Contender(
                name=EACH_ITS_ROW,
                role="ours",
                run=replace(base, chosen=_many(fingerprints)).detect,
                note="each has one event: nothing adds up, every event is a row of its own",
            ),
        ]


def _flat(name: str, than: str) -> Target:
    return Target(sentence=f"{name}: flat, ± 20 %", figure="cost_us", at_most=1.2, ours=name, of=than)


ROW: Final = Row(
    name="growth",
    title="an event's cost as tables, fingerprints and partitions grow",
    unit="event",
    method="A backlog of one minute over 100 fingerprints, all firing; cost is the processor time of engine "
    "and PostgreSQL together. The large table holds 100 k fingerprints with 50 minutes each.",
    open=_open,
    shown=("cost_us", "cpu_us", "postgres_cpu_us", "rate"),
    targets=(
        _flat("5 M rows", "10 k rows"),
        _flat("24 partitions", "1 partition"),
        Target(
            sentence="retention: at least 80 % of the rate without",
            figure="rate",
            at_least=0.8,
            ours="5 M rows, retention",
            of="5 M rows",
        ),
        _flat("100 k fingerprints", "10 k rows"),
    ),
    limit_s=420.0,
)
