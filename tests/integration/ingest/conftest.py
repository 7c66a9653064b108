"""ingest-api in this process, over real keys in PostgreSQL and a real Kafka."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from unittest.mock import patch

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from serve_apps.ingest import replica
from serve_apps.ingest.intake import IngestResources
from serve_apps.ingest.replica import build_ingest_api
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.publisher import Publisher, open_publisher
from signals.clients.postgres import Connection
from signals.domain.access.limits import NO_LIMITS, KeyLimits
from signals.domain.access.scopes import Scope
from signals.services.access.authentication import KeyAuthenticator
from signals.services.access.provisioning import IssuedKey, create_org, create_project, issue_key
from signals.services.access.quotas import Quotas
from signals.services.events.ingestion import Ingestion
from signals.services.ledger.audit import LedgerAudit, NotEvents
from signals.services.ledger.entries import LedgerWriter
from signals.settings import KafkaSettings
from tests.support.events import TENANCY
from tests.support.waiting import until


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecord:
    """A record of the raw topic."""

    partition: int
    key: bytes
    value: bytes


Stored = Callable[[], list[StoredRecord]]


@pytest.fixture
def key(pool: ConnectionPool[Connection]) -> IssuedKey:
    """An ingest key of org_1 and proj_1."""
    create_org(pool, TENANCY.org_id, "An organisation")
    create_project(pool, TENANCY.project_id, org_id=TENANCY.org_id, name="A project")
    return issue_key(pool, TENANCY.project_id, Scope.INGEST)


@pytest.fixture
def public(pool: ConnectionPool[Connection], key: IssuedKey) -> IssuedKey:
    """A key for pages of any origin, of the same project."""
    return issue_key(pool, key.project_id, Scope.PUBLIC)


@pytest.fixture
def publisher(kafka: KafkaSettings) -> Iterator[Publisher]:
    """A publisher whose acknowledgements ingest-api serves, as in its replica."""
    with open_publisher(kafka, polls_itself=False) as publisher:
        publisher.get_ready(RAW_TOPIC, within_s=60)
        yield publisher


@contextmanager
def ingest_client(
    pool: ConnectionPool[Connection],
    publisher: Publisher,
    *,
    cache_s: float = 60.0,
    root_path: str = "",
    limits: KeyLimits = NO_LIMITS,
    answer_within_s: float = 10.0,
) -> Iterator[TestClient]:
    """Serve ingest-api in this process; a crash becomes a 500, as it would be outside.

    On a busy machine a new topic's first record takes longer than the product waits.
    """
    ledger_writer = LedgerWriter(pool)
    with Quotas(pool) as quotas, patch.object(replica, "ANSWER_WITHIN_S", answer_within_s):
        resources = IngestResources(
            authenticator=KeyAuthenticator(pool, cache_s=cache_s, default_limits=limits),
            quotas=quotas,
            ingestion=Ingestion(publisher, ledger_writer.accepted),
            ledger_writer=ledger_writer,
        )
        app = build_ingest_api(resources)
        with TestClient(app, root_path=root_path, raise_server_exceptions=False) as client:
            yield client


@pytest.fixture
def anonymous(pool: ConnectionPool[Connection], publisher: Publisher) -> Iterator[TestClient]:
    """A client without a key."""
    with ingest_client(pool, publisher) as client:
        yield client


@pytest.fixture
def client(anonymous: TestClient, key: IssuedKey) -> TestClient:
    """A client with the ingest key."""
    anonymous.headers["Authorization"] = f"Bearer {key.text}"
    return anonymous


def _length(consumer: Consumer, partition: TopicPartition) -> int:
    found = until(lambda: _watermarks(consumer, partition))
    assert found is not None
    oldest, end = found
    return int(end - oldest)


def _watermarks(consumer: Consumer, partition: TopicPartition) -> tuple[int, int] | None:
    """Ask again when a broker that was away has no leader yet."""
    try:
        return consumer.get_watermark_offsets(partition, timeout=10)
    except KafkaException:
        return None


@pytest.fixture
def stored(kafka: KafkaSettings) -> Iterator[Stored]:
    """Reads all that the raw topic holds at the moment of the call."""
    consumer = Consumer({"bootstrap.servers": kafka.kafka_brokers, "group.id": "ingest-test"})

    def read() -> list[StoredRecord]:
        partitions = [TopicPartition(RAW_TOPIC, number) for number in range(kafka.signals_partitions)]
        count = sum(_length(consumer, partition) for partition in partitions)
        consumer.assign([TopicPartition(RAW_TOPIC, p.partition, 0) for p in partitions])
        messages = consumer.consume(count, timeout=60) if count else []
        assert len(messages) == count
        return [
            StoredRecord(partition=m.partition() or 0, key=m.key() or b"", value=m.value() or b"")
            for m in messages
        ]

    yield read
    consumer.close()


@pytest.fixture
def nothing_stored(stored: Stored) -> Iterator[None]:
    """A refused request must leave nothing in Kafka."""
    yield
    assert stored() == []


def not_events(
    pool: ConnectionPool[Connection], since: datetime, until_at: datetime, *, at_least: int
) -> list[NotEvents]:
    """Return what became no event of proj_1, empty until there are so many lines of it."""
    rows = LedgerAudit(pool).not_events("proj_1", since, until_at)
    return rows if len(rows) >= at_least else []
