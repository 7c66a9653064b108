"""Losses are found and shown; a lag is not a loss; a key sees its own project's ledger only."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import orjson
import pytest
from psycopg_pool import ConnectionPool
from structlog.testing import capture_logs
from typer.testing import CliRunner

from signals.cli import app
from signals.clients.opensearch.connection import Client
from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import minute_of
from signals.domain.ledger import LedgerAccount, ReadingStage, Stage
from signals.services.ledger.audit import LedgerAudit
from signals.services.operations.housekeeping import log_audit, trim_ledger
from signals.settings import PostgresSettings
from signals.store.ledger import ledger
from tests.integration.core.conftest import OTHER, core_client, keys
from tests.integration.core.conftest import Keys as Keys
from tests.integration.ledger.conftest import TEN_MINUTES_AGO, accept, complete, now

__all__ = ["keys"]


def handle(pool: ConnectionPool[Connection], stage: ReadingStage, count: int, at: datetime) -> None:
    """Enter handled events that were received at an instant."""
    outcome = LedgerAccount("proj_1", minute_of(at), stage, "counted", 0)
    with transaction(pool) as connection:
        ledger.add(connection, {outcome: count})


def test_planted_loss_is_found_and_logged_and_fails_readiness(
    pool: ConnectionPool[Connection], opensearch: Client, database: PostgresSettings
) -> None:
    at = now() - TEN_MINUTES_AGO
    accept(pool, 10, at)
    handle(pool, "incident-engine", 9, at)
    handle(pool, "indexer", 10, at)
    complete(pool, now())
    audit = LedgerAudit(pool).audit()
    assert (audit.state, audit.missing) == ("unbalanced", {"incident-engine": 1})
    assert LedgerAudit(pool).sums() == {
        ("ingest-api", "accepted"): 10,
        ("incident-engine", "counted"): 9,
        ("indexer", "counted"): 10,
    }
    with capture_logs() as logs:
        log_audit(audit)
    assert [(entry["log_level"], entry["incident_engine"]) for entry in logs] == [("error", 1)]
    with core_client(pool, opensearch) as client:
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["ledger"] == {"state": "unbalanced", "missing": {"incident-engine": 1}}
    environment = {"DATABASE_URL": database.database_url.get_secret_value(), "PG_SSLMODE": "disable"}
    shown = CliRunner().invoke(app, ["ledger"], env=environment)
    assert shown.exit_code == 1, shown.output
    assert "together" in shown.output
    told = CliRunner().invoke(app, ["ledger", "--json"], env=environment)
    assert [line["missing"] for line in orjson.loads(told.output)["totals"]] == [1, 0]


@pytest.mark.parametrize(
    ("complete_before_s", "state", "numbers"),
    [
        (0, "balanced", {"in_flight": 0, "missing": 0, "unconfirmed": 2}),
        (9 * 60, "balanced", {"in_flight": 4, "missing": 0, "unconfirmed": 0}),
        (2 * 3600, "unknown", {"in_flight": 4, "missing": 0, "unconfirmed": 0}),
    ],
)
def test_lag_is_in_flight_and_unreported_events_are_unconfirmed(
    pool: ConnectionPool[Connection], complete_before_s: int, state: str, numbers: Mapping[str, int]
) -> None:
    at = now() - TEN_MINUTES_AGO
    accept(pool, 10, at)
    handled = 12 if complete_before_s == 0 else 6
    handle(pool, "incident-engine", handled, at)
    handle(pool, "indexer", handled, at)
    complete(pool, now() - timedelta(seconds=complete_before_s))
    assert LedgerAudit(pool).audit().state == state
    report = LedgerAudit(pool).report("proj_1", at - TEN_MINUTES_AGO, now())
    assert {name: getattr(report.totals[0], name) for name in numbers} == numbers


def test_unread_partition_keeps_every_minute_unsettled(
    pool: ConnectionPool[Connection],
) -> None:
    accept(pool, 10, now() - TEN_MINUTES_AGO)
    complete(pool, now())
    with pool.connection() as connection:
        connection.execute("UPDATE pipeline.offsets SET complete_until = NULL WHERE partition = 2")
    assert LedgerAudit(pool).audit().state == "unknown"


def test_requeued_events_are_expected_by_their_stage_only(pool: ConnectionPool[Connection]) -> None:
    at = minute_of(now() - TEN_MINUTES_AGO)
    entries = {
        LedgerAccount("proj_1", at, "indexer", "requeued"): 3,
        LedgerAccount("proj_1", at, "indexer", "indexed", 0): 2,
    }
    with transaction(pool) as connection:
        ledger.add(connection, entries)
    complete(pool, now())
    assert LedgerAudit(pool).audit().missing == {"indexer": 1}


def test_a_key_reads_its_own_ledger_only(
    pool: ConnectionPool[Connection], opensearch: Client, keys: Keys
) -> None:
    accept(pool, 5, now() - TEN_MINUTES_AGO)
    with core_client(pool, opensearch) as client:
        assert client.get("/v1/ledger").status_code == 401
        own = client.get("/v1/ledger", headers={"Authorization": f"Bearer {keys.read}"})
        other_key = {"Authorization": f"Bearer {keys.other_read}"}
        other = client.get("/v1/ledger", headers=other_key)
        asked = client.get("/v1/ledger?project_id=proj_1", headers=other_key)
        long = client.get("/v1/ledger?since=2025-01-01T00:00:00Z", headers=other_key)
    assert own.json()["accepted"] == 5
    assert [minute["project_id"] for minute in own.json()["minutes"]] == ["proj_1"]
    assert (other.status_code, other.json()["accepted"], other.json()["minutes"]) == (200, 0, [])
    assert (asked.status_code, long.status_code) == (403, 400)
    assert OTHER.project_id == "proj_2"


def test_rows_older_than_a_week_are_trimmed(pool: ConnectionPool[Connection]) -> None:
    stages: tuple[Stage, ...] = ("ingest-api", "indexer")
    old = {LedgerAccount("proj_1", minute_of(now()) - 8 * 24 * 60, stage, "accepted"): 1 for stage in stages}
    with transaction(pool) as connection:
        ledger.add(connection, old)
    accept(pool, 1, now())
    assert trim_ledger(pool) == 2
    assert trim_ledger(pool) == 0


def test_reading_a_project_or_an_hour_scans_no_table(pool: ConnectionPool[Connection]) -> None:
    with pool.connection() as connection:
        connection.execute(
            "INSERT INTO pipeline.ledger SELECT 'proj_' || p,"
            " date_trunc('minute', now()) - m * interval '1 min', 'indexer', 'indexed', 0, 1"
            " FROM generate_series(1, 20) p, generate_series(0, 3000) m"
        )
        connection.execute("ANALYZE pipeline.ledger")
        window = {"since": now() - TEN_MINUTES_AGO, "until": now(), "project_id": "proj_1"}
        settled = orjson.dumps([{"stage": "indexer", "before": now()}]).decode()
        plans = [
            "".join(line for (line,) in connection.execute("EXPLAIN " + query, window | {"settled": settled}))
            for query in (ledger.OF_PROJECT, ledger.MISSING)
        ]
    assert "ledger_pkey" in plans[0]
    assert all("Index" in plan and "Seq Scan" not in plan for plan in plans), plans
