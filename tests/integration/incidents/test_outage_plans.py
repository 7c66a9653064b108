"""Grouping reads outages and series by key, lists read one page: seen in the plans, on crowded tables."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, LiteralString

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection
from signals.services.incidents.settling import divide
from signals.store.incidents import outage_states, outage_views, outage_windows, outages
from signals.store.incidents.outage_windows import DueWindow
from tests.integration.detection import test_query_plans as plans
from tests.integration.detection.explaining import ExplainingConnection, Scan

crowded_template, crowded, pool = plans.crowded_template, plans.crowded, plans.pool

PROJECT: Final = "proj_1"  # of 9 error series and one of signups; 10 open incidents, 490 resolved ones
SERIES: Final = 10
INCIDENTS: Final = 500
# An outage an incident. Openings lie a minute apart: 20,000 of them reach back a fortnight.
FILL: Final[tuple[LiteralString, ...]] = (
    "ALTER TABLE pipeline.outages SET (autovacuum_enabled = false)",
    "ALTER TABLE pipeline.outage_members SET (autovacuum_enabled = false)",
    """
    INSERT INTO pipeline.outages (id, project_id, window_id, opened_at, newest_at, cause_attribute,
                                  cause_value, verdict, severity, status, created_at, decided_at, settled_at,
                                  resolved_at)
    SELECT id, project_id, id, at, at, 'error_code', split_part(fingerprint, '|', 1),
           CASE WHEN n % 10 = 0 THEN 'confirmed' ELSE 'unconfirmed' END, severity, status, at, at, at,
           CASE WHEN status = 'resolved' THEN at END
    FROM (SELECT i.*, now() - make_interval(mins => (row_number() OVER (ORDER BY i.id))::int) AS at,
                 row_number() OVER (ORDER BY i.id) AS n FROM incidents i) AS i
    """,
    """
    INSERT INTO pipeline.outage_members
    SELECT i.id, o.id, i.project_id, i.environment, i.fingerprint, o.opened_at, o.opened_at
    FROM incidents i JOIN pipeline.outages o ON o.id = i.id
    """,
)


@pytest.fixture
def connection(pool: ConnectionPool[Connection]) -> Iterator[ExplainingConnection]:
    """Its connection, with outages."""
    with pool.connection() as connection:
        assert isinstance(connection, ExplainingConnection)
        for statement in FILL:
            super(ExplainingConnection, connection).execute(statement)  # to explain it would run it twice
        connection.taken()
        yield connection


def _assert_bounded(scans: Sequence[Scan], most_rows: int) -> None:
    assert scans
    assert {scan.node for scan in scans} <= {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}, [
        scan for scan in scans if scan.node == "Seq Scan"
    ]
    assert max(scan.rows for scan in scans) <= most_rows, scans


def test_series_that_could_fire_are_found_by_two_probes_each(connection: ExplainingConnection) -> None:
    found = outage_windows.active(
        connection,
        PROJECT,
        metrics=["error_count", "signup_count"],
        since_minute=plans.FIRST,
        until_minute=plans.AT,
    )
    assert len(found) == SERIES
    scans = connection.taken()
    assert {scan.table for scan in scans} == {"metrics_buckets"}
    assert sum(scan.rows for scan in scans) <= 2 * SERIES + 1  # of 5,000 buckets of the project
    assert {scan.node for scan in scans} <= {"Index Scan", "Index Only Scan"}


def test_walk_over_series_ends_at_its_bound(connection: ExplainingConnection) -> None:
    found = outage_windows.active(
        connection, PROJECT, metrics=["error_count"], since_minute=0, until_minute=plans.AT, most=4
    )
    assert len(found) == 4


def test_opening_incident_is_placed_by_key(connection: ExplainingConnection) -> None:
    ids = [row[0] for row in connection.execute("SELECT id FROM incidents LIMIT 3")]
    names = [f"E{number}|/r|prod" for number in (1, 41, 81)]
    connection.taken()
    outages.opened(connection, ids)
    outages.joinable(connection, PROJECT, since_minute=int(datetime.now(UTC).timestamp()) // 60 - 60)
    assert len(outages.former(connection, PROJECT, names, ids)) == 3
    outage_states.follow(connection, ids)
    _assert_bounded(connection.taken(), 60)  # the outages of an hour, of all projects at most


def test_rounds_read_what_is_not_over(connection: ExplainingConnection) -> None:
    outage_states.follow_lively(connection)
    connection.taken()
    assert outage_windows.due(connection, gather=5, last=11, rows=100) == []
    assert outages.left_out(connection, rows=100) == []
    assert outage_states.follow_lively(connection) == 0
    _assert_bounded(connection.taken(), plans.OPEN * 2)


def test_division_reads_the_window_only(connection: ExplainingConnection) -> None:
    row = connection.execute("SELECT id FROM pipeline.outages WHERE project_id = %s LIMIT 1", [PROJECT])
    [(outage_id,)] = row.fetchall()
    connection.execute("UPDATE pipeline.outages SET settled_at = NULL WHERE id = %s", [outage_id])
    connection.taken()
    divide(connection, DueWindow(id=outage_id, project_id=PROJECT, is_last=True))
    _assert_bounded(connection.taken(), 2)


@pytest.mark.parametrize("verdict", ["confirmed", None])
def test_list_reads_one_page(connection: ExplainingConnection, verdict: str | None) -> None:
    """The newest page, and one in the middle; a sort of all would read every outage of the project.

    The engine's promises hold without statistics; lists may rely on them.
    """
    super(ExplainingConnection, connection).execute("ANALYZE pipeline.outages, pipeline.outage_members")
    middle = connection.execute(
        "SELECT opened_at, id FROM pipeline.outages WHERE project_id = %s ORDER BY 1 DESC OFFSET 250 LIMIT 1",
        [PROJECT],
    ).fetchone()
    connection.taken()
    for before in (None, middle):
        before_at, before_id = before or (None, None)
        parameters = {
            "project_id": PROJECT,
            "verdict": verdict,
            "before_at": before_at,
            "before_id": before_id,
            "limit": 11,
            **dict.fromkeys({"outage_id", *outage_views.WANTED} - {"verdict"}),
        }
        found = connection.execute(outage_views.query_of("opened", parameters), parameters).fetchall()
        assert len(found) == 11
        _assert_bounded(connection.taken(), 13)
