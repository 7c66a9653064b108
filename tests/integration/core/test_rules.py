"""Rules over HTTP: each change is a version, and a bad rule is told field and bounds."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from signals.domain.detection.default_rules import DEFAULT_RULES
from tests.integration.core.conftest import Keys

HEARTBEAT: dict[str, Any] = {
    "name": "heartbeat",
    "kind": "absence",
    "on": {"event_type": "custom", "error_code": "HEARTBEAT"},
    "after": "20m",
}


@pytest.fixture
def admin(anonymous: TestClient, keys: Keys) -> TestClient:
    """A client with the admin key of proj_1."""
    anonymous.headers["Authorization"] = f"Bearer {keys.admin}"
    return anonymous


def test_new_project_lists_the_defaults_and_every_kind(reader: TestClient) -> None:
    listed = reader.get("/v1/rules").json()
    names = [one["rule"]["name"] for one in listed["rules"]]
    assert sorted(names) == sorted(rule.name for rule in DEFAULT_RULES)
    assert {one["rule"]["name"] for one in listed["rules"] if one["rule"]["locked"]} == set(names[:2])
    kinds = {kind["kind"]: {field["name"]: field for field in kind["fields"]} for kind in listed["kinds"]}
    assert list(kinds) == ["floor_ratio", "drop", "seasonal", "rate", "absence", "new_series"]
    after = kinds["absence"]["after"]
    assert (after["minimum"], after["maximum"], after["default"]) == (1, 10_080, 20)
    assert "signup" in kinds["rate"]["of"]["fields"][0]["values"]


def test_rule_is_created_edited_disabled_and_removed(admin: TestClient, keys: Keys) -> None:
    created = admin.post("/v1/rules", json=HEARTBEAT)
    assert (created.status_code, created.headers["etag"]) == (201, '"1"')
    assert created.json()["rule"]["spec"]["after"] == 20
    assert (created.json()["evaluated"], created.json()["series"]) == (True, 0)
    taken = admin.post("/v1/rules", json=HEARTBEAT).json()
    assert (taken["code"], taken["field"]) == ("name_taken", "name")

    spec = created.json()["rule"]["spec"] | {"after": 30}
    edited = admin.put("/v1/rules/heartbeat", json=spec, headers={"If-Match": created.headers["etag"]})
    assert (edited.status_code, edited.headers["etag"]) == (200, '"2"')
    late = admin.put("/v1/rules/heartbeat", json=spec | {"after": 40}, headers={"If-Match": '"1"'})
    assert (late.status_code, late.json()["code"]) == (412, "stale_version")
    assert admin.put("/v1/rules/heartbeat", json=spec).status_code == 428

    assert admin.patch("/v1/rules/heartbeat", json={"enabled": False}).json()["rule"]["enabled"] is False
    kept = admin.put("/v1/rules/heartbeat", json=spec | {"after": 50}, headers={"If-Match": '"3"'})
    assert kept.json()["rule"]["enabled"] is False  # an edit does not switch it on
    assert (
        admin.patch("/v1/rules/heartbeat", json={"enabled": True}, headers={"If-Match": '"3"'}).status_code
        == 412
    )
    assert admin.delete("/v1/rules/heartbeat", headers={"If-Match": '"3"'}).status_code == 412
    assert admin.delete("/v1/rules/heartbeat", headers={"If-Match": '"4"'}).status_code == 204
    assert admin.get("/v1/rules/heartbeat").json()["code"] == "no_such_rule"

    versions = admin.get("/v1/rules/heartbeat/history").json()["versions"]
    changes = [(one["change"], one["version"], one["spec"]["after"]) for one in versions]
    assert changes == [
        ("removed", 5, 50),
        ("edited", 4, 50),
        ("disabled", 3, 30),
        ("edited", 2, 30),
        ("created", 1, 20),
    ]
    assert all(one["created_by"].startswith("key:") for one in versions)


def test_same_text_makes_no_version(admin: TestClient) -> None:
    spec = admin.post("/v1/rules", json=HEARTBEAT).json()["rule"]["spec"]
    again = admin.put("/v1/rules/heartbeat", json=spec, headers={"If-Match": '"1"'})
    assert again.headers["etag"] == '"1"'
    assert admin.patch("/v1/rules/heartbeat", json={"enabled": True}).headers["etag"] == '"1"'


def test_locked_rule_can_be_disabled_but_not_edited(admin: TestClient) -> None:
    spec = admin.get("/v1/rules/error-spike").json()["rule"]["spec"]
    edited = admin.put("/v1/rules/error-spike", json=spec | {"floor": 5}, headers={"If-Match": '"1"'})
    assert (edited.status_code, edited.json()["code"]) == (409, "locked_rule")
    assert admin.delete("/v1/rules/error-spike").json()["code"] == "locked_rule"
    assert admin.patch("/v1/rules/error-spike", json={"enabled": False}).headers["etag"] == '"2"'
    copy = admin.post("/v1/rules", json=spec | {"name": "my-spike", "floor": 5})
    assert copy.json()["rule"]["spec"]["floor"] == 5
    assert copy.json()["evaluated"] is True  # it stands in for the disabled original
    assert admin.patch("/v1/rules/error-spike", json={"enabled": True}).json()["evaluated"] is True
    assert admin.get("/v1/rules/my-spike").json()["evaluated"] is True  # beside it, with its own incidents


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"after": 0}, "after", "after: 0 cannot stand here; write a whole number from 1 up to 10080"),
        ({"kind": "magic"}, "kind", "floor_ratio, drop, seasonal, rate, absence, new_series"),
        ({"on": {"event_type": "custom", "rout": "/"}}, "on.rout", "there are event_type, severity"),
        ({"aftr": 5}, "aftr", "there are name, kind, on,"),
        ({"locked": True}, "locked", "leave it out"),
        ({"on": {"event_type": "custom", "error_code": ["x"] * 101}}, "on.error_code", "at most 100"),
    ],
)
def test_bad_rule_names_its_field_and_the_bounds(
    admin: TestClient, change: dict[str, Any], field: str | None, says: str
) -> None:
    answer = admin.post("/v1/rules", json=HEARTBEAT | change)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_rule")
    assert answer.json().get("field") == field
    assert says in answer.json()["detail"]


def test_malformed_requests_name_the_remedy(admin: TestClient) -> None:
    assert admin.post("/v1/rules", content=b"{").json()["code"] == "invalid_body"
    assert admin.post("/v1/rules", json=[]).json()["code"] == "bad_rule"
    assert admin.patch("/v1/rules/error-spike", json={"enabled": "no"}).json()["code"] == "invalid_body"
    odd = admin.patch("/v1/rules/error-spike", json={"enabled": True}, headers={"If-Match": "newest"})
    assert odd.json()["code"] == "invalid_version"
    renamed = admin.put("/v1/rules/errors-above-usual", json=HEARTBEAT, headers={"If-Match": '"1"'})
    assert renamed.json()["field"] == "name"
    assert admin.get("/v1/rules/No%00such").status_code == 404


def test_read_key_changes_no_rule(reader: TestClient, keys: Keys) -> None:
    assert reader.post("/v1/rules", json=HEARTBEAT).json()["code"] == "wrong_scope"
    assert reader.get("/v1/incidents", headers={"Authorization": f"Bearer {keys.admin}"}).status_code == 200
