"""The schema is made, and known, through a pooler in transaction mode (run by `make pooler`)."""

import threading

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from signals.clients.postgres import conninfo, open_pool, reading, transaction
from signals.settings import PostgresSettings
from signals.store.operations.schema import migrate

NAME = "pooled_schema"


@pytest.mark.pooler
def test_migrations_at_once_through_a_pooler_apply_once_and_leave_no_lock(
    database: PostgresSettings, pooler: str
) -> None:
    name = sql.Identifier(NAME)
    with psycopg.connect(conninfo(database), autocommit=True, prepare_threshold=None) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    settings = database.model_copy(update={"database_url": SecretStr(f"{pooler}/{NAME}")})
    applied: list[list[str]] = []
    threads = [threading.Thread(target=lambda: applied.append(migrate(settings))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len([names for names in applied if names]) == 1
    assert len(applied) == 2
    with open_pool(settings, size=3) as pool, transaction(pool) as connection:
        [held] = connection.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        ).fetchone() or [1]
        [limit] = connection.execute("SHOW statement_timeout").fetchone() or [""]
        [zone] = connection.execute("SHOW timezone").fetchone() or [""]
    with open_pool(settings, size=3) as pool, reading(pool, timeout_ms=1234) as connection:
        [read_limit] = connection.execute("SHOW statement_timeout").fetchone() or [""]
    assert (held, limit, read_limit, zone) == (0, "30s", "1234ms", "UTC")
