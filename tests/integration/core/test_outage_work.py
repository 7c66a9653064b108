"""People assign, comment on, snooze and find outages; the timeline names each act with its actor."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from signals.clients.postgres import Connection
from tests.integration.core.conftest import OTHER, Keys, OpenOutage
from tests.support.events import NOON

IN_A_DAY = (datetime.now(UTC) + timedelta(days=1)).isoformat()  # however long the tests before these last
ACTS: list[tuple[str, str, Any]] = [
    ("PUT", "assignee", {"assignee": "jane@example.com"}),
    ("POST", "comments", {"text": "It is the cache.\nRestarting."}),
    ("PUT", "snooze", {"until": IN_A_DAY, "events": 500}),
    ("DELETE", "snooze", None),
    ("PUT", "assignee", {"assignee": None}),
]


def test_acts_are_in_the_timeline_with_the_key(reader: TestClient, open_outage: OpenOutage) -> None:
    outage_id = open_outage("E|/a|prod")
    for method, path, content in ACTS:
        answer = reader.request(method, f"/v1/outages/{outage_id}/{path}", json=content)
        assert answer.status_code in (200, 201), answer.text
    changes = reader.get(f"/v1/outages/{outage_id}/timeline").json()
    assert [change["kind"] for change in changes] == [
        "opened",
        "assigned",
        "commented",
        "snoozed",
        "woken",
        "assigned",
    ]
    assert {change["actor"].partition(":")[0] for change in changes[1:]} == {"key"}
    assert changes[2]["detail"] == {"text": "It is the cache.\nRestarting."}
    state: dict[str, Any] = {}
    for change in changes:
        state |= change["detail"]
    outage = reader.get(f"/v1/outages/{outage_id}").json()["outage"]
    assert (state["assignee"], state["snoozed_until"]) == (outage["assignee"], outage["snoozed_until"])


def test_repeated_assignment_is_no_change(reader: TestClient, open_outage: OpenOutage) -> None:
    outage_id = open_outage("E|/a|prod")
    for _ in range(2):
        reader.put(f"/v1/outages/{outage_id}/assignee", json={"assignee": "jane"})
    assert len(reader.get(f"/v1/outages/{outage_id}/timeline").json()) == 2


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "named"),
    [
        ("PUT", "assignee", {"assignee": "a\nb"}, 400, "assignee"),
        ("PUT", "assignee", {}, 400, "assignee"),
        ("POST", "comments", {"text": " "}, 400, "text"),
        ("POST", "comments", {"text": "\x1b[31m"}, 400, "text"),
        ("POST", "comments", {"text": "x" * 4097}, 400, "text"),
        ("PUT", "snooze", {"until": "2020-01-01T00:00:00Z"}, 422, "until"),
        ("PUT", "snooze", {"until": "2090-01-01T00:00:00Z"}, 422, "until"),
        ("PUT", "snooze", {"until": IN_A_DAY, "events": 0}, 400, "events"),
    ],
)
def test_bad_act_is_refused_naming_the_field(
    reader: TestClient, open_outage: OpenOutage, method: str, path: str, content: Any, status: int, named: str
) -> None:
    answer = reader.request(method, f"/v1/outages/{open_outage('E|/a|prod')}/{path}", json=content)
    assert (answer.status_code, named in answer.json()["detail"]) == (status, True), answer.text


def test_incidents_and_outages_are_found_by_digits_and_as_latest(
    reader: TestClient, open_outage: OpenOutage
) -> None:
    first = open_outage("E|/a|prod")
    latest = open_outage("F|/b|prod", at=NOON + timedelta(hours=2))
    incident = reader.get(f"/v1/outages/{first}").json()["incidents"][0]["id"]
    for name in (str(first), str(first)[:13], first.hex[:12].upper(), incident, incident[:12]):
        assert reader.get(f"/v1/outages/{name}").json()["outage"]["id"] == str(first), name
    assert reader.get("/v1/outages/latest").json()["outage"]["id"] == str(latest)
    assert reader.get(f"/v1/incidents/{incident[:9]}").json()["incident"]["id"] == incident
    newest = reader.get("/v1/incidents/latest").json()["incident"]
    assert newest["fingerprint"] == "F|/b|prod"
    answer = reader.patch("/v1/incidents/latest", json={"status": "investigating"})
    assert (answer.json()["incident"]["id"], answer.json()["incident"]["status"]) == (
        newest["id"],
        "investigating",
    )
    for unknown in ("abc", "zzzz", str(uuid4()), "latest2"):
        assert reader.get(f"/v1/outages/{unknown}").status_code == 404


def test_ambiguous_id_says_to_write_more(reader: TestClient, pool: ConnectionPool[Connection]) -> None:
    with pool.connection() as connection:
        for number in (1, 2):
            connection.execute(
                "INSERT INTO incidents (id, org_id, project_id, environment, fingerprint, status, severity,"
                " title, opened_at, last_seen_at) VALUES (%s, 'org_1', 'proj_1', 'prod', %s, 'open', 'error',"
                " 't', now(), now())",
                [f"abcdef00-0000-4000-8000-00000000000{number}", f"E|/{number}|prod"],
            )
    answer = reader.get("/v1/incidents/abcdef")
    assert (answer.status_code, answer.json()["code"]) == (409, "ambiguous_id")
    assert reader.get("/v1/incidents/abcdef0000004000800000000000000" + "1").status_code == 200


def test_lists_are_narrowed_by_assignee_text_severity_and_what_is_unresolved(
    reader: TestClient, open_outage: OpenOutage
) -> None:
    timeout = open_outage("TIMEOUT|/checkout|prod")
    other = open_outage("DB|/cart|prod", at=NOON + timedelta(hours=3))
    reader.put(f"/v1/outages/{other}/assignee", json={"assignee": "jane"})
    reader.patch(f"/v1/outages/{timeout}", json={"status": "resolved"})

    def found(query: str) -> set[str]:
        answer = reader.get(f"/v1/outages?{query}")
        assert answer.status_code == 200, answer.text
        return {outage["id"] for outage in answer.json()["outages"]}

    assert found("assignee=jane") == {str(other)}
    assert found("assignee=joe") == set()
    assert found("text=CHECKout") == {str(timeout)}
    assert found("text=%25") == set()  # no pattern
    assert found("status=unresolved") == {str(other)}
    incidents = reader.get("/v1/incidents?status=unresolved&text=cart&severity=error").json()["incidents"]
    assert [one["fingerprint"] for one in incidents] == ["DB|/cart|prod"]
    assert reader.get("/v1/incidents?severity=critical").json()["incidents"] == []
    mine = reader.get("/v1/incidents?assignee=jane").json()["incidents"]
    assert [one["fingerprint"] for one in mine] == ["DB|/cart|prod"]
    assert reader.get("/v1/incidents?assignee=joe").json()["incidents"] == []
    assert reader.get("/v1/incidents?assignee=%0A").status_code == 400
    assert reader.get("/v1/incidents?text=%00").status_code == 400


def test_maintenance_is_started_listed_and_ended(anonymous: TestClient, keys: Keys) -> None:
    admin = {"X-API-Key": keys.admin}
    reader = {"X-API-Key": keys.read}
    new = {"ends_at": IN_A_DAY, "reason": "upgrade"}
    created = anonymous.post("/v1/maintenance", json=new, headers=admin)
    assert created.status_code == 201
    [listed] = anonymous.get("/v1/maintenance", headers=reader).json()
    assert (listed["id"], listed["is_active"]) == (created.json()["id"], True)
    assert anonymous.post("/v1/maintenance", json=new, headers=reader).status_code == 403
    assert anonymous.delete(f"/v1/maintenance/{listed['id']}", headers=admin).status_code == 204
    assert anonymous.delete(f"/v1/maintenance/{listed['id']}", headers=admin).status_code == 404
    assert anonymous.get("/v1/maintenance", headers=reader).json() == []


def test_change_with_an_older_version_is_refused(reader: TestClient, open_outage: OpenOutage) -> None:
    outage_id = open_outage("E|/a|prod")
    path = f"/v1/outages/{outage_id}"
    read = reader.get(path).json()["outage"]["version"]
    header = {"If-Match": f'"{read}"'}
    first = reader.put(f"{path}/assignee", json={"assignee": "jane"}, headers=header)
    assert first.json()["outage"]["version"] == read + 1
    for method, place, content in (
        ("PUT", "/assignee", {"assignee": "joe"}),
        ("PUT", "/snooze", {"until": IN_A_DAY}),
        ("PATCH", "", {"status": "resolved"}),
    ):
        answer = reader.request(method, path + place, json=content, headers=header)
        assert (answer.status_code, answer.json()["code"]) == (412, "version_changed")
        assert "If-Match" in answer.json()["detail"]
    outage = reader.get(path).json()["outage"]
    assert (outage["assignee"], outage["snoozed_until"], outage["status"]) == ("jane", None, "open")
    header = {"If-Match": str(outage["version"])}
    assert reader.patch(path, json={"status": "resolved"}, headers=header).status_code == 200
    assert reader.patch(path, json={"status": "open"}, headers={"If-Match": "new"}).status_code == 400


def test_new_events_do_not_move_the_version(
    reader: TestClient, open_outage: OpenOutage, pool: ConnectionPool[Connection]
) -> None:
    outage_id = open_outage("E|/a|prod", "E|/b|prod")
    before = reader.get(f"/v1/outages/{outage_id}").json()["outage"]
    with pool.connection() as connection:
        connection.execute("UPDATE incidents SET last_seen_at = last_seen_at + interval '1 minute'")
    after = reader.get(f"/v1/outages/{outage_id}").json()["outage"]
    assert after["last_seen_at"] != before["last_seen_at"]
    assert after["version"] == before["version"] == 2  # one opening each
    assert reader.get("/v1/outages").json()["outages"][0]["version"] == 2


def test_outages_are_sorted_page_by_page(
    reader: TestClient, open_outage: OpenOutage, pool: ConnectionPool[Connection]
) -> None:
    made = [str(open_outage(f"E|/{n}|prod", at=NOON + n * timedelta(hours=1))) for n in range(5)]
    with pool.connection() as connection:
        for place, severity in enumerate(("error", "critical", "warn", "critical", "error")):
            connection.execute(
                "UPDATE pipeline.outages SET severity = %s WHERE id = %s", [severity, made[place]]
            )
        connection.execute(
            "UPDATE incidents SET last_seen_at = %s WHERE fingerprint = 'E|/2|prod'",
            [NOON + timedelta(days=1)],
        )
    assert pages(reader, "/v1/outages", "severity") == [made[place] for place in (3, 1, 4, 0, 2)]
    assert pages(reader, "/v1/outages", "last_seen") == [made[place] for place in (2, 4, 3, 1, 0)]
    assert reader.get("/v1/outages?sort=title").status_code == 400


def test_incidents_are_sorted_page_by_page(
    reader: TestClient, open_outage: OpenOutage, pool: ConnectionPool[Connection]
) -> None:
    for number in range(5):
        open_outage(f"E|/{number}|prod", at=NOON + number * timedelta(hours=1))
    made = list(reversed(pages(reader, "/v1/incidents", "opened")))
    with pool.connection() as connection:
        for place, severity in enumerate(("error", "critical", "warn", "critical", "error")):
            connection.execute("UPDATE incidents SET severity = %s WHERE id = %s", [severity, made[place]])
        connection.execute(
            "UPDATE incidents SET last_seen_at = %s WHERE id = %s", [NOON + timedelta(days=1), made[2]]
        )
    assert pages(reader, "/v1/incidents", "severity") == [made[place] for place in (3, 1, 4, 0, 2)]
    assert pages(reader, "/v1/incidents", "last_seen") == [made[place] for place in (2, 4, 3, 1, 0)]


def pages(reader: TestClient, path: str, sort: str) -> list[str]:
    """Return the ids of every page of two, in order."""
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = reader.get(path, params={"sort": sort, "limit": 2, "cursor": cursor}).json()
        found += [row["id"] for row in page[path.rpartition("/")[2]]]
        cursor = page["next_cursor"]
    return found


def test_bulk_change_has_an_outcome_for_each(
    reader: TestClient, anonymous: TestClient, open_outage: OpenOutage
) -> None:
    made = [str(open_outage(f"E|/{n}|prod", at=NOON + n * timedelta(hours=1))) for n in range(3)]
    theirs = str(open_outage("E|/a|prod", tenancy=OTHER))
    items: list[dict[str, Any]] = [
        {"id": made[0]},
        {"id": made[1], "version": 1},
        {"id": made[2], "version": 7},
        {"id": theirs},
        {"id": "latest"},
    ]
    answer = reader.patch("/v1/outages", json={"status": "investigating", "items": items})
    assert answer.status_code == 207
    assert [(one["id"], one["status"], one["code"]) for one in answer.json()["items"]] == [
        (made[0], 200, "changed"),
        (made[1], 200, "changed"),
        (made[2], 412, "version_changed"),
        (theirs, 404, "no_such_outage"),
        ("latest", 200, "changed"),
    ]
    whole = reader.patch("/v1/outages", json={"status": "resolved", "items": items[:1]})
    assert whole.status_code == 200
    assert {one["status"] for one in reader.get("/v1/outages").json()["outages"]} == {
        "investigating",
        "resolved",
    }


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"status": "done", "items": [{"id": "latest"}]}, 422),
        ({"status": "open", "items": []}, 400),
        ({"status": "open", "items": [{"id": "latest"}] * 101}, 400),
        ({"status": "open", "ids": ["latest"]}, 400),
    ],
)
def test_bad_bulk_change_is_refused_whole(
    reader: TestClient, open_outage: OpenOutage, change: Any, status: int
) -> None:
    open_outage("E|/a|prod")
    for path in ("/v1/outages", "/v1/incidents"):
        assert reader.patch(path, json=change).status_code == status


def test_incidents_change_in_bulk(reader: TestClient, open_outage: OpenOutage) -> None:
    open_outage("E|/a|prod", "E|/b|prod")
    rows = reader.get("/v1/incidents").json()["incidents"]
    items = [{"id": row["id"], "version": row["version"]} for row in rows]
    answer = reader.patch("/v1/incidents", json={"status": "resolved", "items": items})
    assert answer.status_code == 200, answer.text
    again = reader.patch("/v1/incidents", json={"status": "open", "items": items})
    assert [one["status"] for one in again.json()["items"]] == [412, 412]


def test_merged_outages_stay_merged(
    reader: TestClient, open_outage: OpenOutage, settle: Callable[[], None]
) -> None:
    first = open_outage("A|/a|prod")
    second = open_outage("B|/b|prod", at=NOON + timedelta(hours=1))
    reader.put(f"/v1/outages/{second}/assignee", json={"assignee": "jane"})
    settle()
    answer = reader.post(f"/v1/outages/{second}/merge", json={"into": str(first)})
    assert answer.status_code == 200, answer.text
    merged = answer.json()["outage"]
    assert (merged["id"], merged["incidents"], merged["assignee"]) == (str(first), 2, "jane")
    assert reader.get(f"/v1/outages/{second}").json()["outage"]["id"] == str(first)
    assert [one["id"] for one in reader.get("/v1/outages").json()["outages"]] == [str(first)]
    *_, newest = reader.get(f"/v1/outages/{first}/timeline").json()
    assert (newest["kind"], newest["detail"]) == (
        "merged",
        {"merged_from": str(second), "outage_id": str(first)},
    )
    assert newest["actor"].startswith("key:")
    assert reader.patch(f"/v1/outages/{first}", json={"status": "resolved"}).status_code == 200
    returned = open_outage("B|/b|prod", at=datetime.now(UTC))
    assert returned == first
    again = reader.post(f"/v1/outages/{second}/merge", json={"into": str(first)})
    assert (again.status_code, again.json()["code"]) == (409, "same_outage")


def test_split_series_stays_split(
    reader: TestClient, open_outage: OpenOutage, settle: Callable[[], None]
) -> None:
    outage = open_outage("A|/a|prod", "A|/b|prod", "A|/c|prod")
    settle()
    detail = reader.get(f"/v1/outages/{outage}").json()
    assert detail["outage"]["incidents"] == 3
    incident = detail["incidents"][1]["id"]
    stale = reader.post(
        f"/v1/outages/{outage}/split", json={"incident": incident}, headers={"If-Match": '"99"'}
    )
    assert stale.status_code == 412
    answer = reader.post(f"/v1/outages/{outage}/split", json={"incident": incident})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert [one["id"] for one in made["incidents"]] == [incident]
    assert made["outage"]["is_settled"] is True
    rest = reader.get(f"/v1/outages/{outage}").json()["outage"]
    assert (rest["incidents"], rest["status"]) == (2, "open")
    [*_, newest] = reader.get(f"/v1/outages/{made['outage']['id']}/timeline").json()
    assert newest["kind"] == "split"
    settle()
    assert reader.get(f"/v1/outages/{outage}").json()["outage"]["incidents"] == 2
    assert reader.patch(f"/v1/outages/{made['outage']['id']}", json={"status": "resolved"}).status_code == 200
    fingerprint = made["incidents"][0]["fingerprint"]
    assert str(open_outage(fingerprint, at=datetime.now(UTC))) == made["outage"]["id"]
    alone = reader.post(f"/v1/outages/{made['outage']['id']}/split", json={"incident": incident})
    assert (alone.status_code, alone.json()["code"]) == (409, "only_series")


def test_merge_and_split_wait_until_incidents_no_longer_move(
    reader: TestClient, open_outage: OpenOutage, settle: Callable[[], None]
) -> None:
    settled = open_outage("A|/a|prod")
    settle()
    young = open_outage("B|/b|prod", "B|/c|prod", at=NOON + timedelta(hours=1))
    incident = reader.get(f"/v1/outages/{young}").json()["incidents"][0]["id"]
    for path, content in (
        (f"{young}/merge", {"into": str(settled)}),
        (f"{settled}/merge", {"into": str(young)}),
        (f"{young}/split", {"incident": incident}),
    ):
        answer = reader.post(f"/v1/outages/{path}", json=content)
        assert (answer.status_code, answer.json()["code"]) == (409, "not_settled"), path
    theirs = open_outage("A|/a|prod", tenancy=OTHER)
    other = reader.post(f"/v1/outages/{settled}/merge", json={"into": str(theirs)})
    assert (other.status_code, other.json()["code"]) == (422, "unknown_outage")
