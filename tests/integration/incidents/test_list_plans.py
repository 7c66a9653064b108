"""Lists carry only the conditions that are asked for, so that PostgreSQL plans them once."""

from typing import Final, LiteralString

from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection
from signals.services.access.provisioning import create_org, create_project
from signals.store.conditions import query_with
from signals.store.incidents import incident_views, outage_views
from signals.store.incidents.incident_views import ListFilter
from signals.store.incidents.outage_views import OutageFilter

PROJECT: Final = "proj_plans"
READS: Final = (
    25  # after five the client prepares the statement, after five more PostgreSQL may keep its plan
)
ROWS: Final = 2_000  # so many that a plan for an unknown length reads them all
FILL: Final[tuple[LiteralString, ...]] = (
    """
    INSERT INTO incidents (id, org_id, project_id, environment, fingerprint, status, severity, title,
                           opened_at, last_seen_at, resolved_at)
    SELECT gen_random_uuid(), 'org_plans', %(project)s, 'prod', 'E' || n || '|/r|prod', 'resolved', 'error',
           'Incident ' || n, at, at, at
    FROM generate_series(1, %(rows)s) AS n, LATERAL (SELECT now() - n * interval '1 minute' AS at) AS moments
    """,
    """
    INSERT INTO pipeline.outages (id, project_id, window_id, opened_at, newest_at, verdict, severity, status,
                                  created_at, decided_at, settled_at, resolved_at)
    SELECT id, project_id, id, opened_at, opened_at, 'confirmed', severity, status, opened_at, opened_at,
           opened_at, opened_at
    FROM incidents WHERE project_id = %(project)s
    """,
    """
    INSERT INTO pipeline.outage_members (incident_id, outage_id, project_id, environment, fingerprint,
                                         opened_at)
    SELECT id, id, project_id, environment, fingerprint, opened_at
    FROM incidents WHERE project_id = %(project)s
    """,
)
PLANS: LiteralString = """
SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE %s
"""


def test_lists_keep_the_plan_of_their_statement(pool: ConnectionPool[Connection]) -> None:
    create_org(pool, "org_plans", "Plans")
    create_project(pool, PROJECT, org_id="org_plans", name="Plans")
    with pool.connection() as connection:
        for statement in FILL:
            connection.execute(statement, {"project": PROJECT, "rows": ROWS})
        connection.execute("ANALYZE")
        for _ in range(READS):
            incident_views.list_incidents(connection, ListFilter(project_id=PROJECT), before=None, limit=50)
            outage_views.list_outages(connection, OutageFilter(project_id=PROJECT), before=None, limit=50)
        for table in ("incidents i", "pipeline.outages o"):
            [(generic, custom)] = connection.execute(PLANS, [f"%FROM {table}\n    WHERE%"]).fetchall()
            assert generic > custom, table


def test_query_has_the_conditions_of_its_parameters_alone() -> None:
    conditions: dict[str, LiteralString] = {"a": "x = %(a)s", "b": "y = %(b)s"}
    query: LiteralString = "SELECT 1 WHERE z /* conditions */ LIMIT %(limit)s"
    found = query_with(query, conditions, {"a": None, "b": 0, "limit": 5})
    assert found.split() == ["SELECT", "1", "WHERE", "z", "AND", "y", "=", "%(b)s", "LIMIT", "5"]
    assert query_with(query, conditions, {"a": None, "b": None, "limit": 5}).split() == (
        ["SELECT", "1", "WHERE", "z", "LIMIT", "5"]
    )
