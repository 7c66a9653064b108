"""Admins requeue and drop dead letters of their own project only; the pipeline shows lag by partition."""

import io
import time

import pytest
from confluent_kafka import Producer
from psycopg_pool import ConnectionPool
from rich.console import Console

from signals.cli.status import reading_of
from signals.clients.kafka import ENGINE_GROUP, INDEXER_GROUP, RAW_TOPIC
from signals.clients.kafka.consumer import Record
from signals.clients.kafka.dead_letters import DeadLetter, dead_letter
from signals.clients.kafka.log_ends import log_ends
from signals.clients.kafka.publisher import OutgoingRecord, Publisher
from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from signals.settings import KafkaSettings
from tests.integration.console.conftest import BASE, Visitor
from tests.support.console_world import World

Pool = ConnectionPool[Connection]
PAGE = f"{BASE}/dead-letters"


@pytest.fixture
def brokers(kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch) -> KafkaSettings:
    """Kafka, and the environment that names it."""
    monkeypatch.setenv("KAFKA_BROKERS", kafka.kafka_brokers)
    return kafka


def publish_old(brokers: KafkaSettings, *, partition: int, records: int) -> None:
    """Publish records of an hour ago."""
    producer, at = Producer({"bootstrap.servers": brokers.kafka_brokers}), int((time.time() - 3600) * 1000)
    for _ in range(records):
        producer.produce(RAW_TOPIC, b"v", b"k", partition=partition, timestamp=at)
    assert producer.flush(30) == 0


def letter(number: int, key: bytes, value: bytes) -> DeadLetter:
    record = Record(RAW_TOPIC, 0, number, 1_700_000_000_000, key, value, None)
    return DeadLetter(record=record, stage="indexer", error="invalid_json", reason="a test said so")


def test_letters_are_shown_requeued_and_dropped(
    visitor: Visitor, pool: Pool, world: World, brokers: KafkaSettings, publisher: Publisher
) -> None:
    ours, theirs = b"demo|shop|error", b"org_2|proj_2|error"
    dead_letter(
        publisher, [letter(0, ours, b"<script>alert(1)</script>"), letter(1, theirs, b"their secret")]
    )
    dead_letter(publisher, [letter(2, ours, b"no json")])
    admin = visitor(Role.ADMIN)
    page = admin.get(PAGE).text
    assert "&lt;script&gt;" in page
    assert "their secret" not in page
    assert page.count('name="letter:') == 2
    assert 'name="letter:' not in visitor(Role.VIEWER).get(PAGE).text
    foreign = visitor(Role.ADMIN, org_id="org_2")
    given = {"act": "drop", "letter:0:0": "1"}
    assert "Dropped 0 of 1." in foreign.post("/console/p/proj_2/dead-letters", data=given).text
    before = sum(log_ends(brokers, RAW_TOPIC).values())
    assert "Requeued 1 of 1." in admin.post(PAGE, data={"act": "requeue", "letter:0:0": "1"}).text
    assert sum(log_ends(brokers, RAW_TOPIC).values()) == before + 1
    again = admin.post(PAGE, data={"act": "drop", "letter:0:0": "1", "letter:0:2": "1"}).text
    assert "Dropped 1 of 2. The others were decided already." in again
    assert "None: the stages could handle every record" in admin.get(PAGE).text
    with pool.connection() as connection:
        rows = connection.execute(
            "SELECT verb FROM people.audit WHERE verb LIKE 'dead letters%' AND actor LIKE 'user:%'"
            " ORDER BY verb"
        ).fetchall()
    assert rows == [("dead letters dropped",), ("dead letters requeued",)]


@pytest.mark.parametrize("given", [{"act": "burn", "letter:0:0": "1"}, {"act": "drop", "letter:x": "1"}])
def test_odd_choice_is_refused(visitor: Visitor, world: World, given: dict[str, str]) -> None:
    assert visitor(Role.ADMIN).post(PAGE, data=given).status_code == 422


def test_lag_is_shown_by_partition(
    visitor: Visitor, pool: Pool, world: World, brokers: KafkaSettings, publisher: Publisher
) -> None:
    publisher.publish_and_wait(RAW_TOPIC, [OutgoingRecord(key=b"k", value=b"v") for _ in range(7)])
    [partition] = [number for number, end in log_ends(brokers, RAW_TOPIC).items() if end]
    with pool.connection() as connection:
        connection.execute(
            "INSERT INTO pipeline.offsets (consumer_group, topic, partition, next_offset)"
            " VALUES ('signals-indexer', %s, %s, 4)",
            [RAW_TOPIC, partition],
        )
    page = visitor(Role.VIEWER).get(f"{BASE}/pipeline").text
    assert "<b>3</b>" in page
    assert "<b>7</b>" in page  # the engine has read nothing yet


def test_partition_that_stands_still_counts_in_every_verdict(
    visitor: Visitor, pool: Pool, world: World, brokers: KafkaSettings
) -> None:
    publish_old(brokers, partition=1, records=5)
    with pool.connection() as connection:
        for group, next_offset in ((INDEXER_GROUP, 5), (ENGINE_GROUP, 0)):
            connection.execute(
                "INSERT INTO pipeline.offsets (consumer_group, topic, partition, next_offset, updated_at)"
                " VALUES (%s, %s, 1, %s, now() - interval '1 hour')",
                [group, RAW_TOPIC, next_offset],
            )
    reader = visitor(Role.VIEWER)
    page = reader.get(f"{BASE}/pipeline").text
    assert "<title>NOT WELL" in page
    assert "Partition 1 of incident-engine stands still: 5 records wait." in page
    assert "of indexer" not in page
    assert "stands still</b>" in page[page.index("Lag by partition") :]
    overview = reader.get(f"{BASE}/").text
    assert "Not every part works" in overview
    assert "Partition 1 of incident-engine stands still: 5 records wait." in overview
    answer = reader.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert answer.json()["stages"] == [
        {"stage": "incident-engine", "progress": "standing", "waiting": 5, "partitions": [1]},
        {"stage": "indexer", "progress": "well", "waiting": 0, "partitions": []},
    ]
    out = io.StringIO()
    Console(file=out, width=120).print(reading_of(pool))
    rows = [line.split() for line in out.getvalue().splitlines()]
    assert ["incident-engine", "stands", "still", "1", "5"] in rows
    assert ["indexer", "keeps", "up", "all", "0"] in rows


def test_pages_say_that_kafka_is_away(
    visitor: Visitor, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BROKERS", "127.0.0.1:9")
    reader = visitor(Role.VIEWER)
    assert "Kafka does not answer" in reader.get(f"{BASE}/pipeline").text
    monkeypatch.delenv("KAFKA_BROKERS")
    assert "Kafka does not answer" in reader.get(PAGE).text
