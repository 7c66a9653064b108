"""Lists carry only the conditions that are asked for, so that PostgreSQL plans them once."""

from typing import Final, LiteralString

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection
from signals.domain.incidents.episode import StatusWanted
from signals.store.conditions import query_with
from signals.store.incidents import incident_views, outage_views
from signals.store.incidents.incident_views import ListFilter
from signals.store.incidents.outage_views import OutageFilter

PROJECT: Final = "proj_plans"
READS: Final = (
    25  # after five the client prepares the statement, after five more PostgreSQL may keep its plan
)
PLANS: LiteralString = """
SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE %s
"""


@pytest.mark.parametrize("status", [None, "open", "unresolved"])
def test_lists_keep_the_plan_of_their_statement(
    pool: ConnectionPool[Connection], status: StatusWanted | None
) -> None:
    with pool.connection() as connection:
        for _ in range(READS):
            incident_views.list_incidents(
                connection, ListFilter(project_id=PROJECT, status=status), before=None, limit=50
            )
            outage_views.list_outages(
                connection, OutageFilter(project_id=PROJECT, status=status), before=None, limit=50
            )
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
