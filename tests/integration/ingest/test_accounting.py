"""The ledger counts every acknowledged event once, per project and minute."""

from datetime import UTC, datetime

import psycopg
import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from signals.clients.kafka.publisher import Publisher
from signals.clients.postgres import Connection, transaction
from signals.domain import ledger as accounts
from signals.errors import DependencyUnavailable
from signals.services.access.provisioning import IssuedKey
from signals.services.ledger import entries
from signals.services.ledger.entries import LedgerWriter
from signals.store.ledger import ledger
from tests.integration.ingest.conftest import ingest_client
from tests.integration.ingest.shapes import body
from tests.support.waiting import until

AT = datetime(2026, 3, 1, 12, 0, 59, tzinfo=UTC)
Pool = ConnectionPool[Connection]


def _entered(pool: Pool) -> dict[tuple[str, str, str], int]:
    with pool.connection() as connection:
        rows = connection.execute(
            "SELECT project_id, stage, outcome, sum(events)::int FROM pipeline.ledger GROUP BY 1, 2, 3"
        ).fetchall()
    return {(project, stage, outcome): events for project, stage, outcome, events in rows}


def test_accepted_events_are_entered_within_seconds_and_at_shutdown(
    pool: Pool, publisher: Publisher, key: IssuedKey
) -> None:
    headers = {"Authorization": f"Bearer {key.text}"}
    account = ("proj_1", "ingest-api", "accepted")
    with ingest_client(pool, publisher) as client:
        _accepted(client, [body(), {}, body()], headers)
        until(lambda: _entered(pool).get(account) == 2)
        _accepted(client, [body()], headers)
    assert _entered(pool) == {account: 3}


def _accepted(client: TestClient, events: list[dict[str, object]], headers: dict[str, str]) -> None:
    assert client.post("/v1/events/batch", json=events, headers=headers).status_code in (202, 207)


def test_a_commit_whose_answer_was_lost_is_not_repeated(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = LedgerWriter(pool)

    def answer_lost(pool: Pool) -> object:
        committed = transaction(pool)

        class _Lost:
            def __enter__(self) -> Connection:
                return committed.__enter__()

            def __exit__(self, *exception: object) -> None:
                committed.__exit__(None, None, None)
                raise DependencyUnavailable("PostgreSQL", "the connection broke after COMMIT")

        return _Lost()

    counts.accepted("a", AT, 5)
    with monkeypatch.context() as patch:
        patch.setattr(entries, "transaction", answer_lost)
        with pytest.raises(DependencyUnavailable):
            counts.flush()
    counts.accepted("a", AT, 2)
    assert [counts.flush(), counts.flush(), counts.flush()] == [5, 2, 0]
    assert _entered(pool) == {("a", "ingest-api", "accepted"): 7}


def test_counts_wait_while_the_ledger_cannot_be_written(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = LedgerWriter(pool)

    def broken(*_: object) -> None:
        raise psycopg.OperationalError("the server closed the connection")

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "add", broken)
        for _ in range(3):
            counts.accepted("a", AT, 1)
            with pytest.raises(DependencyUnavailable):
                counts.flush()
    assert _entered(pool) == {}
    assert [counts.flush(), counts.flush()] == [1, 2]
    assert _entered(pool) == {("a", accounts.INGEST, "accepted"): 3}
