"""Feeds series of the corpus to the real engine: Kafka, its loop body, PostgreSQL, and a clock that leaps.

Each series is a project of its own. The clock stands at the end of what was published, so that the engine
judges silence by it as in a running product.
"""

import random
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, LiteralString

from psycopg_pool import ConnectionPool

from benchmarks.detection.corpus import DAY, GIVEN, LabelledSeries, counts_of
from benchmarks.detection.scoring import Opened
from benchmarks.events import EventKind, kind_of
from benchmarks.rounds import Plan
from benchmarks.servers import open_servers
from shared_types import Tenancy
from signals.clients.kafka import ENGINE_GROUP, RAW_TOPIC
from signals.clients.kafka.connection import ensure_topics
from signals.clients.kafka.publisher import OutgoingRecord, Publisher, open_publisher
from signals.clients.postgres import Connection, open_pool, transaction
from signals.domain.detection.buckets import instant_of, minute_of
from signals.services.detection import IncidentEngine
from signals.settings import KafkaSettings
from signals.store.operations import offsets

LEAP: Final = DAY // 2  # minutes of the simulated clock; the engine catches up with a day of silence
PARTITIONS: Final = 3
POLL_S: Final = 0.1
STUCK_S: Final = 120.0  # for half a day of events; a machine ten times slower takes some seconds

CONFIRMED: LiteralString = """
SELECT i.project_id, i.opened_at, s.ended_at
FROM incidents i JOIN pipeline.incident_states s ON s.incident_id = i.id
WHERE s.verdict = 'confirmed'
ORDER BY i.project_id, i.opened_at
"""


class _Clock:
    """The simulated time."""

    def __init__(self, minute: int) -> None:
        self.now = instant_of(minute)

    def __call__(self) -> datetime:
        return self.now


def confirmed_by_engine(
    series: Sequence[LabelledSeries],
    kafka: KafkaSettings,
    pool: ConnectionPool[Connection],
    publisher: Publisher,
) -> list[list[Opened]]:
    """Return the confirmed incidents of each series; all begin in the same week (`weeks.moved`).

    Needs empty topics and an empty database. Twenty seconds for 175,000 events on two idle cores.
    """
    counts = [counts_of(GIVEN, one) for one in series]
    kinds = [_kind(one) for one in series]
    begin = min(one.start_minute for one in series)
    end = max(one.start_minute + one.minutes for one in series)
    chance = random.Random(begin)
    clock = _Clock(begin)
    with IncidentEngine(kafka, pool, publisher, tick_s=0, clock=clock) as engine:
        for start in range(begin, end, LEAP):
            stop = min(end, start + LEAP)
            records = [
                OutgoingRecord(key=kind.key, value=value)
                for minute in range(start, stop)
                for kind, of_series in zip(kinds, counts, strict=True)
                for value in _values(kind, minute, of_series.get(minute, 0), chance)
            ]
            publisher.publish_and_wait(RAW_TOPIC, records)
            clock.now = instant_of(stop)
            _drain(engine, pool, clock.now)
    return _read(pool, series)


def _kind(series: LabelledSeries) -> EventKind:
    """Return the template of a series' events, in a project of that name."""
    is_signup = series.metric == "signup_count"
    attributes = {} if is_signup else {"error_code": "SCORED", "route": "/scored"}
    body: dict[str, object] = {
        "event_type": "signup" if is_signup else "error",
        "severity": "info" if is_signup else "error",
        "message": "An event of the corpus",
        "attributes": attributes,
    }
    return kind_of(body, Tenancy("org_score", series.series))


def _values(kind: EventKind, minute: int, count: int, chance: random.Random) -> Iterator[bytes]:
    at = instant_of(minute)
    for number in range(count):
        event_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        yield kind.at(event_id, at + timedelta(seconds=60 * number / count))


def _drain(engine: IncidentEngine, pool: ConnectionPool[Connection], until: datetime) -> None:
    """Step until everything published is counted and silence is judged up to `until`."""
    deadline = time.monotonic() + STUCK_S
    while time.monotonic() < deadline:
        engine.step(POLL_S)
        if engine.lag() or not engine.owned():
            continue
        with transaction(pool) as connection:
            reached = offsets.complete_until(connection, group=ENGINE_GROUP, topic=RAW_TOPIC)
        if reached is not None and reached >= until:
            return
    raise TimeoutError(f"the engine did not reach {until} within {STUCK_S:g} s")


def _read(pool: ConnectionPool[Connection], series: Sequence[LabelledSeries]) -> list[list[Opened]]:
    """Read the incidents; those after a series' end belong to its silence."""
    found: dict[str, list[Opened]] = {one.series: [] for one in series}
    ends = {one.series: one.start_minute + one.minutes for one in series}
    with transaction(pool) as connection:
        rows = connection.execute(CONFIRMED).fetchall()
    for name, opened_at, ended_at in rows:
        opened, ended = minute_of(opened_at), minute_of(ended_at) if ended_at else None
        if opened < ends[name]:
            is_over = ended is not None and ended < ends[name]
            found[name].append(Opened(name, opened, ended if is_over else None))
    return list(found.values())


@contextmanager
def _on_servers() -> Iterator[tuple[KafkaSettings, ConnectionPool[Connection], Publisher]]:
    """Start Kafka and PostgreSQL with empty topics and an empty database, gone at the end of the block."""
    with TemporaryDirectory(prefix="score-") as folder:
        plan = Plan(size="full", folder=Path(folder))
        with open_servers(plan, "postgres", "kafka") as servers:
            kafka = servers.kafka(partitions=PARTITIONS)
            ensure_topics(kafka)
            servers.prepare_template()
            with (
                servers.fresh_database() as database,
                open_pool(database, size=2) as pool,
                open_publisher(kafka) as publisher,
            ):
                yield kafka, pool, publisher


def confirmed_on_servers(series: Sequence[LabelledSeries]) -> list[list[Opened]]:
    """Return the confirmed incidents of each series, on servers of its own."""
    with _on_servers() as (kafka, pool, publisher):
        return confirmed_by_engine(series, kafka, pool, publisher)
