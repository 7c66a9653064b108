"""The incident engine on events that come late, in bulk, or from another day."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, LiteralString

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.kafka.publisher import Publisher
from signals.clients.postgres import Connection
from signals.services.detection import IncidentEngine
from signals.settings import KafkaSettings
from tests.support.consuming import drain, own_all
from tests.support.events import NOON, errors, publish, signups


@pytest.fixture
def session(
    kafka: KafkaSettings, pool: ConnectionPool[Connection], publisher: Publisher
) -> Iterator[IncidentEngine]:
    """A session of the engine that owns its partitions; its tick rests."""
    with IncidentEngine(kafka, pool, publisher, tick_s=3600) as session:
        own_all(session)
        yield session


def rows(pool: ConnectionPool[Connection], query: LiteralString) -> list[tuple[Any, ...]]:
    with pool.connection() as connection:
        return connection.execute(query).fetchall()


def test_two_days_of_a_fingerprint_in_a_batch_make_two_incidents(
    session: IncidentEngine, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    publish(publisher, [*errors(40, NOON, every_s=0.5), *errors(70, NOON + timedelta(days=1), every_s=0.5)])
    drain(session)
    # Where a batch ends in the minute of the opening decides the second that is noted: Kafka may give two.
    assert rows(
        pool,
        "SELECT severity, status, date_trunc('minute', opened_at), last_seen_at FROM incidents"
        " ORDER BY opened_at",
    ) == [
        ("warn", "resolved", NOON, NOON + timedelta(seconds=19.5)),
        ("error", "open", NOON + timedelta(days=1), NOON + timedelta(days=1, seconds=34.5)),
    ]
    assert rows(pool, "SELECT occurred_at::date, count(*) FROM incident_events GROUP BY 1 ORDER BY 1") == [
        (NOON.date(), 3),
        ((NOON + timedelta(days=1)).date(), 3),
    ]
    assert rows(pool, "SELECT count(*) FROM ai_jobs") == [(2,)]


def test_late_spike_keeps_last_seen_and_the_newest_numbers(
    session: IncidentEngine, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    publish(publisher, errors(45, NOON))
    drain(session)
    publish(publisher, errors(31, NOON - timedelta(hours=3)))
    drain(session)
    ((opened_at, last_seen_at),) = rows(pool, "SELECT opened_at, last_seen_at FROM incidents")
    assert last_seen_at == NOON + timedelta(seconds=44)
    # The event that fires, or the last one of its batch: Kafka decides where a batch ends.
    assert NOON + timedelta(seconds=29) <= opened_at <= last_seen_at
    assert rows(
        pool, "SELECT minute_at, count FROM pipeline.incident_evaluations WHERE moment = 'latest'"
    ) == [(NOON, 45)]


def test_minute_in_several_batches_opens_one_incident(
    session: IncidentEngine, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    spike = list(errors(36, NOON))
    for start in range(0, 36, 6):
        publish(publisher, spike[start : start + 6])
        drain(session)
    assert rows(pool, "SELECT opened_at, last_seen_at FROM incidents") == [
        (NOON + timedelta(seconds=29), NOON + timedelta(seconds=35))
    ]
    assert rows(pool, "SELECT count(*) FROM incident_events") == [(3,)]


def test_trickling_signups_open_the_drop_without_a_tick(
    session: IncidentEngine, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    publish(publisher, signups(240, NOON, every_s=15))
    publish(publisher, signups(2, NOON + timedelta(minutes=75), every_s=20))
    drain(session)
    assert rows(pool, "SELECT fingerprint, severity, opened_at FROM incidents") == [
        ("signup|prod", "critical", NOON + timedelta(minutes=72))
    ]
