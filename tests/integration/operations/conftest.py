"""Runs the dead letters' commands beside consumers that dead-letter records, on real servers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, LiteralString

import pytest
import typer
from psycopg_pool import ConnectionPool
from typer.testing import CliRunner, Result

from signals.cli import dlq
from signals.clients.kafka.publisher import Publisher
from signals.clients.opensearch.connection import Client
from signals.clients.postgres import Connection
from signals.services.detection import IncidentEngine
from signals.services.indexing import EventIndexer, Writer
from signals.settings import KafkaSettings, PostgresSettings
from tests.support.consuming import drain, own_all

Run = Callable[..., Result]
Open = Callable[..., Any]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database: PostgresSettings, kafka: KafkaSettings
) -> Run:
    """Runs a command as a user would, away from any local stack's environment file."""
    app = typer.Typer()
    dlq.register(app)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database.database_url.get_secret_value())
    monkeypatch.setenv("PG_SSLMODE", "disable")
    monkeypatch.setenv("KAFKA_BROKERS", kafka.kafka_brokers)

    def invoke(*arguments: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(app, ["dlq", *arguments], input=answer)

    return invoke


@pytest.fixture
def engine(kafka: KafkaSettings, pool: ConnectionPool[Connection], publisher: Publisher) -> Open:
    """Opens sessions of the incident engine, each as strict as the default."""

    @contextmanager
    def open_session(max_share: float = 0.5) -> Iterator[IncidentEngine]:
        with IncidentEngine(kafka, pool, publisher, tick_s=3600, dlq_max_share=max_share) as session:
            own_all(session)
            yield session

    return open_session


@pytest.fixture
def indexer(
    kafka: KafkaSettings, pool: ConnectionPool[Connection], publisher: Publisher, opensearch: Client
) -> Open:
    """Opens sessions of the indexer, likewise."""

    @contextmanager
    def open_session(max_share: float = 0.5) -> Iterator[EventIndexer]:
        with EventIndexer(
            kafka,
            pool,
            Writer(opensearch),
            publisher,
            tick_s=3600,
            dlq_max_share=max_share,
        ) as session:
            own_all(session)
            yield session

    return open_session


@pytest.fixture
def both(engine: Open, indexer: Open) -> Callable[[], None]:
    """Lets both stages read everything that waits."""

    def read() -> None:
        with ExitStack() as stack:
            for session in (stack.enter_context(engine()), stack.enter_context(indexer())):
                drain(session)

    return read


def rows(pool: ConnectionPool[Connection], query: LiteralString) -> list[tuple[Any, ...]]:
    """Return what a query finds."""
    with pool.connection() as connection:
        return connection.execute(query).fetchall()


LEDGER: LiteralString = """
SELECT stage, outcome, sum(events)::int FROM pipeline.ledger GROUP BY 1, 2 ORDER BY 1, 2
"""


def ledger_of(pool: ConnectionPool[Connection]) -> dict[str, dict[str, int]]:
    """Return the ledger's sums by stage and outcome."""
    sums: dict[str, dict[str, int]] = {}
    for stage, outcome, events in rows(pool, LEDGER):
        sums.setdefault(stage, {})[outcome] = events
    return sums
