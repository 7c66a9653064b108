"""Incidents over HTTP: lists, one in full, and the status people set."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from signals.clients.opensearch.connection import Client
from signals.clients.postgres import Connection
from signals.domain.detection.buckets import Series, minute_of
from signals.services.operations.housekeeping import resolve_stale_incidents
from signals.store.detection import buckets
from tests.integration.core.conftest import FINGERPRINT, OTHER, Keys, OpenIncident, index
from tests.support.events import NOON, TENANCY, errors

MINUTE = timedelta(minutes=1)


def ids(answer: Any) -> list[str]:
    """The ids of a list answer, which must be one."""
    assert answer.status_code == 200, answer.text
    return [incident["id"] for incident in answer.json()["incidents"]]


def test_pages_follow_each_other_without_gaps_even_at_the_same_instant(
    reader: TestClient, open_incident: OpenIncident
) -> None:
    made = {str(open_incident(NOON + n // 3 * MINUTE, fingerprint=f"E|/{n}|prod")) for n in range(8)}
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = reader.get("/v1/incidents", params={"limit": 3, "cursor": cursor})
        seen += ids(answer)
        cursor = answer.json()["next_cursor"]
    assert len(seen) == 8
    assert set(seen) == made
    opened = [reader.get(f"/v1/incidents/{seen_id}").json()["incident"]["opened_at"] for seen_id in seen]
    assert opened == sorted(opened, reverse=True)


def test_filters_select_by_environment_status_and_activity(
    reader: TestClient, open_incident: OpenIncident
) -> None:
    prod = open_incident(NOON, last_seen_at=NOON + 30 * MINUTE)
    dev = open_incident(NOON - 60 * MINUTE, environment="dev", fingerprint="E|/x|dev", status="investigating")
    assert ids(reader.get("/v1/incidents?env=PROD")) == [str(prod)]
    assert ids(reader.get("/v1/incidents?status=investigating&env=")) == [str(dev)]
    assert ids(reader.get("/v1/incidents", params={"since": "2026-03-01T13:29:00+01:00"})) == [str(prod)]
    assert ids(reader.get("/v1/incidents?until=2026-03-01T12:00:00Z")) == [str(dev)]
    assert ids(reader.get(f"/v1/incidents?project_id={TENANCY.project_id}")) == [str(prod), str(dev)]


def test_detail_explains_the_verdict_and_shows_the_context(
    reader: TestClient, pool: ConnectionPool[Connection], open_incident: OpenIncident
) -> None:
    incident_id = open_incident(NOON + 44 * timedelta(seconds=1), last_seen_at=NOON + 3 * MINUTE)
    series = Series(TENANCY.project_id, "prod", "error_count", FINGERPRINT, TENANCY.org_id)
    first = minute_of(NOON)
    with pool.connection() as connection:
        buckets.increment(connection, {(series, first): 45, (series, first - 1): 2, (series, first - 200): 9})
        for moment, count in (("opened", 45), ("latest", 60)):
            connection.execute(
                "INSERT INTO pipeline.incident_evaluations"
                " VALUES (%s, %s, 'error-spike', %s, %s, 2.5, 30, 5)",
                (incident_id, moment, NOON, count),
            )
        for number in range(60):
            connection.execute(
                """INSERT INTO incident_events (incident_id, event_id, occurred_at, event_type, severity,
                       attributes_json) VALUES (%s, %s, %s, 'error', 'error', %s)""",
                (incident_id, uuid4(), NOON + timedelta(seconds=number), Jsonb({"status_code": 503})),
            )
        for title, written_at in (("older", NOON), ("newer", NOON + MINUTE)):
            connection.execute(
                "INSERT INTO ai_outputs VALUES (%s, %s, 'summary', 'builtin', %s, %s)",
                (uuid4(), incident_id, Jsonb({"title": title}), written_at),
            )
        connection.execute(
            """INSERT INTO ai_jobs VALUES (%s, %s, 'incident_summary', 'queued', 1, 3, now(), NULL,
                   'the model answered 500', now(), now())""",
            (uuid4(), incident_id),
        )
    detail = reader.get(f"/v1/incidents/{incident_id}").json()
    assert detail["incident"]["title"] == "Checkout fails"
    assert detail["incident"]["ai_job_status"] == "queued"
    assert (detail["why"]["rule"], detail["why"]["window_minutes"]) == ("error-spike", 5)
    assert (detail["why"]["opened"]["count"], detail["why"]["latest"]["count"]) == (45, 60)
    assert (detail["why"]["kind"], detail["why"]["verdict"], detail["why"]["normal"]) == ("change", None, 2.5)
    assert (detail["summary"]["model"], detail["summary"]["content"]) == ("builtin", {"title": "newer"})
    [job] = detail["ai_jobs"]
    assert (job["status"], job["attempt_count"], job["last_error"]) == ("queued", 1, "the model answered 500")
    assert len(detail["events"]) == 50
    assert detail["events"][0]["attributes"] == {"status_code": 503}
    minutes = detail["chart"]["minutes"]
    assert [minute["count"] for minute in minutes] == [0] * 74 + [2, 45, 0, 0, 0]
    assert minutes[-1]["at"] == "2026-03-01T12:03:00Z"
    assert detail["chart"]["baseline_per_minute"] == 0.5


def test_a_new_incident_has_no_normal_and_says_why_it_ended(
    reader: TestClient, pool: ConnectionPool[Connection], open_incident: OpenIncident
) -> None:
    incident_id = open_incident(NOON)
    with pool.connection() as connection:
        connection.execute(
            "INSERT INTO pipeline.incident_evaluations"
            " VALUES (%s, 'opened', 'error-spike', %s, 45, 0, 30, 5)",
            (incident_id, NOON),
        )
        connection.execute(
            "INSERT INTO pipeline.incident_states VALUES (%s, 'new', 'learning', 1, %s, %s, NULL)",
            (incident_id, NOON, NOON + 60 * MINUTE),
        )
    detail = reader.get(f"/v1/incidents/{incident_id}").json()
    why = detail["why"]
    assert (why["kind"], why["verdict"], why["normal"]) == ("new", "learning", None)
    assert (why["known_from"], why["resolve_reason"]) == ("2026-03-01T13:00:00Z", None)
    assert detail["chart"]["baseline_per_minute"] is None
    reader.patch(f"/v1/incidents/{incident_id}", json={"status": "resolved"})
    assert reader.get(f"/v1/incidents/{incident_id}").json()["why"]["resolve_reason"] == "by_hand"
    reader.patch(f"/v1/incidents/{incident_id}", json={"status": "open"})
    assert reader.get(f"/v1/incidents/{incident_id}").json()["why"]["resolve_reason"] is None


def test_chart_of_a_long_outage_is_bounded(reader: TestClient, open_incident: OpenIncident) -> None:
    incident_id = open_incident(NOON, last_seen_at=NOON + timedelta(days=30))
    detail = reader.get(f"/v1/incidents/{incident_id}").json()
    assert len(detail["chart"]["minutes"]) == 180
    assert detail["why"] is None


def test_the_links_of_an_incident_find_its_events(
    reader: TestClient, opensearch: Client, open_incident: OpenIncident
) -> None:
    index(opensearch, [*errors(5, NOON), *errors(2, NOON, code="OTHER")])
    links = reader.get(f"/v1/incidents/{open_incident()}").json()["links"]
    assert reader.get(links["self"]).status_code == 200
    assert reader.get(links["events"]).json()["total"]["value"] == 5


def test_status_can_be_set_and_reset(
    reader: TestClient, open_incident: OpenIncident, pool: ConnectionPool[Connection]
) -> None:
    path = f"/v1/incidents/{open_incident()}"
    seen = reader.get(path).json()["incident"]["last_seen_at"]
    for status in ("investigating", "resolved", "resolved", "open"):
        answer = reader.patch(path, json={"status": status})
        assert answer.status_code == 200, answer.text
        incident = answer.json()["incident"]
        assert incident["status"] == status
        assert (incident["resolved_at"] is not None) == (status == "resolved")
    assert incident["last_seen_at"] == seen  # the time of an event, which reopening is not
    assert resolve_stale_incidents(pool) == 0  # it lasts for an hour from now on
    kinds = [change["kind"] for change in reader.get(f"{path}/timeline").json()]
    assert kinds[-3:] == ["status", "status", "reopened"]


def test_unknown_status_is_refused(reader: TestClient, open_incident: OpenIncident) -> None:
    path = f"/v1/incidents/{open_incident()}"
    for status in ("closed", "OPEN", "", "open\x00"):
        answer = reader.patch(path, json={"status": status})
        assert (answer.status_code, answer.json()["code"]) == (422, "unknown_status")
        assert answer.headers["content-type"] == "application/problem+json"
    assert reader.get(path).json()["incident"]["status"] == "open"


def test_a_broken_change_is_refused(reader: TestClient, open_incident: OpenIncident) -> None:
    path = f"/v1/incidents/{open_incident()}"
    bodies = (
        b"",
        b"[]",
        b"{",
        b'{"status": 1}',
        b'{"status": "open", "x": 1}',
        b"\xff",
        b'{"status": "\\ud800"}',
    )
    for body in bodies:
        assert reader.patch(path, content=body).status_code == 400, body
    assert reader.patch(path, content=b'{"status": "open"}' + b" " * 5000).status_code == 413


def test_reopening_beside_a_newer_incident_is_a_conflict(
    reader: TestClient, open_incident: OpenIncident
) -> None:
    old = open_incident(status="resolved")
    open_incident(NOON + MINUTE)
    answer = reader.patch(f"/v1/incidents/{old}", json={"status": "open"})
    assert (answer.status_code, answer.json()["code"]) == (409, "another_open")
    assert reader.get(f"/v1/incidents/{old}").json()["incident"]["status"] == "resolved"


def test_another_tenants_incidents_do_not_exist(
    anonymous: TestClient, keys: Keys, open_incident: OpenIncident
) -> None:
    mine, theirs = open_incident(), open_incident(tenancy=OTHER)
    anonymous.headers["Authorization"] = f"Bearer {keys.read}"
    assert ids(anonymous.get("/v1/incidents")) == [str(mine)]
    assert anonymous.get(f"/v1/incidents?project_id={OTHER.project_id}").status_code == 403
    assert anonymous.get(f"/v1/incidents/{theirs}").status_code == 404
    assert anonymous.patch(f"/v1/incidents/{theirs}", json={"status": "resolved"}).status_code == 404
    anonymous.headers["Authorization"] = f"Bearer {keys.other_read}"
    assert anonymous.get(f"/v1/incidents/{theirs}").json()["incident"]["status"] == "open"


def test_cursor_of_another_tenant_or_query_is_refused(
    anonymous: TestClient, keys: Keys, open_incident: OpenIncident
) -> None:
    for number in range(2):
        open_incident(fingerprint=f"E|/{number}|prod")
        open_incident(fingerprint=f"E|/{number}|prod", tenancy=OTHER)
    anonymous.headers["Authorization"] = f"Bearer {keys.other_read}"
    cursor = anonymous.get("/v1/incidents?limit=1").json()["next_cursor"]
    assert anonymous.get("/v1/incidents", params={"cursor": cursor, "env": "dev"}).status_code == 400
    anonymous.headers["Authorization"] = f"Bearer {keys.read}"
    answer = anonymous.get("/v1/incidents", params={"limit": 1, "cursor": cursor})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "cursor")


def test_unknown_ids_are_not_found(reader: TestClient) -> None:
    for incident_id in ("nonsense", "%00", "%ED%A0%80", str(uuid4()), "1" * 5000):
        assert reader.get(f"/v1/incidents/{incident_id}").status_code == 404, incident_id


BAD_QUERIES = {
    "limit": ["0", "201", "x"],
    "env": ["mars", "%00"],
    "status": ["closed"],
    "since": ["yesterday", "2026-01-01", "2026-01-01T00:00:00", "9999-12-31T23:59:59-23:00", "x" * 65],
    "until": ["%00", "2026-01-01T00:00:00Z&since=2026-01-02T00:00:00Z"],
    "cursor": ["%00", "AAAA", "W" * 4096, "W" * 4097, "W1tbW1tbW1tb", "%C3%A9", "W" * 5],
    "project_id": ["x" * 65],
}


def test_bad_parameters_are_named_and_never_crash(reader: TestClient) -> None:
    for parameter, values in BAD_QUERIES.items():
        for value in values:
            answer = reader.get(f"/v1/incidents?{parameter}={value}")
            assert answer.status_code == 400, (parameter, value, answer.text)
            assert parameter in answer.json()["detail"]


def test_every_route_requires_a_read_key(anonymous: TestClient, keys: Keys) -> None:
    cases: tuple[tuple[dict[str, str], int, str], ...] = (
        ({}, 401, "missing_key"),
        ({"Authorization": "Basic abc"}, 401, "missing_key"),
        ({"Authorization": "Bearer sig_read_" + "a" * 43}, 401, "unknown_key"),
        ({"X-API-Key": "nonsense"}, 401, "unknown_key"),
        ({"Authorization": f"Bearer {keys.ingest}"}, 403, "wrong_scope"),
    )
    routes = [("GET", path) for path in ("/v1/incidents", f"/v1/incidents/{uuid4()}", "/v1/search/events")]
    for method, path in [*routes, ("PATCH", f"/v1/incidents/{uuid4()}")]:
        for headers, status, code in cases:
            answer = anonymous.request(method, path, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (status, code), (method, path, headers)
            assert ("www-authenticate" in answer.headers) == (status == 401)
