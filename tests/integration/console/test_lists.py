"""Lists of outages and incidents: every filter of the API, counts that fit, several changed at once."""

import re
from urllib.parse import urlencode

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from signals.services.access.people import add_person
from tests.integration.console.conftest import BASE, Visitor
from tests.support.console_world import SHOP, World

Pool = ConnectionPool[Connection]
TITLES = ("PRICE_MISSING", "UPSTREAM_TIMEOUT", "Signups dropped", "UPSTREAM_DOWN")


def shown(page: str) -> set[str]:
    rows = page[page.index('data-part="list"') : page.index("</section>", page.index('data-part="list"'))]
    return {title for title in TITLES if title in rows}


def counts(page: str) -> tuple[str, ...]:
    tabs = page[page.index('data-part="tabs"') :]
    return tuple(re.findall(r'class="count[^"]*">(\d+)<', tabs[: tabs.index("</nav>")]))


@pytest.mark.parametrize("name", ["outages", "incidents"])
@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"text": "price"}, {"PRICE_MISSING"}),
        ({"text": "/suggest"}, {"UPSTREAM_DOWN"}),
        ({"severity": "warn"}, {"UPSTREAM_TIMEOUT"}),
        ({"severity": "critical", "status": "investigating"}, set()),
        ({"env": "staging"}, set()),
        ({"status": "all"}, set(TITLES)),
        ({"verdict": "any", "status": "resolved"}, {"Signups dropped"}),
    ],
)
def test_list_is_narrowed_by_its_filters(
    visitor: Visitor, world: World, name: str, filters: dict[str, str], expected: set[str]
) -> None:
    answer = visitor(Role.VIEWER).get(f"{BASE}/{name}?{urlencode({'status': 'all'} | filters)}")
    assert answer.status_code == 200
    assert shown(answer.text) == expected
    if not expected:
        assert "Drop the filters" in answer.text


def test_counts_beside_the_status_fit_the_filters(visitor: Visitor, world: World) -> None:
    reader = visitor(Role.VIEWER)
    for name, all_open, down in (("outages", "2", "1"), ("incidents", "4", "3")):
        assert counts(reader.get(f"{BASE}/{name}").text) == (all_open, "1")
        narrowed = reader.get(f"{BASE}/{name}?text=UPSTREAM_DOWN&status=resolved").text
        assert counts(narrowed) == (down, "0")
        assert narrowed.count(f"<title>{down} FIRING") == 1


def actor_of(pool: Pool, name: str) -> str:
    """Return the actor of the first person of a name."""
    with pool.connection() as connection:
        row = connection.execute(
            "SELECT id FROM people.users WHERE name = %s ORDER BY email", [name]
        ).fetchone()
    assert row is not None
    return f"user:{row[0]}"


def test_two_people_of_one_name_have_work_of_their_own(visitor: Visitor, pool: Pool, world: World) -> None:
    first = visitor(Role.RESPONDER)
    address = f"{BASE}/outages/{world.outage_id}"
    add_person(pool, "responder@aaa.example", org_id=SHOP.org_id, role=Role.RESPONDER, actor="cli:test")
    assert (
        'value="responder@aaa.example">responder (responder@aaa.example)<'
        in first.get(f"{BASE}/outages").text
    )
    first.post(f"{address}/assign", data={"assignee": actor_of(pool, "responder")})
    page = first.get(address).text
    assert "<dt>Assigned to</dt><dd>responder (responder@aaa.example)</dd>" in page
    assert shown(first.get(f"{BASE}/outages?mine=1").text) == set()
    for given in (
        {"assignee": "responder@aaa.example"},
        {"assignee": "responder@aaa.example", "status": "all"},
    ):
        assert shown(first.get(f"{BASE}/outages?{urlencode(given)}").text) == {"UPSTREAM_DOWN"}
    with pool.connection() as connection:  # as an earlier release wrote it: it may be either's
        connection.execute("UPDATE pipeline.outage_cares SET assignee = 'responder'")
    assert shown(first.get(f"{BASE}/outages?mine=1").text) == {"UPSTREAM_DOWN"}


def test_reader_finds_what_is_assigned_to_them(visitor: Visitor, pool: Pool, world: World) -> None:
    person = visitor(Role.RESPONDER)
    person.post(f"{BASE}/outages/{world.outage_id}/assign", data={"assignee": actor_of(pool, "responder")})
    for query in ("mine=1", urlencode({"assignee": "responder"})):
        assert shown(person.get(f"{BASE}/outages?{query}").text) == {"UPSTREAM_DOWN"}
        assert shown(person.get(f"{BASE}/incidents?{query}").text) == {"UPSTREAM_DOWN"}
    assert shown(visitor(Role.VIEWER).get(f"{BASE}/outages?mine=1").text) == set()


def test_list_is_sorted_and_pages_keep_every_filter(visitor: Visitor, world: World) -> None:
    reader = visitor(Role.VIEWER)
    page = reader.get(f"{BASE}/incidents?status=all&sort=severity").text
    assert page.index("PRICE_MISSING") < page.index("UPSTREAM_DOWN") < page.index("UPSTREAM_TIMEOUT")
    assert reader.get(f"{BASE}/incidents?sort=odd").status_code == 400
    assert 'href="?status=open&amp;sort=severity"' in page


def test_chosen_incidents_change_together_and_failures_are_named(
    visitor: Visitor, pool: Pool, world: World
) -> None:
    person, path = visitor(Role.RESPONDER), f"{BASE}/incidents"
    page = person.get(f"{path}?text=UPSTREAM_DOWN").text
    chosen = dict.fromkeys(re.findall(r'name="(pick:[0-9a-f-]{36})"', page), "1")
    assert len(chosen) == 3
    changed = person.post(f"{path}?text=UPSTREAM_DOWN", data=chosen | {"status": "resolved"})
    assert changed.headers["location"] == f"{path}?text=UPSTREAM_DOWN"
    with pool.connection() as connection:
        [found] = connection.execute(
            "SELECT array_agg(DISTINCT status) FROM incidents WHERE fingerprint LIKE 'UPSTREAM_DOWN%'"
        ).fetchall()
    assert found == (["resolved"],)
    refused = person.post(path, data={f"pick:{world.outage_id}": "1", "pick:odd": "1", "status": "open"})
    assert refused.text.count("this project has no such incident") == 2
    assert visitor(Role.VIEWER).post(path, data=chosen | {"status": "open"}).status_code == 403


def test_empty_list_has_its_buttons_for_rows_that_come_later(visitor: Visitor, world: World) -> None:
    for name in ("outages", "incidents"):
        page = visitor(Role.RESPONDER).get(f"{BASE}/{name}?env=staging").text
        assert f'<form method="post" action="{BASE}/{name}?' in page
        assert 'data-part="bulk" hidden' in page
        assert 'id="bulk"' not in visitor(Role.VIEWER).get(f"{BASE}/{name}?env=staging").text


def test_young_project_shows_its_outages_at_once(visitor: Visitor, pool: Pool, world: World) -> None:
    with pool.connection() as connection:
        connection.execute("UPDATE pipeline.outages SET verdict = 'learning'")
    reader = visitor(Role.VIEWER)
    overview = reader.get(f"{BASE}/").text
    assert "2 outages are open" in overview
    assert "the project is too young for a sure one" in overview
    assert "PRICE_MISSING" in overview
    assert shown(reader.get(f"{BASE}/outages").text) == {"PRICE_MISSING", "UPSTREAM_DOWN"}
    assert shown(reader.get(f"{BASE}/outages?verdict=confirmed").text) == set()


def test_view_of_incidents_is_saved(visitor: Visitor, world: World) -> None:
    reader, query = visitor(Role.VIEWER), "?severity=warn&mine=1"
    answer = reader.post(f"{BASE}/views/save", data={"page": "incidents", "name": "Mine", "query": query})
    assert answer.headers["location"] == f"{BASE}/incidents{query}"
    assert (
        f'href="{BASE}/incidents?severity=warn&amp;mine=1">Mine</a>' in reader.get(f"{BASE}/incidents").text
    )
    assert ">Mine</a>" not in reader.get(f"{BASE}/outages").text
