"""Pages stay cheap with many incidents: their cost is compared with the API's own read of the same rows."""

import time
from collections.abc import Callable
from typing import LiteralString

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.access.people import Role
from signals.domain.access.scopes import Scope
from signals.services.access.provisioning import issue_key
from tests.integration.console.conftest import BASE, Visitor
from tests.support.console_world import SHOP, World

INCIDENTS = 10_000
REQUESTS = 15
MANY: LiteralString = """
INSERT INTO incidents (id, org_id, project_id, environment, fingerprint, status, severity, title, opened_at,
                       last_seen_at, resolved_at)
SELECT gen_random_uuid(), 'demo', 'shop', 'prod', 'E' || n || '|/r|prod', 'resolved', 'error',
       'Incident ' || n, at, at, at
FROM generate_series(1, %s) AS n, LATERAL (SELECT now() - n * interval '1 minute' AS at) AS moments
"""


def least(act: Callable[[], object]) -> float:
    """Return the processor seconds of the cheapest of several calls, server and client together."""
    act()
    spent = []
    for _ in range(REQUESTS):
        before = time.process_time()
        act()
        spent.append(time.process_time() - before)
    return min(spent)


@pytest.mark.parametrize(
    ("page", "read", "most"),
    [
        ("/incidents?status=all", "/v1/incidents", 8.0),
        ("/incidents/{id}", "/v1/incidents/{id}", 8.0),
        ("/", "/v1/search/events?limit=1", 8.0),
    ],
)
def test_page_costs_a_few_reads_of_the_api(
    visitor: Visitor, pool: ConnectionPool[Connection], world: World, page: str, read: str, most: float
) -> None:
    with transaction(pool) as connection:
        connection.execute(MANY, [INCIDENTS])
    reader = visitor(Role.VIEWER)
    key = {"X-API-Key": issue_key(pool, SHOP.project_id, Scope.READ).text}

    def open_page() -> None:
        assert reader.get(BASE + page.format(id=world.open_id)).status_code == 200

    def read_api() -> None:
        assert reader.get(read.format(id=world.open_id), headers=key).status_code == 200

    ours, theirs = least(open_page), least(read_api)
    print(f"{page}: {ours * 1000:.1f} ms of CPU, {ours / theirs:.1f} times {read}")
    assert ours < most * theirs
