"""The page of an incident shows its numbers, and a person changes its status; the list holds each once."""

import re

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from tests.integration.console.conftest import BASE, Visitor, press_each_status, status_of
from tests.support.console_world import FINGERPRINT, World, add_incident

Pool = ConnectionPool[Connection]


def test_incident_page_says_since_when_how_bad_and_why(visitor: Visitor, world: World) -> None:
    page = visitor(Role.RESPONDER).get(f"{BASE}/incidents/{world.open_id}").text
    assert re.search(r"<title>FIRING · PRICE_MISSING", page)
    for text in ("critical", "At its last", "1,142", "Why it fired", "threshold of <b>30</b>", "TypeError"):
        assert text in page, text
    assert "statements verified" in page
    assert f'href="{BASE}/events/' in page  # evidence leads to the event that it rests on
    assert page.count('<svg class="chart') == 2
    assert "GET /v1/" not in page  # steps for programs have no place here


def test_status_changes_in_the_name_of_the_person(visitor: Visitor, pool: Pool, world: World) -> None:
    person = visitor(Role.RESPONDER)
    path = f"{BASE}/incidents/{world.open_id}"
    for wanted in press_each_status(person, path):
        assert status_of(pool, world.open_id) == wanted
    with pool.connection() as connection:
        rows = connection.execute(
            "SELECT actor FROM pipeline.incident_changes WHERE incident_id = %s AND actor LIKE 'user:%%'",
            [world.open_id],
        ).fetchall()
    assert len(rows) == 3


def test_reopening_beside_a_newer_incident_is_refused_in_words(
    visitor: Visitor, pool: Pool, world: World
) -> None:
    older = add_incident(pool, status="resolved", fingerprint=FINGERPRINT)
    person, path = visitor(Role.RESPONDER), f"{BASE}/incidents/{older}"
    answer = person.post(f"{path}/status", data={"status": "open"})
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    page = person.get(path).text
    assert "A newer incident of the same kind" in page
    assert f'It fails again: <a href="{BASE}/incidents/{world.open_id}">' in page
    assert status_of(pool, older) == "resolved"


def test_older_pages_reach_every_incident_once(visitor: Visitor, pool: Pool) -> None:
    ids = {str(add_incident(pool, fingerprint=f"E{n}|/r|prod", title=f"Title {n}")) for n in range(120)}
    reader, path, seen = visitor(Role.VIEWER), f"{BASE}/incidents?status=all&env=prod", []
    while path:
        page = reader.get(path).text
        seen += re.findall(rf'<a href="{BASE}/incidents/([0-9a-f-]{{36}})"', page)
        older = re.search(r'<a href="(\?[^"]+)" rel="next"', page)
        path = f"{BASE}/incidents{older[1].replace('&amp;', '&')}" if older else ""
    assert len(seen) == len(set(seen))
    assert ids <= set(seen)


@pytest.mark.parametrize("query", ["status=odd", "env=moon", "cursor=nonsense"])
def test_wrong_filter_is_named(visitor: Visitor, query: str) -> None:
    answer = visitor(Role.VIEWER).get(f"{BASE}/incidents?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.text
