"""Auto-resolve: which incidents it takes, and that it never waits for a lock."""

from datetime import timedelta
from typing import LiteralString

import psycopg
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, conninfo
from signals.services.operations.housekeeping import IDLE_S, resolve_stale_incidents
from signals.settings import PostgresSettings
from signals.store.incidents.incidents import resolve_stale

INSERT: LiteralString = """
INSERT INTO incidents (id, org_id, project_id, environment, fingerprint, status, severity, title, opened_at,
                       last_seen_at)
VALUES (gen_random_uuid(), 'org_1', 'proj_1', 'prod', %(name)s, %(status)s, 'warn', %(name)s,
        now() - interval '1 day', now() - %(age)s)
"""


def _incident(connection: Connection, name: str, status: str, age: timedelta) -> None:
    connection.execute(INSERT, {"name": name, "status": status, "age": age})


def _resolved(connection: Connection) -> list[str]:
    query: LiteralString = "SELECT fingerprint FROM incidents WHERE resolved_at IS NOT NULL ORDER BY 1"
    return [name for (name,) in connection.execute(query)]


def test_incident_unseen_for_an_hour_is_resolved(
    pool: ConnectionPool[Connection],
) -> None:
    assert IDLE_S == 60 * 60
    with pool.connection() as connection:
        _incident(connection, "open and stale", "open", timedelta(minutes=60, seconds=1))
        _incident(connection, "investigated and stale", "investigating", timedelta(hours=5))
        _incident(connection, "open and fresh", "open", timedelta(minutes=59))
        _incident(connection, "resolved before", "resolved", timedelta(hours=5))
    assert resolve_stale_incidents(pool) == 2
    assert resolve_stale_incidents(pool) == 0
    with pool.connection() as connection:
        assert _resolved(connection) == ["investigated and stale", "open and stale"]


def test_incident_locked_by_the_engine_waits_for_the_next_round(database: PostgresSettings) -> None:
    with psycopg.connect(conninfo(database)) as engine, psycopg.connect(conninfo(database)) as housekeeper:
        for name in ("held", "free"):
            _incident(engine, name, "open", timedelta(hours=2))
        engine.commit()
        engine.execute("SELECT FROM incidents WHERE fingerprint = 'held' FOR UPDATE")
        housekeeper.execute("SET lock_timeout = '2s'")
        assert resolve_stale(housekeeper, idle_s=3600) == 1
        assert _resolved(housekeeper) == ["free"]
        housekeeper.commit()
        engine.commit()
        assert resolve_stale(housekeeper, idle_s=3600) == 1
