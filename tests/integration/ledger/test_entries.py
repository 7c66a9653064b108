"""Each record is entered once, with what became of it, through repeats, rubbish, crashes and rivals."""

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from psycopg_pool import ConnectionPool
from structlog.testing import capture_logs

from shared_types import Tenancy
from signals.clients.kafka import ENGINE_GROUP, INDEXER_GROUP, RAW_TOPIC
from signals.clients.kafka.publisher import OutgoingRecord, Publisher
from signals.clients.postgres import Connection, transaction
from signals.errors import DependencyUnavailable, Fenced
from signals.services.ledger.audit import LedgerAudit
from signals.settings import KafkaSettings
from signals.store.operations import offsets
from tests.integration.ledger.conftest import (
    TEN_MINUTES_AGO,
    Open,
    accept,
    now,
    outcomes,
    received,
)
from tests.support.consuming import drain
from tests.support.events import NOON, errors, event, publish
from tests.support.waiting import until


def test_sums_equal_offsets_despite_repeats_and_broken_records(
    engine: Open, indexer: Open, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    counted = list(errors(20, NOON))
    other = [event("deploy", NOON, release="2", tenancy=Tenancy("org_2", "proj_2"))]
    publish(publisher, [*counted, *counted[:5], *other])
    rubbish = [
        OutgoingRecord(key=b"org_1|proj_1|error", value=b"no json"),
        OutgoingRecord(key=b"a|\xff|b", value=b"no json"),
    ]
    publisher.publish_and_wait(RAW_TOPIC, rubbish)
    for session in (engine, indexer):
        with session() as consumer:
            drain(consumer)
    dead = {("proj_1", "dead_lettered"): 1, ("", "dead_lettered"): 1}
    assert outcomes(pool, "incident-engine") == dead | {
        ("proj_1", "counted"): 20,
        ("proj_1", "duplicate"): 5,
        ("proj_2", "uncounted"): 1,
    }
    assert outcomes(pool, "indexer") == dead | {
        ("proj_1", "indexed"): 20,
        ("proj_1", "duplicate"): 5,
        ("proj_2", "indexed"): 1,
    }
    with pool.connection() as connection:
        moved = connection.execute("SELECT sum(next_offset) FROM pipeline.offsets").fetchone()
        entered = connection.execute("SELECT sum(events) FROM pipeline.ledger").fetchone()
    assert moved == entered == (2 * 28,)


def test_a_document_created_before_a_crash_is_indexed_not_a_duplicate(
    indexer: Open,
    pool: ConnectionPool[Connection],
    publisher: Publisher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events = list(errors(10, NOON))
    publish(publisher, [*events, *events[:3]])

    def crash(*_: object, **__: object) -> None:
        raise DependencyUnavailable("PostgreSQL", "it went away between bulk and commit")

    with monkeypatch.context() as patched, indexer() as consumer:
        patched.setattr(offsets, "advance", crash)
        with pytest.raises(DependencyUnavailable, match="between bulk and commit"):
            until(lambda: consumer.step(0.1) and False)
    assert outcomes(pool, "indexer") == {}
    with indexer() as consumer:
        drain(consumer)
    assert outcomes(pool, "indexer") == {("proj_1", "indexed"): 10, ("proj_1", "duplicate"): 3}


@pytest.mark.parametrize("stage", ["incident-engine", "indexer"])
def test_a_fenced_consumer_enters_nothing(
    stage: str,
    engine: Open,
    indexer: Open,
    pool: ConnectionPool[Connection],
    publisher: Publisher,
) -> None:
    with (engine if stage == "incident-engine" else indexer)() as consumer:
        drain(consumer)
        publish(publisher, errors(10, NOON))
        with pool.connection() as connection:
            connection.execute("UPDATE pipeline.offsets SET next_offset = next_offset + 1")
        with pytest.raises(Fenced):
            until(lambda: consumer.step(0.1) and False)
    assert outcomes(pool, stage) == {}


def test_records_deleted_before_reading_are_logged_and_missing(
    engine: Open,
    indexer: Open,
    pool: ConnectionPool[Connection],
    publisher: Publisher,
    kafka: KafkaSettings,
) -> None:
    at = now() - TEN_MINUTES_AGO
    accept(pool, 7, at)
    publish(publisher, received(list(errors(7, NOON)), at))
    admin = AdminClient({"bootstrap.servers": kafka.kafka_brokers})
    everything = [TopicPartition(RAW_TOPIC, partition, -1) for partition in range(3)]
    for deletion in admin.delete_records(everything).values():
        deletion.result(timeout=60)
    with capture_logs() as logs:
        for session, group in ((engine, ENGINE_GROUP), (indexer, INDEXER_GROUP)):
            with session() as consumer:
                drain(consumer)
                until(lambda: consumer.step(0.1) == 0 and _is_complete(pool, group))  # noqa: B023  # called here only
    told = [entry for entry in logs if entry["event"] == "records gone before they were read"]
    assert sum(entry["count"] for entry in told) == 2 * 7
    assert LedgerAudit(pool).audit().missing == {"incident-engine": 7, "indexer": 7}


def _is_complete(pool: ConnectionPool[Connection], group: str) -> bool:
    with transaction(pool) as connection:
        return offsets.complete_until(connection, group=group, topic=RAW_TOPIC) is not None
