"""Retention removes old rows, leaves the rest, and disturbs no other work."""

from typing import Final, LiteralString
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, conninfo
from signals.errors import SettingsError
from signals.services.operations.retention import PAGES, Retention
from signals.settings import KafkaSettings, PostgresSettings, RetentionSettings
from signals.store.operations import retention
from tests.support.waiting import until
from tests.system.faults.consumer_set import consumer_set

KEEP: Final = RetentionSettings(keep_buckets_days=30, keep_incident_events_days=90)

BUCKETS: LiteralString = """
INSERT INTO metrics_buckets (org_id, project_id, environment, metric_name, fingerprint, bucket_start,
                             bucket_seconds, value, updated_at)
SELECT 'org_1', 'proj_1', 'prod', 'error_count', %(name)s, now() - interval '400 days' - n * interval '1 min',
       60, 1, now() - make_interval(days => %(days)s)
FROM generate_series(1, %(count)s) n
"""
INCIDENT: LiteralString = """
INSERT INTO incidents (id, org_id, project_id, environment, fingerprint, status, severity, title, opened_at,
                       last_seen_at, resolved_at)
VALUES (%(id)s, 'org_1', 'proj_1', 'prod', %(id)s::text, %(status)s, 'warn', 't', now() - interval '400 days',
        now() - interval '400 days', now() - make_interval(days => %(resolved)s))
"""
EVENTS: LiteralString = """
INSERT INTO incident_events (incident_id, event_id, occurred_at, event_type, severity, attributes_json)
SELECT %(id)s, gen_random_uuid(), now() - interval '400 days', 'error', 'error', '{}'
FROM generate_series(1, %(count)s)
"""


def buckets(pool: ConnectionPool[Connection], name: str, count: int, *, days: int) -> None:
    """Write buckets of minutes of last year that were last added to `days` ago."""
    with pool.connection() as connection:
        connection.execute(BUCKETS, {"name": name, "count": count, "days": days})


def left(pool: ConnectionPool[Connection]) -> dict[str, int]:
    with pool.connection() as connection:
        return dict(connection.execute("SELECT fingerprint, count(*) FROM metrics_buckets GROUP BY 1"))


def incident(pool: ConnectionPool[Connection], status: str, *, resolved: int | None) -> UUID:
    incident_id = uuid4()
    with pool.connection() as connection:
        connection.execute(INCIDENT, {"id": incident_id, "status": status, "resolved": resolved})
        connection.execute(EVENTS, {"id": incident_id, "count": 3})
    return incident_id


def test_buckets_are_removed_by_their_last_change_not_their_minute(
    pool: ConnectionPool[Connection],
) -> None:
    buckets(pool, "old", 25, days=31)
    buckets(pool, "replayed today", 25, days=0)
    buckets(pool, "nearly old", 25, days=29)
    retention = Retention(pool, KEEP)
    assert retention.round() == 25
    assert retention.round() == 0
    assert left(pool) == {"replayed today": 25, "nearly old": 25}


def test_bounded_round_continues_where_the_last_ended(pool: ConnectionPool[Connection]) -> None:
    page = 4
    buckets(pool, "young", PAGES * page, days=0)
    buckets(pool, "old", PAGES * page + 1, days=31)
    retention = Retention(pool, KEEP, page_rows=page)
    assert [retention.round() for _ in range(3)] == [0, PAGES * page, 1]
    buckets(pool, "old too", 1, days=31)
    assert [retention.round() for _ in range(3)] == [0, 1, 0]
    assert left(pool) == {"young": PAGES * page}


def test_locked_bucket_is_skipped_without_waiting(
    pool: ConnectionPool[Connection], database: PostgresSettings
) -> None:
    buckets(pool, "held", 1, days=31)
    buckets(pool, "free", 1, days=31)
    with psycopg.connect(conninfo(database)) as engine, psycopg.connect(conninfo(database)) as keeper:
        engine.execute(
            "UPDATE metrics_buckets SET value = value + 1, updated_at = now() WHERE fingerprint = 'held'"
        )
        keeper.execute("SET lock_timeout = '2s'")
        assert retention.remove_buckets(keeper, after=0, days=30, rows=10).removed == 1
        keeper.commit()
        engine.commit()
        assert retention.remove_buckets(keeper, after=0, days=30, rows=10).removed == 0
    assert left(pool) == {"held": 1}


def test_events_of_old_resolved_incidents_are_removed_and_open_ones_keep_theirs(
    pool: ConnectionPool[Connection],
) -> None:
    gone = incident(pool, "resolved", resolved=91)
    kept = {incident(pool, "resolved", resolved=89), incident(pool, "open", resolved=None)}
    retention = Retention(pool, KEEP)
    assert (retention.round(), retention.round()) == (3, 0)
    with pool.connection() as connection:
        found: dict[UUID, int] = dict(
            connection.execute("SELECT incident_id, count(*) FROM incident_events GROUP BY 1")
        )
        incidents = {i for (i,) in connection.execute("SELECT id FROM incidents")}
    assert found == dict.fromkeys(kept, 3)
    assert incidents == kept | {gone}


def test_zero_keeps_rows_indefinitely(pool: ConnectionPool[Connection]) -> None:
    buckets(pool, "old", 5, days=3000)
    incident(pool, "resolved", resolved=3000)
    for_ever = RetentionSettings(keep_buckets_days=0, keep_incident_events_days=0)
    assert Retention(pool, for_ever).round() == 0


def test_usage_of_past_days_is_removed(pool: ConnectionPool[Connection]) -> None:
    with pool.connection() as connection:
        connection.execute(
            "INSERT INTO pipeline.key_usage"
            " SELECT gen_random_uuid(), current_date - n, 1 FROM generate_series(0, 9) n"
        )
    assert Retention(pool, KEEP).round() == 2


def test_a_step_reads_by_the_primary_key(pool: ConnectionPool[Connection]) -> None:
    buckets(pool, "many", 20_000, days=0)
    with pool.connection() as connection:
        connection.execute("ANALYZE metrics_buckets")
        parameters = {"after": 5_000, "days": 30, "rows": 2_000}
        plan = "".join(line for (line,) in connection.execute("EXPLAIN " + retention.BUCKETS, parameters))
    assert "metrics_buckets_pkey" in plan
    assert "Seq Scan" not in plan, plan


def test_contradictory_policy_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNALS_KEEP_BUCKETS_DAYS", "-1")
    with pytest.raises(SettingsError, match="SIGNALS_KEEP_BUCKETS_DAYS"):
        RetentionSettings.from_env()


def test_detector_applies_the_policy_while_it_counts(
    pool: ConnectionPool[Connection], database: PostgresSettings, kafka: KafkaSettings
) -> None:
    environment = {
        "DATABASE_URL": database.database_url.get_secret_value(),
        "PG_SSLMODE": database.sslmode,
        "KAFKA_BROKERS": kafka.kafka_brokers,
    }
    buckets(pool, "old", 3, days=400)
    buckets(pool, "young", 3, days=0)
    with consumer_set(environment, kinds=("incident-engine",)):
        until(lambda: left(pool) == {"young": 3}, within_s=120)
