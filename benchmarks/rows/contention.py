"""Scale-out: the cost of PostgreSQL as the shared resource of two detectors on one topic."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final, LiteralString
from uuid import uuid4

import psycopg

from benchmarks.backlog import empty, fill, remember
from benchmarks.cpu import spent, tree_cpu_s
from benchmarks.events import EventKind, kinds
from benchmarks.rounds import Contender, Plan, Round, Row, Target
from benchmarks.servers import Servers, open_servers
from benchmarks.timing import Running, ours, started
from signals.clients.kafka import ENGINE_GROUP
from signals.clients.postgres import Connection, conninfo
from signals.settings import KafkaSettings, PostgresSettings

PARTITIONS: Final = 6
FIRING: Final = 0.57  # so that incidents are written as well
JOIN_WITHIN_S: Final = 30.0
END_WITHIN_S: Final = 60.0
POLL_S: Final = 0.002
OFFSETS: LiteralString = (
    "SELECT coalesce(sum(next_offset), 0) FROM pipeline.offsets WHERE consumer_group = %s"
)
WAITING: LiteralString = """
SELECT count(*) FILTER (WHERE wait_event_type = 'Lock'), count(*)
FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'signals' AND state = 'active'
  AND pid <> pg_backend_pid()
"""


@dataclass(slots=True)
class Waits:
    """How often a busy backend was seen waiting for another transaction's lock."""

    busy: int = 0
    waiting: int = 0

    def sample(self, connection: Connection) -> None:
        """Take one sample."""
        row = connection.execute(WAITING).fetchone()
        assert row is not None
        self.waiting += row[0]
        self.busy += row[1]

    def percent(self) -> float:
        """Return the share of busy backends that waited, in percent."""
        assert self.busy, "no busy backend was sampled"
        return 100 * self.waiting / self.busy


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Detectors that divide a topic's partitions before its events arrive."""

    plan: Plan
    servers: Servers
    kafka: KafkaSettings
    events: int
    chosen: list[EventKind]

    def detect(self, detectors: int) -> Round:
        """Let `detectors` processes join, then publish, and time them until all is committed."""
        empty(self.kafka)
        with ExitStack() as stack:
            settings = stack.enter_context(self.servers.fresh_database())
            connection = stack.enter_context(psycopg.connect(conninfo(settings), autocommit=True))
            programs = [self._start(stack, settings) for _ in range(detectors)]
            _share_out(programs)
            meters: dict[str, Callable[[], float]] = {
                "detectors_cpu_s": lambda: sum(tree_cpu_s(one.pid) for one in programs),
                **self.servers.meters(),
            }
            waits, began = Waits(), time.monotonic()
            with spent(meters) as used:
                filling = threading.Thread(target=fill, args=(self.kafka, self.chosen, self.events))
                filling.start()
                _watch(connection, self.events, waits, programs)
                filling.join()
            wall_s = time.monotonic() - began
        cpu_s = used.pop("detectors_cpu_s")
        extra = {**used, "lock_waits_percent": waits.percent(), "samples": float(waits.busy)}
        return Round(events=self.events, wall_s=wall_s, cpu_s=cpu_s, extra=extra)

    def _start(self, stack: ExitStack, settings: PostgresSettings) -> Running:
        environment = {
            "KAFKA_BROKERS": self.kafka.kafka_brokers,
            "KAFKA_GROUP_PROTOCOL": self.kafka.kafka_group_protocol,
            "DATABASE_URL": settings.database_url.get_secret_value(),
            "PG_SSLMODE": "disable",
        }
        log = self.plan.folder / f"detector-{uuid4().hex[:8]}.log"
        return stack.enter_context(started(ours("detect", environment), log))


def _share_out(programs: list[Running]) -> None:
    """Wait until each owns its share of the partitions."""
    deadline = time.monotonic() + JOIN_WITHIN_S
    owned = dict.fromkeys(range(len(programs)), 0)
    while list(owned.values()) != [PARTITIONS // len(programs)] * len(programs):
        assert time.monotonic() < deadline, f"partitions owned: {list(owned.values())}"
        for number, program in enumerate(programs):
            program.check()
            owned[number] = program.newest("owns") or owned[number]
        time.sleep(POLL_S)


def _watch(connection: Connection, events: int, waits: Waits, programs: list[Running]) -> None:
    """Sample lock waits until everything is committed."""
    deadline = time.monotonic() + END_WITHIN_S
    while True:
        waits.sample(connection)
        row = connection.execute(OFFSETS, [ENGINE_GROUP]).fetchone()
        if row is not None and row[0] >= events:
            return
        for program in programs:
            program.check()
        assert time.monotonic() < deadline, f"only {row} of {events} committed"
        time.sleep(POLL_S)


@contextmanager
def _open(plan: Plan) -> Iterator[list[Contender]]:
    chosen = kinds()
    with open_servers(plan, "postgres", "kafka") as servers:
        remember(servers.prepare_template(), chosen[round(FIRING * len(chosen)) :], len(chosen))
        bench = Bench(
            plan=plan,
            servers=servers,
            kafka=servers.kafka(partitions=PARTITIONS),
            events=plan.pick(full=150_000, quick=60_000, tiny=10_000),
            chosen=chosen,
        )
        yield [
            Contender(
                name="one detector",
                role="limit",
                run=lambda: bench.detect(1),
                note="no other transaction to wait for",
            ),
            Contender(name="two detectors", role="ours", run=lambda: bench.detect(2)),
        ]


ROW: Final = Row(
    name="contention",
    title="two detectors, three partitions each, one PostgreSQL",
    unit="event",
    method=(
        "Both have joined before the events are published; 57 % of them are on firing fingerprints, so that "
        "incidents are written too. Two cores are shared by all, so the rate says little: processor time an "
        "event must not grow, and busy backends of PostgreSQL are asked fifty times a second whether they "
        "wait for a lock of the other."
    ),
    open=_open,
    shown=("rate", "cpu_us", "postgres_cpu_us", "lock_waits_percent", "samples"),
    targets=(
        Target(sentence="lock waits ≤ 2 % of busy time", figure="lock_waits_percent", at_most=2.0),
        Target(sentence="≤ 1.25× the CPU of one", figure="cpu_us", at_most=1.25, of="limit"),
        Target(
            sentence="≤ 1.25× PostgreSQL's CPU for one", figure="postgres_cpu_us", at_most=1.25, of="limit"
        ),
    ),
)
