"""A project's settings of doors over HTTP: read, changed in part, refused with the field's name."""

import pytest
from starlette.testclient import TestClient

from signals.domain.events.signup_names import SIGNUP_NAMES
from tests.integration.core.conftest import Keys

PATH = "/v1/doors"


@pytest.fixture
def admin(anonymous: TestClient, keys: Keys) -> TestClient:
    """A client with the admin key of proj_1."""
    anonymous.headers["Authorization"] = f"Bearer {keys.admin}"
    return anonymous


def test_settings_are_changed_in_part(admin: TestClient, keys: Keys) -> None:
    first = admin.get(PATH).json()
    assert (first["signup_names"], first["has_own_names"], first["kept_fields"]) == (
        list(SIGNUP_NAMES),
        False,
        [],
    )
    assert "user_id" in first["possible_fields"]
    names = {"signup_names": ["Trial Started", "Trial Started", " identify "]}
    assert admin.patch(PATH, json=names).json()["signup_names"] == ["Trial Started", "identify"]
    changed = admin.patch(PATH, json={"kept_fields": ["user_id", "locals"]}).json()
    assert (changed["has_own_names"], changed["kept_fields"]) == (True, ["user_id", "locals"])
    assert admin.patch(PATH, json={"signup_names": []}).json()["signup_names"] == []
    back = admin.patch(PATH, json={"signup_names": None}).json()
    assert (back["has_own_names"], back["kept_fields"]) == (False, ["user_id", "locals"])
    told = admin.patch(PATH, json={"vercel_secret": "made-up"})
    assert told.json()["has_vercel_secret"] is True
    assert "made-up" not in told.text
    assert admin.patch(PATH, json={"vercel_secret": None}).json()["has_vercel_secret"] is False
    other = admin.get(PATH, headers={"Authorization": f"Bearer {keys.other_read}"}).json()
    assert other["kept_fields"] == []  # each project has its own


def test_read_key_reads_settings_and_changes_none(reader: TestClient) -> None:
    assert reader.get(PATH).status_code == 200
    refused = reader.patch(PATH, json={"kept_fields": ["locals"]})
    assert (refused.status_code, refused.json()["code"]) == (403, "wrong_scope")


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"kept_fields": ["cookies"]}, 400, "kept_fields"),
        ({"signup_names": [""]}, 400, "signup_names"),
        ({"signup_names": ["  "]}, 422, "signup_names"),
        ({"signups": []}, 400, "signups"),
        ([], 400, "body"),
    ],
)
def test_wrong_setting_is_named(admin: TestClient, body: object, status: int, field: str) -> None:
    answer = admin.patch(PATH, json=body)
    assert answer.status_code == status
    assert answer.json()["detail"].startswith(field)
    assert admin.get(PATH).json()["has_own_names"] is False


def test_ingest_key_may_neither_read_nor_change_settings(anonymous: TestClient, keys: Keys) -> None:
    header = {"X-API-Key": keys.ingest}
    assert anonymous.get(PATH, headers=header).status_code == 403
    assert anonymous.patch(PATH, json={}, headers=header).status_code == 403
