"""Sessions of both consumers on real servers, and ways to read and plant the ledger."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from psycopg_pool import ConnectionPool

from shared_types import Envelope
from signals.clients.kafka.publisher import Publisher
from signals.clients.opensearch.connection import Client
from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import minute_of
from signals.domain.ledger import LedgerAccount
from signals.services.detection import IncidentEngine
from signals.services.indexing import EventIndexer, Writer
from signals.settings import KafkaSettings
from signals.store.ledger import ledger
from tests.support.events import TENANCY

Open = Callable[[], AbstractContextManager[IncidentEngine | EventIndexer]]
TEN_MINUTES_AGO = timedelta(minutes=10)


@pytest.fixture
def engine(kafka: KafkaSettings, pool: ConnectionPool[Connection], publisher: Publisher) -> Open:
    """Opens sessions of the engine."""

    @contextmanager
    def open_session() -> Iterator[IncidentEngine]:
        with IncidentEngine(kafka, pool, publisher, tick_s=0.5) as session:
            yield session

    return open_session


@pytest.fixture
def indexer(
    kafka: KafkaSettings, pool: ConnectionPool[Connection], opensearch: Client, publisher: Publisher
) -> Open:
    """Opens sessions of the indexer."""

    @contextmanager
    def open_session() -> Iterator[EventIndexer]:
        with EventIndexer(kafka, pool, Writer(opensearch), publisher, tick_s=0.5) as session:
            yield session

    return open_session


def received(events: list[Envelope], at: datetime) -> list[Envelope]:
    """Return the events as if they had been received at `at`."""
    return [event.model_copy(update={"received_at": at}) for event in events]


def accept(pool: ConnectionPool[Connection], count: int, at: datetime) -> None:
    """Enter events as ingest-api does."""
    account = LedgerAccount(TENANCY.project_id, minute_of(at), "ingest-api", "accepted")
    with transaction(pool) as connection:
        ledger.add(connection, {account: count})


def outcomes(pool: ConnectionPool[Connection], stage: str) -> Counter[tuple[str, str]]:
    """Return the events of a stage by (project, outcome)."""
    found: Counter[tuple[str, str]] = Counter()
    with pool.connection() as connection:
        for project, outcome, events in connection.execute(
            "SELECT project_id, outcome, events FROM pipeline.ledger WHERE stage = %s", (stage,)
        ):
            found[project, outcome] += events
    return found


def complete(pool: ConnectionPool[Connection], at: datetime) -> None:
    """Have both groups say that they handled everything before `at`."""
    with pool.connection() as connection:
        connection.execute(
            "INSERT INTO pipeline.offsets (consumer_group, topic, partition, next_offset, complete_until)"
            " SELECT g, 'signals.raw.v1', p, 0, %s"
            " FROM unnest(ARRAY['signals-incident-engine', 'signals-indexer']) g, generate_series(0, 2) p"
            " ON CONFLICT (consumer_group, topic, partition)"
            " DO UPDATE SET complete_until = excluded.complete_until",
            (at,),
        )


def now() -> datetime:
    """Return the present, aware."""
    return datetime.now(UTC)
