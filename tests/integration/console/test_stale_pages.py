"""A press on an old page undoes nothing: it is told what happened meanwhile, and may be repeated."""

import re

import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from tests.integration.console.conftest import BASE, Visitor, refusal, status_of
from tests.support.console_world import World

Pool = ConnectionPool[Connection]
PEOPLE = ("admin", "responder")


def form_of(person: TestClient, page: str, work: str) -> tuple[str, dict[str, str]]:
    """Return the address of a form for work on an outage, and its hidden fields."""
    found = re.search(
        rf'action="([^"]+/{work})"[^>]*>((?:<input type="hidden"[^>]*>)+)', person.get(page).text
    )
    assert found is not None
    return found[1], dict(re.findall(r'name="([^"]+)" value="([^"]*)"', found[2]))


def test_old_page_of_an_incident_does_not_reopen_it(visitor: Visitor, pool: Pool, world: World) -> None:
    first, second = visitor(Role.ADMIN), visitor(Role.RESPONDER)
    path = f"{BASE}/incidents/{world.open_id}"
    assert 'name="shown" value="open"' in second.get(path).text
    first.post(f"{path}/status", data={"status": "resolved", "shown": "open"})
    late = second.post(f"{path}/status", data={"status": "investigating", "shown": "open"})
    assert refusal(second, late, path).startswith("admin resolved it ")
    assert status_of(pool, world.open_id) == "resolved"
    again = second.post(f"{path}/status", data={"status": "investigating", "shown": "resolved"})
    assert (again.status_code, status_of(pool, world.open_id)) == (303, "investigating")


def test_second_person_is_told_who_took_it_on(visitor: Visitor, pool: Pool, world: World) -> None:
    first, second = visitor(Role.ADMIN), visitor(Role.RESPONDER)
    path, form = f"{BASE}/outages/{world.outage_id}", {"status": "investigating", "shown": "open"}
    assert first.post(f"{path}/status", data=form).status_code == 303
    late = second.post(f"{path}/status", data=form)
    assert refusal(second, late, path).startswith("admin took it on ")


def test_late_assignment_names_the_faster_one(visitor: Visitor, world: World) -> None:
    first, second = visitor(Role.ADMIN), visitor(Role.RESPONDER)
    page = f"{BASE}/incidents/{world.open_id}"
    address, fields = form_of(second, page, "assign")
    me = {one: re.search(rf'<option value="(user:[^"]+)">{one}<', first.get(page).text) for one in PEOPLE}
    chosen = {name: found[1] for name, found in me.items() if found}
    assert first.post(address, data=fields | {"assignee": chosen["admin"]}).status_code == 303
    late = second.post(address, data=fields | {"assignee": chosen["responder"]})
    said = refusal(second, late, page)
    assert re.match(r"admin assigned it to admin \d+ s ago\. Your press changed", said)
    assert "<dt>Assigned to</dt><dd>admin</dd>" in second.get(page).text
    address, fields = form_of(second, page, "assign")
    second.post(address, data=fields | {"assignee": chosen["responder"]})
    assert "<dt>Assigned to</dt><dd>responder</dd>" in second.get(page).text


@pytest.mark.parametrize("odd", ["?y=1", "#x", "; a b", "/ä", "/x,y"])
def test_refused_form_leads_back_from_any_next_page(visitor: Visitor, world: World, odd: str) -> None:
    responder = visitor(Role.RESPONDER)
    address, fields = form_of(responder, f"{BASE}/incidents/{world.open_id}", "assign")
    late = fields | {"assignee": "", "shown": "somebody", "next": f"{BASE}/incidents/{world.open_id}{odd}"}
    assert responder.post(address, data=late).status_code == 303


def test_late_snooze_names_the_faster_one(visitor: Visitor, pool: Pool, world: World) -> None:
    first, second = visitor(Role.ADMIN), visitor(Role.RESPONDER)
    page = f"{BASE}/outages/{world.outage_id}"
    address, fields = form_of(second, page, "snooze")
    first.post(address, data=fields | {"for": "7d"})
    late = second.post(address, data=fields | {"for": "1h"})
    assert refusal(second, late, page).startswith("admin snoozed it until ")
    address, fields = form_of(second, page, "snooze")
    first.post(address, data=fields | {"for": "wake"})
    late = second.post(address, data=fields | {"for": "wake"})
    assert refusal(second, late, page).startswith("admin ended its snooze ")
    with pool.connection() as connection:
        kinds = connection.execute(
            "SELECT kind FROM pipeline.incident_changes WHERE kind IN ('snoozed', 'woken') ORDER BY id"
        ).fetchall()
    assert kinds == [("snoozed",), ("woken",)]


def test_old_list_changes_only_rows_that_are_as_shown(visitor: Visitor, pool: Pool, world: World) -> None:
    first, second = visitor(Role.ADMIN), visitor(Role.RESPONDER)
    name = f"pick:{world.open_id}"
    assert f'name="{name}" value="open"' in second.get(f"{BASE}/incidents").text
    first.post(f"{BASE}/incidents/{world.open_id}/status", data={"status": "resolved"})
    late = second.post(f"{BASE}/incidents", data={name: "open", "status": "investigating"})
    assert re.search(r"admin resolved it \d+ s ago; look at it, then try again", late.text)
    assert status_of(pool, world.open_id) == "resolved"


def test_form_without_a_status_shown_still_counts(visitor: Visitor, pool: Pool, world: World) -> None:
    answer = visitor(Role.RESPONDER).post(
        f"{BASE}/incidents/{world.open_id}/status", data={"status": "resolved"}
    )
    assert (answer.status_code, status_of(pool, world.open_id)) == (303, "resolved")
