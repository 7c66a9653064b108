"""ingest-api's stand-in opens with the first request that comes to it, and loses nothing when it closes."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest
from psycopg_pool import ConnectionPool
from starlette.applications import Starlette
from starlette.testclient import TestClient

from serve_apps.core.ingest_stand_in import IngestStandIn
from serve_apps.ingest.intake import IngestResources
from serve_apps.ingest.replica import open_ingest_resources
from signals.clients.postgres import Connection
from signals.errors import DependencyUnavailable
from signals.services.access.provisioning import IssuedKey
from signals.settings import KafkaSettings, PostgresSettings
from tests.integration.ingest.conftest import Stored
from tests.integration.ingest.shapes import body

Opened = list[IngestResources]


@pytest.fixture(autouse=True)
def environment(kafka: KafkaSettings, database: PostgresSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a replica; a busy machine's first record may take longer than the product waits."""
    monkeypatch.setenv("KAFKA_BROKERS", kafka.kafka_brokers)
    monkeypatch.setenv("DATABASE_URL", database.database_url.get_secret_value())
    monkeypatch.setenv("PG_SSLMODE", "disable")
    monkeypatch.setattr("serve_apps.ingest.replica.ANSWER_WITHIN_S", 10.0)
    monkeypatch.setattr("serve_apps.ingest.replica.COUNTS_EVERY_S", 3600.0)  # so that the end has to write


@contextmanager
def stand_in_client(
    key: IssuedKey, open_resources: Callable[[ExitStack], IngestResources]
) -> Iterator[tuple[TestClient, Callable[[], None]]]:
    """Serve a stand-in's routes in this process; the second function closes it."""
    stand_in = IngestStandIn(open_resources)
    application = Starlette(routes=stand_in.routes())
    headers = {"Authorization": f"Bearer {key.text}"}
    with TestClient(application, headers=headers, raise_server_exceptions=False) as client:
        assert client.portal is not None
        close = partial(client.portal.call, stand_in.close)
        try:
            yield client, close
        finally:
            close()


def test_first_requests_open_the_stand_in_once_and_its_end_writes_the_counts(
    key: IssuedKey, stored: Stored, pool: ConnectionPool[Connection]
) -> None:
    opened: Opened = []

    def open_and_note(stack: ExitStack) -> IngestResources:
        opened.append(open_ingest_resources(stack))
        return opened[-1]

    def send(path: str) -> int:
        content = [body()] if path.endswith("batch") else body()
        return client.post(path, json=content).status_code

    with stand_in_client(key, open_and_note) as (client, close):
        assert not opened
        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(send, ["/v1/events", "/v1/events/batch"] * 4))
        close()
        with pool.connection() as connection:
            entered = connection.execute("SELECT sum(events)::int FROM pipeline.ledger").fetchone()
    assert answers == [202] * 8
    assert (len(opened), len(stored())) == (1, 8)
    assert entered == (8,)


def test_request_after_one_that_could_not_open_it_tries_again(key: IssuedKey, stored: Stored) -> None:
    attempts: list[ExitStack] = []

    def open_second_time(stack: ExitStack) -> IngestResources:
        attempts.append(stack)
        if len(attempts) == 1:
            raise DependencyUnavailable("kafka", "away")
        return open_ingest_resources(stack)

    with stand_in_client(key, open_second_time) as (client, _):
        answers = [client.post("/v1/events", json=body()) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 202, 202]
    assert answers[0].headers["content-type"] == "application/problem+json"
    assert (len(attempts), len(stored())) == (2, 2)
