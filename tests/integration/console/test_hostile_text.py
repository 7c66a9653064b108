"""Hostile text stays text on every page."""

from datetime import UTC, datetime
from html import unescape
from typing import Final

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.opensearch.connection import Client
from signals.clients.postgres import Connection, transaction
from signals.domain.access.people import Role
from signals.domain.detection.buckets import minute_of
from signals.domain.detection.rule_text import parse_rule
from signals.store.detection import rules
from tests.integration.console.conftest import BASE, Visitor
from tests.integration.console.elements import Elements
from tests.integration.console.hostile_rows import store_everywhere
from tests.integration.core.conftest import index
from tests.support.console_world import SHOP, World, add_incident, error
from tests.support.own_rules import OwnEngine

Pool = ConnectionPool[Connection]
HOSTILE: Final = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "\u202egnp.exe",
    "a" * 250,
    "]]><!--",
)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_stays_text_in_every_field(
    visitor: Visitor, pool: Pool, opensearch: Client, world: World, hostile: str
) -> None:
    reader = visitor(Role.ADMIN)
    incident_id = add_incident(pool, title=hostile, fingerprint="X|/y|prod")
    event = error(SHOP, world.events[0].occurred_at, {"route": "/y", "error_code": hostile[:128]}, hostile)
    index(opensearch, [event])
    store_everywhere(pool, incident_id, hostile)
    for path in (
        f"{BASE}/incidents/{incident_id}",
        f"{BASE}/incidents",
        f"{BASE}/outages",
        f"{BASE}/",
        f"{BASE}/ai-jobs",
        f"{BASE}/settings",
        f"{BASE}/send",
        f"{BASE}/notifications",
        f"{BASE}/search?since=6h&facets=1",
        f"{BASE}/search?since=6h&comparison=1&filters=event_type:error",
        f"{BASE}/events/{event.event_id}",
    ):
        page = reader.get(path)
        assert page.status_code == 200, (path, page.text[-300:])
        assert list(Elements(page.text).faults()) == [], path
    echoed = reader.get(f"{BASE}/search", params={"q": hostile, "filters": hostile, "since": hostile})
    assert echoed.status_code == 400
    assert list(Elements(echoed.text).faults()) == []


@pytest.mark.parametrize("hostile", [*HOSTILE, "a=b|release=c|other"])
def test_incident_of_an_own_rule_is_shown_with_hostile_attributes_as_text(
    visitor: Visitor, pool: Pool, world: World, hostile: str
) -> None:
    written = {
        "name": "odd-releases",
        "kind": "new_series",
        "on": {"event_type": "custom"},
        "per": ["release", "route"],
        "floor": 5,
    }
    with transaction(pool) as connection:
        assert rules.create(connection, SHOP.project_id, parse_rule(written), created_by="key:1", most=9) == 1
    minute = minute_of(datetime.now(UTC)) - 1
    kind = (("environment", "prod"), ("event_type", "custom"), ("release", hostile), ("route", hostile))
    engine = OwnEngine(pool, tenancy=SHOP)
    engine.count({(kind, minute): 6})
    engine.tick(minute)
    with pool.connection() as connection:
        [(incident_id, title)] = connection.execute(
            "SELECT id, title FROM incidents WHERE title LIKE 'odd-releases%'"
        ).fetchall()
    assert hostile[:30] in title
    reader = visitor(Role.ADMIN)
    for path in (f"/incidents/{incident_id}", "/incidents?status=all", "/outages?verdict=any"):
        answer = reader.get(BASE + path)
        assert answer.status_code == 200, (path, answer.text[-300:])
        assert list(Elements(answer.text).faults()) == [], path
        assert "odd-releases" in unescape(answer.text), path
    page = unescape(reader.get(f"{BASE}/incidents/{incident_id}").text)
    assert hostile[:30] in page
    assert "Why it fired" in page
