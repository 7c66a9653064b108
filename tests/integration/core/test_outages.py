"""Outages as readers see them, and how they set their status."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from signals.clients.postgres import Connection
from signals.domain.detection.buckets import Series, minute_of
from signals.services.incidents.settling import Settling
from signals.store.detection import buckets
from tests.integration.core.conftest import OTHER, Keys, OpenIncident, OpenOutage
from tests.support.events import NOON, TENANCY

MINUTE = timedelta(minutes=1)
DB_DOWN = tuple(f"DB_DOWN|/r{number}|prod" for number in range(3))


@pytest.fixture
def settle(pool: ConnectionPool[Connection]) -> Any:
    """Lets twelve minutes pass, and settles windows."""

    def later() -> None:
        with pool.connection() as connection:
            connection.execute("UPDATE pipeline.outages SET created_at = created_at - interval '12 minutes'")
        Settling(pool).round()

    return later


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [outage["id"] for outage in answer.json()["outages"]]


def one(reader: TestClient, outage_id: UUID) -> Any:
    answer = reader.get(f"/v1/outages/{outage_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def incident_statuses(reader: TestClient, outage_id: UUID) -> list[str]:
    return [incident["status"] for incident in one(reader, outage_id)["incidents"]]


def verdict(pool: ConnectionPool[Connection], outage_id: UUID, verdict: str) -> None:
    with pool.connection() as connection:
        connection.execute("UPDATE pipeline.outages SET verdict = %s WHERE id = %s", [verdict, outage_id])


def test_pages_hold_every_outage_once_newest_first(reader: TestClient, open_outage: OpenOutage) -> None:
    made = [open_outage(f"E|/{number}|prod", at=NOON + number * 60 * MINUTE) for number in range(7)]
    seen: list[str] = []
    cursor = ""
    while True:
        answer = reader.get("/v1/outages", params={"limit": 3, "cursor": cursor})
        seen += ids(answer)
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            break
    assert seen == [str(outage_id) for outage_id in reversed(made)]
    assert reader.get("/v1/outages?status=open", params={"cursor": "x"}).status_code == 400


def test_confirmed_outages_are_listed_unless_any_is_asked_for(
    reader: TestClient, open_outage: OpenOutage, pool: ConnectionPool[Connection]
) -> None:
    told = open_outage("A|/a|prod")
    doubtful = open_outage("B|/b|prod", at=NOON + 60 * MINUTE)
    learning = open_outage("C|/c|prod", at=NOON + 120 * MINUTE)
    verdict(pool, doubtful, "unconfirmed")
    verdict(pool, learning, "learning")
    assert ids(reader.get("/v1/outages")) == [str(told)]
    assert ids(reader.get("/v1/outages?verdict=unconfirmed")) == [str(doubtful)]
    assert ids(reader.get("/v1/outages?verdict=any")) == [str(learning), str(doubtful), str(told)]
    assert reader.get("/v1/outages?verdict=sure").status_code == 400


def test_incidents_and_outages_take_the_same_verdicts(
    reader: TestClient, open_outage: OpenOutage, pool: ConnectionPool[Connection]
) -> None:
    open_outage("A|/a|prod")
    with pool.connection() as connection:
        connection.execute(
            """INSERT INTO pipeline.incident_states (incident_id, kind, verdict, grouping)
               SELECT id, 'change', 'unconfirmed', 3 FROM incidents"""
        )
    verdict(pool, UUID(ids(reader.get("/v1/outages?verdict=any"))[0]), "unconfirmed")

    def listed(kind: str, query: str) -> int:
        return len(reader.get(f"/v1/{kind}{query}").json()[kind])

    for one in ("any", "unconfirmed", "confirmed", "learning"):
        query = f"?verdict={one}"
        assert listed("incidents", query) == listed("outages", query) == (one in ("any", "unconfirmed"))
    for query in ("", "?verdict="):
        assert (listed("incidents", query), listed("outages", query)) == (1, 0)


def test_filters_select(reader: TestClient, open_outage: OpenOutage) -> None:
    prod = open_outage("A|/a|prod", severity="critical")
    dev = open_outage("B|/b|dev", at=NOON + 60 * MINUTE, environment="dev", severity="warn")
    assert ids(reader.get("/v1/outages?env=PROD")) == [str(prod)]
    assert ids(reader.get("/v1/outages?env=dev&status=&severity=")) == [str(dev)]
    assert ids(reader.get("/v1/outages?severity=critical")) == [str(prod)]
    assert ids(reader.get("/v1/outages", params={"since": "2026-03-01T12:30:00Z"})) == [str(dev)]
    assert ids(reader.get("/v1/outages?status=resolved")) == []
    assert ids(reader.get(f"/v1/outages?project_id={TENANCY.project_id}&status=open")) == [
        str(dev),
        str(prod),
    ]
    assert reader.get("/v1/outages?severity=bad").status_code == 400


def test_detail_says_why_and_adds_its_series_up(
    reader: TestClient, open_outage: OpenOutage, settle: Any, pool: ConnectionPool[Connection]
) -> None:
    series = [Series("proj_1", "prod", "error_count", name, "org_1") for name in DB_DOWN]
    first = minute_of(NOON)
    with pool.connection() as connection:
        counted = {(one_, first - 1): 1 for one_ in series} | {(one_, first): 40 for one_ in series}
        buckets.increment(connection, counted)
    outage_id = open_outage(*DB_DOWN)
    assert one(reader, outage_id)["outage"]["title"] == "DB_DOWN|/r0|prod fails (and 2 more series)"
    assert one(reader, outage_id)["why"]["explanation"].endswith("until 10 minutes after the first.")
    settle()
    with pool.connection() as connection:
        for number, row in enumerate(one(reader, outage_id)["incidents"]):
            connection.execute(
                """INSERT INTO pipeline.incident_evaluations
                       (incident_id, moment, rule, minute_at, count, baseline, threshold, window_minutes)
                   VALUES (%s, 'opened', 'error-spike', %s, 40, 2.5, 30, 5)""",
                (row["id"], NOON),
            )
            if number == 0:
                connection.execute(
                    "INSERT INTO ai_outputs VALUES (%s, %s, 'summary', 'builtin', %s, %s)",
                    (uuid4(), row["id"], Jsonb({"title": "The database is away"}), NOON),
                )
    detail = one(reader, outage_id)
    outage = detail["outage"]
    assert (outage["title"], outage["incidents"]) == ("Error code DB_DOWN: 3 series left their normal", 3)
    assert outage["cause"] == {
        "attribute": "error_code",
        "value": "DB_DOWN",
        "fired_series": 3,
        "active_series": 3,
    }
    assert (outage["is_settled"], outage["summary_model"], outage["environments"]) == (
        True,
        "builtin",
        ["prod"],
    )
    assert detail["why"]["explanation"] == (
        "3 of 3 series with error code DB_DOWN that had events in the day before left their normal together."
    )
    assert detail["why"]["first_incident"]["normal"] == 2.5
    assert detail["summary"]["content"] == {"title": "The database is away"}
    assert [row["fingerprint"] for row in detail["incidents"]] == list(DB_DOWN)
    chart = detail["chart"]
    assert (chart["metric"], chart["series"], chart["baseline_per_minute"]) == ("error_count", 3, 1.5)
    assert [minute["count"] for minute in chart["minutes"]][-2:] == [3, 120]
    assert reader.get(detail["links"]["self"]).status_code == 200
    assert reader.get(detail["links"]["first_incident"]).status_code == 200


def test_incident_names_its_outage(
    reader: TestClient, open_outage: OpenOutage, open_incident: OpenIncident
) -> None:
    outage_id = open_outage(*DB_DOWN)
    first = one(reader, outage_id)["incidents"][0]["id"]
    link = reader.get(f"/v1/incidents/{first}").json()["outage"]
    assert link == {
        "id": str(outage_id),
        "status": "open",
        "verdict": "confirmed",
        "incidents": 3,
        "assignee": None,
        "snoozed_until": None,
    }
    ungrouped = open_incident(NOON, fingerprint="OLD|/x|prod")
    assert reader.get(f"/v1/incidents/{ungrouped}").json()["outage"] is None


def test_status_of_an_outage_is_its_incidents_status(reader: TestClient, open_outage: OpenOutage) -> None:
    outage_id = open_outage(*DB_DOWN)
    path = f"/v1/outages/{outage_id}"
    for status, reopened in (("investigating", 0), ("resolved", 0), ("resolved", 0), ("open", 1)):
        answer = reader.patch(path, json={"status": status})
        assert answer.status_code == 200, answer.text
        outage = answer.json()["outage"]
        assert (outage["status"], outage["reopened"]) == (status, reopened)
        assert (outage["resolved_at"] is not None) == (status == "resolved")
        assert outage["resolve_reason"] == ("by_hand" if status == "resolved" else None)
        assert incident_statuses(reader, outage_id) == [status] * 3


def test_status_of_the_incidents_is_their_outages_status(reader: TestClient, open_outage: OpenOutage) -> None:
    outage_id = open_outage(*DB_DOWN)
    paths = [f"/v1/incidents/{row['id']}" for row in one(reader, outage_id)["incidents"]]

    def status_after(path: str, status: str) -> str:
        assert reader.patch(path, json={"status": status}).status_code == 200
        return str(one(reader, outage_id)["outage"]["status"])

    assert status_after(paths[0], "investigating") == "investigating"
    assert status_after(paths[0], "open") == "open"
    assert [status_after(path, "resolved") for path in paths] == ["open", "open", "resolved"]
    assert status_after(paths[1], "open") == "open"
    assert one(reader, outage_id)["outage"]["reopened"] == 1


def test_reopening_takes_back_what_ended_with_the_outage(reader: TestClient, open_outage: OpenOutage) -> None:
    outage_id = open_outage(*DB_DOWN)
    first = one(reader, outage_id)["incidents"][0]["id"]
    reader.patch(f"/v1/incidents/{first}", json={"status": "resolved"})
    reader.patch(f"/v1/outages/{outage_id}", json={"status": "resolved"})
    reader.patch(f"/v1/outages/{outage_id}", json={"status": "open"})
    assert incident_statuses(reader, outage_id) == ["resolved", "open", "open"]


def test_reopening_beside_a_newer_incident_changes_nothing(
    reader: TestClient, open_outage: OpenOutage, open_incident: OpenIncident
) -> None:
    outage_id = open_outage(*DB_DOWN)
    reader.patch(f"/v1/outages/{outage_id}", json={"status": "resolved"})
    open_incident(NOON + MINUTE, fingerprint=DB_DOWN[1])
    answer = reader.patch(f"/v1/outages/{outage_id}", json={"status": "open"})
    assert (answer.status_code, answer.json()["code"]) == (409, "another_open")
    assert one(reader, outage_id)["outage"]["status"] == "resolved"
    assert incident_statuses(reader, outage_id) == ["resolved"] * 3


def test_unknown_and_broken_changes_are_refused(reader: TestClient, open_outage: OpenOutage) -> None:
    path = f"/v1/outages/{open_outage()}"
    answer = reader.patch(path, json={"status": "closed"})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_status")
    assert reader.patch(path, content=b'{"status": 1}').status_code == 400
    for nowhere in (f"/v1/outages/{uuid4()}", "/v1/outages/x"):
        assert reader.get(nowhere).json()["code"] == "no_such_outage"
        assert reader.patch(nowhere, json={"status": "open"}).status_code == 404


def test_merged_outage_answers_with_the_one_that_took_its_incidents(
    reader: TestClient, open_outage: OpenOutage, pool: ConnectionPool[Connection]
) -> None:
    whole, merged = open_outage(*DB_DOWN), open_outage("OLD|/x|prod", at=NOON + 60 * MINUTE)
    with pool.connection() as connection:
        connection.execute("UPDATE pipeline.outages SET merged_into = %s WHERE id = %s", [whole, merged])
    assert one(reader, merged)["outage"]["id"] == str(whole)
    assert ids(reader.get("/v1/outages")) == [str(whole)]


def test_another_tenants_outages_do_not_exist(
    anonymous: TestClient, keys: Keys, open_outage: OpenOutage
) -> None:
    mine, theirs = open_outage(), open_outage(tenancy=OTHER)
    anonymous.headers["Authorization"] = f"Bearer {keys.read}"
    assert ids(anonymous.get("/v1/outages")) == [str(mine)]
    assert anonymous.get(f"/v1/outages?project_id={OTHER.project_id}").status_code == 403
    assert anonymous.get(f"/v1/outages/{theirs}").status_code == 404
    assert anonymous.patch(f"/v1/outages/{theirs}", json={"status": "resolved"}).status_code == 404
    anonymous.headers["Authorization"] = f"Bearer {keys.other_read}"
    assert one(anonymous, theirs)["outage"]["status"] == "open"
