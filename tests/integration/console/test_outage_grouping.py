"""Merging and splitting from the console: both ids lead to one page, and timelines name who did it."""

import re
from uuid import UUID

import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from tests.integration.console.conftest import BASE, Visitor, refusal
from tests.support.console_world import World, add_incident

Pool = ConnectionPool[Connection]


def outage_of(pool: Pool, incident_id: UUID) -> UUID:
    with pool.connection() as connection:
        row = connection.execute(
            "SELECT outage_id FROM pipeline.outage_members WHERE incident_id = %s", [incident_id]
        ).fetchone()
    assert row is not None
    return UUID(str(row[0]))


@pytest.fixture
def settled(pool: Pool, world: World) -> World:
    """The world ten minutes later: no incident moves by itself any more."""
    with pool.connection() as connection:
        connection.execute("UPDATE pipeline.outages SET decided_at = now(), settled_at = now()")
    return world


def version(person: TestClient, path: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', person.get(path).text)
    assert found is not None
    return found[1]


def test_merged_outage_leads_to_the_chosen_one(visitor: Visitor, pool: Pool, settled: World) -> None:
    person, source = visitor(Role.RESPONDER), outage_of(pool, settled.open_id)
    assert (
        f'href="{BASE}/outages/{source}/grouping"' in person.get(f"{BASE}/incidents/{settled.open_id}").text
    )
    path = f"{BASE}/outages/{source}"
    choice = person.get(f"{path}/grouping").text
    assert f'name="into" value="{settled.outage_id}"' in choice
    assert f'value="{source}"' not in choice
    assert "there is nothing to split" in choice
    form = {"into": str(settled.outage_id), "version": version(person, f"{path}/grouping")}
    merged = person.post(f"{path}/merge", data=form)
    assert (merged.status_code, merged.headers["location"]) == (303, f"{BASE}/outages/{settled.outage_id}")
    assert person.get(path).headers["location"] == f"{BASE}/outages/{settled.outage_id}"
    survivor = f"{BASE}/outages/{settled.outage_id}"
    assert person.get(f"{path}/grouping").headers["location"] == f"{survivor}/grouping"
    page = person.get(survivor).text
    assert "responder merged two outages into one" in page
    assert "PRICE_MISSING on /cart" in page


def test_split_stands_in_both_timelines(visitor: Visitor, pool: Pool, settled: World) -> None:
    person, path = visitor(Role.RESPONDER), f"{BASE}/outages/{settled.outage_id}"
    choice = person.get(f"{path}/grouping").text
    [*_, incident] = re.findall(r'name="incident" value="([0-9a-f-]{36})"', choice)
    made = person.post(f"{path}/split", data={"incident": incident})
    assert made.status_code == 303
    new = UUID(made.headers["location"].rpartition("/")[2])
    assert outage_of(pool, UUID(incident)) == new != settled.outage_id
    said = "responder split a series off into an outage of its own"
    rest, alone = person.get(path).text, person.get(f"{BASE}/incidents/{incident}").text
    assert said in rest
    assert said in alone
    assert f'href="{BASE}/outages/{new}">The other outage' in rest
    assert f'href="{path}">The other outage' in alone


def test_impossible_regrouping_is_refused_in_words(visitor: Visitor, pool: Pool, world: World) -> None:
    person, young = visitor(Role.RESPONDER), outage_of(pool, world.open_id)
    path = f"{BASE}/outages/{young}"
    assert "Merge or split it after that." in person.get(f"{path}/grouping").text
    page = f"{path}/grouping"
    early = person.post(f"{path}/merge", data={"into": str(world.outage_id)})
    assert "ten minutes after its opening" in refusal(person, early, page)
    for action in ("merge", "split"):
        nothing = person.post(f"{path}/{action}", data={"version": ""})
        assert refusal(person, nothing, page).startswith("Choose the")
    gone = person.post(f"{path}/merge", data={"into": str(UUID(int=7))})
    assert refusal(person, gone, page).startswith("It is gone.")
    assert outage_of(pool, world.open_id) == young


def test_choice_that_became_stale_is_refused(visitor: Visitor, pool: Pool, settled: World) -> None:
    person, path = visitor(Role.RESPONDER), f"{BASE}/outages/{settled.outage_id}"
    shown = version(person, f"{path}/grouping")
    person.post(f"{path}/note", data={"text": "another person was faster"})
    other = outage_of(pool, settled.open_id)
    stale = person.post(f"{path}/merge", data={"into": str(other), "version": shown})
    said = refusal(person, stale, f"{path}/grouping")
    assert re.match(r"responder: another person was faster \d+ s ago\. Your press changed nothing", said)


def test_late_merge_names_who_merged_before(visitor: Visitor, pool: Pool, settled: World) -> None:
    first, second = visitor(Role.ADMIN), visitor(Role.RESPONDER)
    path, other = f"{BASE}/outages/{settled.outage_id}", outage_of(pool, settled.open_id)
    form = {"into": str(other), "version": version(second, f"{path}/grouping")}
    assert first.post(f"{path}/merge", data=form).status_code == 303
    late = second.post(f"{path}/merge", data=form)
    said = refusal(second, late, f"{BASE}/outages/{other}/grouping")
    assert said.startswith("admin merged two outages into one ")


def test_choice_is_narrowed_by_words_and_holds_no_resolved_outage(
    visitor: Visitor, pool: Pool, settled: World
) -> None:
    add_incident(pool, fingerprint="GATEWAY_DOWN|/pay|prod", title="GATEWAY_DOWN on /pay in prod")
    person, path = visitor(Role.RESPONDER), f"{BASE}/outages/{settled.outage_id}/grouping"
    everything, narrowed = person.get(path).text, person.get(f"{path}?text=gateway").text
    assert "Signups dropped" not in everything
    assert everything.count('name="into"') == 3
    assert narrowed.count('name="into"') == 1
    assert "its incidents may still move" in narrowed
