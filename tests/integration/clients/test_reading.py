"""Transactions that only read, and idle connections that die."""

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool
from pydantic import SecretStr

from signals.clients.postgres import Connection, conninfo, open_pool, reading, transaction
from signals.errors import DependencyUnavailable
from signals.settings import PostgresSettings


def test_dead_idle_connection_is_replaced(database: PostgresSettings) -> None:
    with open_pool(database, size=1) as pool:
        with psycopg.connect(conninfo(database)) as other:
            other.execute("SELECT 1")  # in a transaction, so that a pooler gives the two different backends
            with transaction(pool) as connection:
                before = connection.execute("SELECT pg_backend_pid()").fetchone()
            other.execute("SELECT pg_terminate_backend(%s, 5000)", before)
        with reading(pool) as connection:
            after = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert after != before


def test_slow_query_of_a_reader_times_out(pool: ConnectionPool[Connection]) -> None:
    with (
        pytest.raises(DependencyUnavailable, match="PostgreSQL"),
        reading(pool, timeout_ms=100) as connection,
    ):
        connection.execute("SELECT pg_sleep(20)").fetchone()
    with reading(pool) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_reading_leaves_its_connection_clean(database: PostgresSettings) -> None:
    with open_pool(database, size=1) as pool:
        with reading(pool, timeout_ms=1234) as connection:
            inside = connection.execute("SHOW statement_timeout").fetchone()
        with pool.connection() as connection:
            after = connection.execute("SHOW statement_timeout").fetchone()
            assert connection.info.transaction_status is psycopg.pq.TransactionStatus.INTRANS
    assert (inside, after) == (("1234ms",), ("0",))


def test_server_that_takes_no_writes_is_one_that_is_away(pool: ConnectionPool[Connection]) -> None:
    def write() -> None:
        with transaction(pool) as connection:
            connection.execute("SET TRANSACTION READ ONLY")
            connection.execute("INSERT INTO orgs (id, name) VALUES ('a', 'x')")

    with pytest.raises(DependencyUnavailable, match="it takes no writes"):
        write()


def test_gone_host_is_noticed_within_seconds_unless_the_address_says_otherwise(
    database: PostgresSettings,
) -> None:
    url = database.database_url.get_secret_value()
    longer = database.model_copy(update={"database_url": SecretStr(f"{url}?tcp_user_timeout=60000")})
    limits = [conninfo_to_dict(conninfo(one)) for one in (database, longer)]
    assert [one["tcp_user_timeout"] for one in limits] == ["20000", "60000"]
    assert [one["keepalives_idle"] for one in limits] == ["10", "10"]
