"""A press on an old page undoes nothing: it is told what happened meanwhile, and may be repeated."""

from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from tests.integration.console.conftest import BASE, Visitor
from tests.support.console_world import World

Pool = ConnectionPool[Connection]


def status_of(pool: Pool, world: World) -> str:
    with pool.connection() as connection:
        row = connection.execute("SELECT status FROM incidents WHERE id = %s", [world.open_id]).fetchone()
    assert row is not None
    return str(row[0])


def test_old_page_of_an_incident_does_not_reopen_it(visitor: Visitor, pool: Pool, world: World) -> None:
    first, second = visitor(Role.ADMIN), visitor(Role.RESPONDER)
    path = f"{BASE}/incidents/{world.open_id}"
    assert 'name="shown" value="open"' in second.get(path).text
    first.post(f"{path}/status", data={"status": "resolved", "shown": "open"})
    late = second.post(f"{path}/status", data={"status": "investigating", "shown": "open"})
    assert (late.status_code, status_of(pool, world)) == (409, "resolved")
    assert "admin resolved it" in late.text[late.text.index('role="alert"') :][:200]
    again = second.post(f"{path}/status", data={"status": "investigating", "shown": "resolved"})
    assert (again.status_code, status_of(pool, world)) == (303, "investigating")


def test_second_person_is_told_who_took_it_on(visitor: Visitor, pool: Pool, world: World) -> None:
    first, second = visitor(Role.ADMIN), visitor(Role.RESPONDER)
    path, form = f"{BASE}/outages/{world.outage_id}", {"status": "investigating", "shown": "open"}
    assert first.post(f"{path}/status", data=form).status_code == 303
    late = second.post(f"{path}/status", data=form)
    assert late.status_code == 409
    assert "admin took it on" in late.text[late.text.index('role="alert"') :][:200]


def test_old_list_changes_only_rows_that_are_as_shown(visitor: Visitor, pool: Pool, world: World) -> None:
    first, second = visitor(Role.ADMIN), visitor(Role.RESPONDER)
    name = f"pick:{world.open_id}"
    assert f'name="{name}" value="open"' in second.get(f"{BASE}/incidents").text
    first.post(f"{BASE}/incidents/{world.open_id}/status", data={"status": "resolved"})
    late = second.post(f"{BASE}/incidents", data={name: "open", "status": "investigating"})
    assert "it changed meanwhile; try again" in late.text
    assert status_of(pool, world) == "resolved"


def test_form_without_a_status_shown_still_counts(visitor: Visitor, pool: Pool, world: World) -> None:
    answer = visitor(Role.RESPONDER).post(
        f"{BASE}/incidents/{world.open_id}/status", data={"status": "resolved"}
    )
    assert (answer.status_code, status_of(pool, world)) == (303, "resolved")
