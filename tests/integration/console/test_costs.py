"""Pages stay cheap with many incidents: their cost is compared with the API's own read of the same rows."""

import time
from collections.abc import Callable
from threading import current_thread
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from serve_apps.console.pages import LIVE_HEADER
from signals.clients.opensearch.connection import Client
from signals.clients.postgres import LIMIT_STATEMENTS, Connection, transaction
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


@pytest.mark.parametrize("page", ["/", "/outages?status=all", "/incidents?status=all", "/incidents/{id}"])
def test_page_asks_no_question_twice(
    visitor: Visitor,
    pool: ConnectionPool[Connection],
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    page: str,
) -> None:
    with pool.connection() as connection:
        ours = connection.info.dbname
    reader, asked, run = visitor(Role.RESPONDER), list[tuple[object, str]](), psycopg.Cursor.execute

    def noted(cursor: Any, query: Any, params: Any = None, **options: Any) -> Any:
        # The check of the servers has threads of its own, and reuses its answers between requests.
        is_check = current_thread().name.startswith("readiness")
        is_ours = cursor.connection.info.dbname == ours  # a thread of another test may end late
        if query != LIMIT_STATEMENTS and is_ours and not is_check:
            asked.append((query, str(params)))
        return run(cursor, query, params, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", noted)
    assert reader.get(BASE + page.format(id=world.open_id)).status_code == 200
    assert asked
    assert [one for one in asked if asked.count(one) > 1] == []


@pytest.mark.usefixtures("world")
def test_pages_that_are_never_turned_keep_no_point_in_time(
    visitor: Visitor, opensearch: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, opened, create = visitor(Role.VIEWER), list[str](), opensearch.create_pit

    def counted(*index: Any, **options: Any) -> Any:
        opened.append(options["index"])
        return create(*index, **options)

    monkeypatch.setattr(opensearch, "create_pit", counted)
    assert reader.get(f"{BASE}/").status_code == 200
    assert reader.get(f"{BASE}/search?since=24h", headers={LIVE_HEADER: "1"}).status_code == 200
    assert opened == []
    assert reader.get(f"{BASE}/search?since=24h").status_code == 200
    assert len(opened) == 1  # there is an older page to turn to
