"""Transactions whose statements share round trips."""

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, open_pool, pipelined
from signals.errors import DependencyUnavailable
from signals.settings import PostgresSettings

INSERT = "INSERT INTO orgs (id, name) VALUES (%s, 'x')"


def names(pool: ConnectionPool[Connection]) -> list[str]:
    """Return the organisations that are committed."""
    with pool.connection() as connection:
        return [row[0] for row in connection.execute("SELECT id FROM orgs ORDER BY id")]


def test_pipelined_transaction_commits_and_answers_after_its_end(pool: ConnectionPool[Connection]) -> None:
    with pipelined(pool) as connection:
        connection.execute(INSERT, ["a"])
        assert connection.execute("SELECT count(*) FROM orgs").fetchone() == (1,)
        connection.execute(INSERT, ["b"])
        later = connection.execute("SELECT id FROM orgs ORDER BY id")
    assert later.fetchall() == [("a",), ("b",)]
    assert names(pool) == ["a", "b"]


def test_error_of_ours_rolls_a_pipelined_transaction_back(pool: ConnectionPool[Connection]) -> None:
    def insert() -> None:
        with pipelined(pool) as connection:
            connection.execute(INSERT, ["a"])
            assert connection.execute("SELECT count(*) FROM orgs").fetchone() == (1,)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        insert()
    assert names(pool) == []


def test_error_of_a_statement_rolls_a_pipelined_transaction_back(pool: ConnectionPool[Connection]) -> None:
    def insert() -> None:
        with pipelined(pool) as connection:
            for name in ("a", "a", "b"):
                connection.execute(INSERT, [name])

    with pytest.raises(psycopg.errors.UniqueViolation):
        insert()
    assert names(pool) == []


def test_pipelined_transaction_leaves_its_connection_clean(database: PostgresSettings) -> None:
    with open_pool(database, size=1) as pool:
        with (
            pytest.raises(DependencyUnavailable, match="PostgreSQL"),
            pipelined(pool, timeout_ms=100) as connection,
        ):
            connection.execute("SELECT pg_sleep(20)").fetchone()
        with pool.connection() as connection:
            assert connection.execute("SHOW statement_timeout").fetchone() == ("0",)
            assert connection.info.transaction_status is psycopg.pq.TransactionStatus.INTRANS
