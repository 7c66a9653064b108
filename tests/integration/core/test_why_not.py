"""Why no incident opened: the nearest miss, condition by condition, and every blocker."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from signals.clients.opensearch.connection import Client
from signals.clients.postgres import Connection
from signals.domain.detection.buckets import Series, minute_of
from signals.domain.detection.rule_text import parse_rules
from signals.store.detection import buckets, rule_states, waiting_series
from tests.integration.core.conftest import FINGERPRINT, Keys, OpenIncident, index
from tests.support.events import TENANCY, event
from tests.support.own_rules import OwnEngine, write_rules

AT = (datetime.now(UTC) - timedelta(days=1)).replace(hour=12, minute=0, second=0, microsecond=0)
SERIES = {"error_code": "TIMEOUT", "route": "/checkout"}


def count(pool: ConnectionPool[Connection], minutes: dict[int, int]) -> None:
    """Count errors of the series, by minutes after the instant."""
    series = Series(TENANCY.project_id, "prod", "error_count", FINGERPRINT, TENANCY.org_id)
    with pool.connection() as connection:
        buckets.increment(connection, {(series, minute_of(AT) + at): n for at, n in minutes.items()})


def ask(client: TestClient, **parameters: str) -> dict[str, Any]:
    answer = client.get("/v1/why-not", params={**SERIES, "at": AT.isoformat(), **parameters})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def codes(blockers: list[dict[str, Any]]) -> set[str]:
    return {one["code"] for one in blockers}


def rule(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in found["rules"] if one["name"] == name)


def test_nearest_miss_names_each_condition(reader: TestClient, pool: ConnectionPool[Connection]) -> None:
    count(pool, {-600: 1, -3: 10, -2: 12, -1: 2, 20: 9})
    found = ask(reader)
    assert (found["fingerprint"], found["events"]) == (FINGERPRINT, 33)
    assert found["blockers"] == []
    assert [one["name"] for one in found["rules"]] == ["error-spike", "errors-above-usual"]
    nearest = rule(found, "error-spike")["nearest"]
    assert (nearest["fires"], nearest["count"], nearest["minutes"]) == (False, 24, 5)
    assert nearest["at"] == (AT - timedelta(minutes=1)).isoformat().replace("+00:00", "Z")
    assert nearest["conditions"][0] == {"name": "events", "have": 24, "compared": "at least", "need": 30}
    assert nearest["shortfall"] == pytest.approx(0.2)
    usual = rule(found, "errors-above-usual")
    assert usual["blockers"] == []
    assert [one["name"] for one in usual["nearest"]["conditions"]] == [
        "events",
        "events against the expectation",
        "significance",
    ]


def test_open_incident_and_young_project_are_blockers(
    reader: TestClient, pool: ConnectionPool[Connection], open_incident: OpenIncident
) -> None:
    incident = open_incident(at=AT - timedelta(minutes=5))
    count(pool, {0: 40})
    found = ask(reader)
    assert codes(found["blockers"]) == {"incident_open", "learning"}
    assert str(incident) in {one["incident_id"] for one in found["blockers"]}
    assert rule(found, "error-spike")["nearest"]["fires"] is True


def test_rule_that_was_off_or_changed_is_named(
    anonymous: TestClient, keys: Keys, pool: ConnectionPool[Connection]
) -> None:
    anonymous.headers["Authorization"] = f"Bearer {keys.admin}"
    count(pool, {-600: 1, 0: 40})
    for enabled in (False, True):
        anonymous.patch("/v1/rules/error-spike", json={"enabled": enabled})
    held = {
        "name": "held",
        "kind": "floor_ratio",
        "on": {"event_type": "error"},
        "hold": {"fires": 9, "of": 10},
    }
    anonymous.post("/v1/rules", json=held)
    with pool.connection() as connection:
        connection.execute(
            "UPDATE pipeline.rule_versions SET created_at = %s WHERE version < 3 AND created_by <> 'system'",
            [AT - timedelta(days=1)],
        )
    found = ask(anonymous)
    spike = rule(found, "error-spike")
    assert (spike["version"], codes(spike["blockers"])) == (2, {"rule_off", "version_then"})
    assert codes(rule(found, "held")["blockers"]) == {"held"}
    with pool.connection() as connection:
        connection.execute("UPDATE pipeline.rule_versions SET created_at = now() WHERE name = 'held'")
    assert codes(rule(ask(anonymous), "held")["blockers"]) >= {"no_such_rule_then"}


def test_series_counted_out_of_order_is_named(reader: TestClient, pool: ConnectionPool[Connection]) -> None:
    series = Series(TENANCY.project_id, "prod", "error_count", FINGERPRINT, TENANCY.org_id)
    count(pool, {-600: 1, 0: 1})
    with pool.connection() as connection:
        rule_states.insert(connection, {series: minute_of(AT)}, {series: 0})
        [state] = rule_states.load(connection, [series]).values()
        assert "out_of_order" not in codes(ask(reader)["blockers"])
        waiting_series.note_disorder(connection, {state.series_id: minute_of(AT)})
    assert codes(ask(reader)["blockers"]) == {"out_of_order"}


def test_each_minute_is_judged_by_the_version_of_its_time(
    anonymous: TestClient, keys: Keys, pool: ConnectionPool[Connection]
) -> None:
    anonymous.headers["Authorization"] = f"Bearer {keys.admin}"
    count(pool, {-600: 1, -10: 25, 10: 25})
    rule_of_own = {"name": "few", "kind": "floor_ratio", "on": {"event_type": "error"}, "floor": 100}
    assert anonymous.post("/v1/rules", json=rule_of_own).status_code == 201
    versions = 1_005  # more than one answer reads
    with pool.connection() as connection:
        connection.execute(
            """INSERT INTO pipeline.rule_versions (project_id, name, version, change, kind, spec, enabled,
                                                   created_by, created_at)
               SELECT project_id, name, 1 + n, 'edited', kind, spec || jsonb_build_object('floor', 30 + n),
                      enabled, created_by, %s + n * interval '1 second'
               FROM pipeline.rule_versions, generate_series(1, %s) n WHERE name = 'few'""",
            [AT + timedelta(hours=1), versions],
        )
        connection.execute(
            """UPDATE pipeline.rule_versions SET spec = spec || '{"floor": 20}', created_at = %s
               WHERE name = 'few' AND version = 2""",
            [AT],
        )
        connection.execute(
            "UPDATE pipeline.rule_versions SET created_at = %s WHERE name = 'few' AND version = 1",
            [AT - timedelta(days=1)],
        )
    found = rule(ask(anonymous), "few")
    assert (found["version"], found["nearest"]["fires"], found["nearest"]["threshold"]) == (2, True, 20)
    assert found["nearest"]["at"] == (AT + timedelta(minutes=10)).isoformat().replace("+00:00", "Z")
    said = [one["detail"] for one in found["blockers"] if one["code"] == "version_then"]
    assert [text.partition(" was")[0] for text in said] == ["version 2", "version 1"]


def test_rule_that_counts_series_of_its_own_is_said(
    anonymous: TestClient, keys: Keys, pool: ConnectionPool[Connection]
) -> None:
    anonymous.headers["Authorization"] = f"Bearer {keys.admin}"
    count(pool, {-600: 1, 0: 40})
    by_route = {"name": "by-route", "kind": "floor_ratio", "on": {"event_type": "error"}, "per": ["route"]}
    anonymous.post("/v1/rules", json=by_route)
    with pool.connection() as connection:
        connection.execute(
            "UPDATE pipeline.rule_versions SET created_at = %s WHERE name = 'by-route'",
            [AT - timedelta(days=1)],
        )
    found = rule(ask(anonymous), "by-route")
    assert (codes(found["blockers"]), found["nearest"]) == ({"own_series"}, None)
    minute = minute_of(AT)
    engine = OwnEngine(pool)
    for code, events in (("TIMEOUT", 20), ("DB_DOWN", 7)):
        kind = (
            ("environment", "prod"),
            ("error_code", code),
            ("event_type", "error"),
            ("route", "/checkout"),
        )
        engine.count({(kind, minute + 2): events})
    found = rule(ask(anonymous), "by-route")
    nearest = found["nearest"]
    assert (nearest["count"], nearest["threshold"], nearest["fires"]) == (27, 30, False)
    [blocker] = found["blockers"]
    assert blocker["detail"].endswith("those of rule:by-route:1|floor_ratio|error|route=/checkout")
    engine.count({(kind, minute + 3): 9})
    engine.tick(minute + 3)
    found = rule(ask(anonymous), "by-route")
    assert found["nearest"]["fires"]
    assert codes(found["blockers"]) == {"own_series", "incident_open"}
    elsewhere = rule(ask(anonymous, route="/search"), "by-route")
    assert (codes(elsewhere["blockers"]), elsewhere["nearest"]) == ({"own_series"}, None)


OF_EACH_KIND: Final = (
    {
        "name": "share",
        "kind": "rate",
        "on": {"event_type": "http_request", "error_code": "BAD"},
        "of": {"event_type": "http_request"},
        "per": ["route"],
        "floor": 50,
        "limit": "20%",
    },
    {
        "name": "fewer",
        "kind": "drop",
        "on": {"event_type": "http_request"},
        "per": ["release"],
        "ceiling": 1,
        "baseline": {"minimum": 5},
    },
    {"name": "beat", "kind": "absence", "on": {"event_type": "http_request"}, "per": ["route"], "after": 30},
    {"name": "fresh", "kind": "new_series", "on": {"event_type": "http_request"}, "per": [], "floor": 200},
)


def test_rules_of_every_kind_over_other_events_are_explained(
    anonymous: TestClient, keys: Keys, pool: ConnectionPool[Connection]
) -> None:
    anonymous.headers["Authorization"] = f"Bearer {keys.admin}"
    create_project_rules(pool)
    engine, minute = OwnEngine(pool), minute_of(AT)
    kind = (("environment", "prod"), ("event_type", "http_request"), ("route", "/a"), ("release", "7"))
    for at in range(minute - 40, minute - 10):
        engine.count({(kind, at): 5, ((*kind, ("error_code", "BAD")), at): 1})
    found = ask(anonymous, event_type="http_request", error_code="", route="/a ", release="7")
    assert (found["fingerprint"], found["events"]) == (None, 120)  # those of the hour, from minute -30 on
    assert codes(found["blockers"]) == {"uncounted_type"}
    assert "4 of them watch such a series" in found["blockers"][0]["detail"]
    nearest = {one["name"]: one["nearest"] for one in found["rules"]}
    share = {one["name"]: one["have"] for one in nearest["share"]["conditions"]}
    assert share["events in all"] == 90
    assert 0 < share["surely a share of"] < 1 / 6
    assert (nearest["share"]["fires"], nearest["share"]["count"]) == (False, 15)
    assert nearest["beat"]["fires"]
    assert nearest["beat"]["conditions"][0]["have"] == 30
    assert (nearest["fresh"]["count"], nearest["fresh"]["fires"]) == (90, False)
    assert nearest["fewer"]["conditions"][1]["name"] == "baseline"
    without = ask(anonymous, event_type="http_request", error_code="", route="/a")
    assert rule(without, "fewer")["nearest"] is None  # its series need a release


def create_project_rules(pool: ConnectionPool[Connection]) -> None:
    """Create a rule of each kind a day before the instant."""
    write_rules(pool, parse_rules(list(OF_EACH_KIND)), at=minute_of(AT) - 1440)


def test_new_rule_that_learned_is_named(
    anonymous: TestClient, keys: Keys, pool: ConnectionPool[Connection]
) -> None:
    anonymous.headers["Authorization"] = f"Bearer {keys.admin}"
    more = {
        "name": "more",
        "kind": "floor_ratio",
        "on": {"event_type": "custom"},
        "per": ["route"],
        "floor": 5,
    }
    write_rules(pool, parse_rules([more]), at=minute_of(AT) - 20)
    kind = (("environment", "prod"), ("event_type", "custom"), ("route", "/a"))
    OwnEngine(pool).count({(kind, minute_of(AT)): 9})
    found = rule(ask(anonymous, event_type="custom", error_code="", route="/a"), "more")
    assert found["nearest"]["fires"]
    assert {"own_series", "learning"} <= codes(found["blockers"])


def test_question_writes_nothing(reader: TestClient, pool: ConnectionPool[Connection]) -> None:
    """A project of an earlier release has the rules of a new one, without rows."""
    with pool.connection() as connection:
        connection.execute("DELETE FROM pipeline.rule_versions")
        connection.execute("DELETE FROM pipeline.rules")
    count(pool, {0: 40})
    assert [one["name"] for one in ask(reader)["rules"]] == ["error-spike", "errors-above-usual"]
    listed = reader.get("/v1/rules").json()["rules"]
    assert [one["rule"]["name"] for one in listed][:2] == ["error-spike", "signup-drop"]
    assert reader.get("/v1/rules/error-spike").headers["etag"] == '"1"'
    history = reader.get("/v1/rules/error-spike/history").json()["versions"]
    assert [one["version"] for one in history] == [1]
    with pool.connection() as connection:
        assert connection.execute("SELECT count(*) FROM pipeline.rules").fetchone() == (0,)


def test_unknown_series_and_uncounted_type_are_said(reader: TestClient) -> None:
    assert codes(ask(reader)["blockers"]) == {"no_such_series"}
    request = ask(reader, event_type="http_request")
    assert (codes(request["blockers"]), request["fingerprint"], request["rules"]) == (
        {"uncounted_type"},
        None,
        [],
    )
    raw = ask(reader, route="/orders/48213?x=1")
    assert raw["fingerprint"].startswith("TIMEOUT|/orders/{id}")


def test_event_is_asked_about_by_its_id(
    reader: TestClient, pool: ConnectionPool[Connection], opensearch: Client
) -> None:
    late = event("error", AT, error_code="TIMEOUT", route="/checkout")
    late = late.model_copy(update={"received_at": AT + timedelta(minutes=9)})
    index(opensearch, [late])
    with pool.connection() as connection:
        connection.execute(
            """INSERT INTO pipeline.ledger (project_id, minute_at, stage, outcome, partition, events)
               VALUES (%s, %s, 'incident-engine', 'duplicate', 0, 3)""",
            [TENANCY.project_id, AT + timedelta(minutes=9)],
        )
    count(pool, {-600: 1, 0: 1})
    answer = reader.get("/v1/why-not", params={"event_id": str(late.event_id)})
    found = answer.json()
    assert found["fingerprint"] == FINGERPRINT
    assert codes(found["blockers"]) == {"counted_late", "duplicate"}
    assert any("9 minutes after" in one["detail"] for one in found["blockers"])
    unknown = reader.get("/v1/why-not", params={"event_id": str(uuid4())})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "no_such_event")


@pytest.mark.parametrize(
    "parameters",
    [{}, {"at": "yesterday"}, {"at": "0001-01-01T00:00:00Z"}, {"event_id": "x"}, {"route": "\x00"}],
)
def test_bad_question_names_its_parameter(reader: TestClient, parameters: dict[str, str]) -> None:
    at = {"at": AT.isoformat()} if "route" in parameters else {}
    answer = reader.get("/v1/why-not", params=parameters | at)
    assert answer.status_code == 400
    name = next(iter(parameters), "at")
    assert name in answer.json()["detail"]
