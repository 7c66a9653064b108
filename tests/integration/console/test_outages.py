"""The pages of outages: people act on the outage, and its incidents follow."""

import re

from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from signals.services.incidents.views import MAX_CHANGES
from tests.integration.console.conftest import BASE, Visitor, press_each_status
from tests.support.console_world import World

Pool = ConnectionPool[Connection]
MEMBERS = "SELECT status FROM incidents WHERE fingerprint LIKE 'UPSTREAM_DOWN%'"


def statuses(pool: Pool) -> set[str]:
    with pool.connection() as connection:
        return {row[0] for row in connection.execute(MEMBERS)}


def test_outage_page_names_its_incidents_and_why_they_are_one(visitor: Visitor, world: World) -> None:
    page = visitor(Role.VIEWER).get(f"{BASE}/outages/{world.outage_id}").text
    assert "<title>FIRING · Error code UPSTREAM_DOWN: 3 series left their normal" in page
    assert "3 of 4 series with error code UPSTREAM_DOWN" in page
    members = page[page.index('id="members-title"') : page.index('id="summary-title"')]
    assert len(re.findall(rf'href="{BASE}/incidents/[0-9a-f-]{{36}}"', members)) == 3
    assert page.count('<svg class="chart') == 2
    assert "100 %" in page  # the code that all of them share
    assert page.count("Joined: ") == 2


def test_incidents_follow_the_status_of_their_outage(visitor: Visitor, pool: Pool, world: World) -> None:
    person, path = visitor(Role.RESPONDER), f"{BASE}/outages/{world.outage_id}"
    for wanted in press_each_status(person, path):
        assert statuses(pool) == {wanted}
    assert person.post(path + "/status", data={"status": "odd"}).status_code == 422


def test_outage_of_one_incident_is_that_incident(visitor: Visitor, pool: Pool, world: World) -> None:
    reader = visitor(Role.VIEWER)
    assert f'href="{BASE}/incidents/{world.open_id}"' in reader.get(f"{BASE}/outages").text
    with pool.connection() as connection:
        row = connection.execute(
            "SELECT outage_id FROM pipeline.outage_members WHERE incident_id = %s", [world.open_id]
        ).fetchone()
    assert row is not None
    answer = reader.get(f"{BASE}/outages/{row[0]}")
    assert answer.headers["location"] == f"{BASE}/incidents/{world.open_id}"


def test_overview_shows_outages_first_and_leads_to_their_pages(visitor: Visitor, world: World) -> None:
    page = visitor(Role.VIEWER).get(f"{BASE}/").text
    assert "2 outages are open" in page  # three incidents with one cause are one of them
    assert f'href="{BASE}/outages/{world.outage_id}"' in page
    assert f'href="{BASE}/incidents/{world.open_id}"' in page


def test_member_leads_to_its_outage(visitor: Visitor, pool: Pool, world: World) -> None:
    with pool.connection() as connection:
        row = connection.execute(MEMBERS.replace("status", "id", 1)).fetchone()
    assert row is not None
    page = visitor(Role.VIEWER).get(f"{BASE}/incidents/{row[0]}").text
    assert f'One of 3 incidents of <a href="{BASE}/outages/{world.outage_id}">' in page


def test_unconfirmed_outages_are_shown_on_request(visitor: Visitor, pool: Pool, world: World) -> None:
    with pool.connection() as connection:
        connection.execute(
            "UPDATE pipeline.outages SET verdict = 'unconfirmed' WHERE id = %s", [world.outage_id]
        )
    reader = visitor(Role.VIEWER)
    page = reader.get(f"{BASE}/outages").text
    assert "UPSTREAM_DOWN" not in page
    assert "1 unresolved outage is not confirmed" in page
    assert "UPSTREAM_DOWN" in reader.get(f"{BASE}/outages?verdict=any").text


def test_chosen_outages_change_together_and_failures_are_named(
    visitor: Visitor, pool: Pool, world: World
) -> None:
    person, path = visitor(Role.RESPONDER), f"{BASE}/outages"
    with pool.connection() as connection:
        ids = [row[0] for row in connection.execute("SELECT id FROM pipeline.outages")]
    chosen = {f"pick:{one}": "1" for one in ids}
    answer = person.post(f"{path}?status=all", data=chosen | {"status": "resolved"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?status=all")
    with pool.connection() as connection:
        assert connection.execute("SELECT DISTINCT status FROM incidents").fetchall() == [("resolved",)]
    failed = person.post(path, data={f"pick:{world.open_id}": "1", "pick:odd": "1", "status": "open"})
    assert failed.text.count("this project has no such outage") == 2
    assert "Choose some first" in person.post(path, data={"status": "open"}).text


def test_note_assignee_and_snooze_stand_on_the_page_and_in_the_timeline(
    visitor: Visitor, world: World
) -> None:
    person, path = visitor(Role.RESPONDER), f"{BASE}/outages/{world.outage_id}"
    person.post(path + "/note", data={"text": "<b>rolled back</b>\r\nlooks better"})
    found = re.search(r'<option value="(user:[^"]+)">([^<]+)</option>', person.get(path).text)
    assert found is not None
    actor, name = found.groups()
    for action, data in (("assign", {"assignee": actor}), ("snooze", {"for": "4h"})):
        answer = person.post(f"{path}/{action}", data=data | {"next": path})
        assert (answer.status_code, answer.headers["location"]) == (303, path)
    page = person.get(path).text
    assert "responder: &lt;b&gt;rolled back&lt;/b&gt;\nlooks better" in page
    assert f"responder assigned it to {name}" in page
    assert "Nobody is notified until" in page
    assert f"{name} has it" in person.get(f"{BASE}/outages").text
    person.post(path + "/snooze", data={"for": "wake"})
    assert "responder ended its snooze" in person.get(path).text
    for action, data in (("note", {"text": ""}), ("assign", {"assignee": "x"}), ("snooze", {"for": "9y"})):
        assert person.post(f"{path}/{action}", data=data).status_code == 422


def test_incident_alone_is_worked_on_at_its_own_page(visitor: Visitor, world: World) -> None:
    person, path = visitor(Role.RESPONDER), f"{BASE}/incidents/{world.open_id}"
    found = re.search(rf'action="({BASE}/outages/[0-9a-f-]{{36}}/note)"', person.get(path).text)
    assert found is not None
    answer = person.post(found[1], data={"text": "the price feed is empty", "next": path})
    assert answer.headers["location"] == path
    assert "responder: the price feed is empty" in person.get(path).text
    assert "Work on it" not in visitor(Role.VIEWER).get(path).text


def test_newest_changes_and_the_stored_care_are_shown_after_many(
    visitor: Visitor, pool: Pool, world: World
) -> None:
    person, path = visitor(Role.RESPONDER), f"{BASE}/outages/{world.outage_id}"
    found = re.search(r'<option value="(user:[^"]+)">([^<]+)</option>', person.get(path).text)
    assert found is not None
    actor, name = found.groups()
    person.post(f"{path}/assign", data={"assignee": actor})
    with pool.connection() as connection:
        connection.execute(
            "SELECT pipeline.note_change(incident_id, 'commented', '{\"text\": \"again\"}')"
            " FROM (SELECT incident_id FROM pipeline.outage_members WHERE outage_id = %s LIMIT 1) AS one,"
            " generate_series(1, %s)",
            [world.outage_id, MAX_CHANGES],
        )
    person.post(f"{path}/note", data={"text": "the newest of all"})
    page = person.get(path).text
    assert "the newest of all" in page
    assert f"<dt>Assigned to</dt><dd>{name}</dd>" in page
    with pool.connection() as connection:
        connection.execute("UPDATE pipeline.outage_cares SET assignee = 'Somebody else'")
    page = person.get(path).text
    assert "<dt>Assigned to</dt><dd>Somebody else</dd>" in page
    kept = person.post(f"{path}/assign", data={"assignee": "Somebody else", "shown": "Somebody else"})
    assert kept.status_code == 303
    assert "<option selected>Somebody else</option>" in page


def test_snooze_that_is_over_is_not_shown(visitor: Visitor, pool: Pool, world: World) -> None:
    person, path = visitor(Role.RESPONDER), f"{BASE}/incidents/{world.open_id}"
    found = re.search(rf'action="({BASE}/outages/[0-9a-f-]{{36}})/snooze"', person.get(path).text)
    assert found is not None
    person.post(f"{found[1]}/snooze", data={"for": "1h"})
    assert "<dt>Silent until</dt>" in person.get(path).text
    with pool.connection() as connection:
        connection.execute("UPDATE pipeline.outage_cares SET snoozed_until = now() - interval '1 minute'")
    assert "<dt>Silent until</dt>" not in person.get(path).text


def test_causes_stand_with_both_rates(visitor: Visitor, pool: Pool, world: World) -> None:
    group = {
        "form": "value",
        "labels": ["release=<b>2</b>"],
        "failing_inside": 76,
        "failing_outside": 24,
        "working_inside": 12,
        "working_outside": 88,
    }
    with pool.connection() as connection:
        connection.execute(
            "UPDATE ai_outputs SET content_json = content_json || %s WHERE incident_id = %s",
            [Jsonb({"findings": {"reference": "working", "causes": [{"group": group}]}}), world.open_id],
        )
    page = visitor(Role.VIEWER).get(f"{BASE}/incidents/{world.open_id}").text
    apart = page[page.index("What sets the failing apart") : page.index("<h3>Evidence")]
    assert "release=&lt;b&gt;2&lt;/b&gt;" in apart
    assert "76 %" in apart
    assert "12 %" in apart
    assert "Of working requests" in apart
