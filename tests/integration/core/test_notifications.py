"""Destinations and routes over HTTP: secrets go in only, and addresses are checked."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from cryptography.fernet import Fernet, MultiFernet
from psycopg_pool import ConnectionPool
from standardwebhooks import Webhook
from starlette.testclient import TestClient

from signals.clients.postgres import Connection
from signals.clients.sealing import Seal
from signals.errors import SettingsError
from signals.services.notifications.sealed_targets import open_target, rotate_secrets
from signals.store.notifications import destinations
from tests.integration.core.conftest import SEAL, Keys, OpenIncident
from tests.support.events import TENANCY
from tests.support.receivers import HttpReceiver, http_receiver

URL = "http://127.0.0.1:9/T000/very-secret-token"


@pytest.fixture
def admin(anonymous: TestClient, keys: Keys) -> TestClient:
    """A client with the admin key of proj_1."""
    anonymous.headers["Authorization"] = f"Bearer {keys.admin}"
    return anonymous


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    """An HTTP server that keeps what it gets."""
    with http_receiver() as receiver:
        yield receiver


def create(admin: TestClient, name: str = "team", url: str = URL, **fields: Any) -> Any:
    body = {"name": name, "target": {"kind": "webhook", "url": url}, **fields}
    answer = admin.post("/v1/destinations", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_created_destination_never_shows_its_secret(
    admin: TestClient, pool: ConnectionPool[Connection]
) -> None:
    created = create(admin)
    one = created["destination"]
    assert created["signing_key"].startswith("whsec_")
    assert (one["state"], one["hint"], one["settings"]) == ("active", "127.0.0.1 …oken", {"kind": "webhook"})
    shown = admin.get("/v1/destinations").text + admin.get(f"/v1/destinations/{one['id']}").text
    with pool.connection() as connection:
        stored = str(connection.execute("SELECT d::text FROM pipeline.destinations d").fetchall())
    for secret in ("very-secret", created["signing_key"]):
        assert secret not in shown
        assert secret not in stored


def test_test_button_sends_a_signed_message(admin: TestClient, receiver: HttpReceiver) -> None:
    created = create(admin, url=f"{receiver.url}/hook")
    path = f"/v1/destinations/{created['destination']['id']}/test"
    outcome = admin.post(path).json()
    assert (outcome["told"], outcome["status"], outcome["error"]) == (True, 200, None)
    [got] = receiver.requests
    assert Webhook(created["signing_key"]).verify(got.body, got.headers)["type"] == "test"
    receiver.mode = "error"
    outcome = admin.post(path).json()
    assert (outcome["told"], outcome["status"], outcome["error"]) == (False, 500, "it answered 500")


def test_change_keeps_what_it_does_not_name(admin: TestClient, receiver: HttpReceiver) -> None:
    created = create(admin, url=f"{receiver.url}/hook")
    path = f"/v1/destinations/{created['destination']['id']}"
    new_key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    keys = {"signing_keys": [new_key, created["signing_key"]]}
    changed = admin.patch(path, json={"name": "crew", "target": keys}).json()
    assert (changed["name"], changed["hint"]) == ("crew", created["destination"]["hint"])
    admin.post(f"{path}/test")
    for key in (new_key, created["signing_key"]):
        assert Webhook(key).verify(receiver.requests[0].body, receiver.requests[0].headers)
    assert admin.patch(path, json={"enabled": False}).json()["state"] == "disabled"
    assert admin.patch(path, json={"name": "team"}).json()["state"] == "disabled"
    assert admin.patch(path, json={"enabled": True}).json()["state"] == "active"


def test_changes_at_once_are_both_made(admin: TestClient, receiver: HttpReceiver) -> None:
    created = create(admin, url=f"{receiver.url}/hook")
    path = f"/v1/destinations/{created['destination']['id']}"
    for number in range(8):
        is_enabled, name = bool(number % 2), f"team {number}"
        with ThreadPoolExecutor(2) as pool:
            answers = list(
                pool.map(lambda body: admin.patch(path, json=body), ({"enabled": is_enabled}, {"name": name}))
            )
        assert [answer.status_code for answer in answers] == [200, 200]
        now = admin.get(path).json()
        assert (now["name"], now["state"]) == (name, "active" if is_enabled else "disabled")


SECRET = "a-secret-of-sixteen"


@pytest.mark.parametrize(
    ("target", "secret", "moved"),
    [
        ({"kind": "slack", "channel": "C1", "token": SECRET, "api_url": "{url}"}, "token", "api_url"),
        ({"kind": "pagerduty", "routing_key": SECRET, "api_url": "{url}"}, "routing_key", "api_url"),
    ],
)
def test_stored_secret_goes_to_no_other_place(
    admin: TestClient, receiver: HttpReceiver, target: dict[str, Any], secret: str, moved: str
) -> None:
    first = target | {moved: f"{receiver.url}/first"}
    created = admin.post("/v1/destinations", json={"name": "team", "target": first}).json()
    path = f"/v1/destinations/{created['destination']['id']}"
    other = {moved: f"{receiver.url}/other"}
    refused = admin.patch(path, json={"target": other})
    assert (refused.status_code, refused.json()["code"]) == (422, "secret_needed")
    assert f"target.{secret}" in refused.json()["detail"]
    assert admin.patch(path, json={"target": {moved: first[moved]}}).status_code == 200
    assert admin.patch(path, json={"target": other | {secret: SECRET}}).status_code == 200


def webhook(url: str = URL, name: str = "a") -> dict[str, Any]:
    return {"name": name, "target": {"kind": "webhook", "url": url}}


REFUSED: list[tuple[dict[str, Any], int, str, str]] = [
    (webhook("http://10.0.0.1/"), 422, "address_refused", "SIGNALS_NOTIFY_ALLOW"),
    (webhook("http://[::ffff:a00:1]/"), 422, "address_refused", "SIGNALS_NOTIFY_ALLOW"),
    (webhook("http://nothing.invalid/"), 422, "host_unknown", "spelling"),
    ({"name": "a", "target": {"kind": "webhook"}}, 400, "invalid_body", "url"),
    ({"name": "a", "target": {"kind": "pigeon"}}, 400, "invalid_body", "pagerduty"),
    (webhook(name=" a"), 400, "invalid_body", "name"),
    (webhook(name="taken"), 422, "name_taken", "another"),
    (webhook() | {"fallback_id": str(UUID(int=9))}, 422, "no_such_fallback", "fallback_id"),
]


@pytest.mark.parametrize(("body", "status", "code", "says"), REFUSED, ids=str)
def test_refusal_names_field_and_remedy(
    admin: TestClient, body: dict[str, Any], status: int, code: str, says: str
) -> None:
    create(admin, "taken")
    answer = admin.post("/v1/destinations", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert says in answer.json()["detail"]
    assert "very-secret" not in answer.text


def test_another_projects_destination_is_none(
    admin: TestClient, keys: Keys, open_incident: OpenIncident
) -> None:
    one = create(admin)["destination"]["id"]
    incident_id = open_incident()
    admin.headers["Authorization"] = f"Bearer {keys.other_admin}"
    assert admin.get("/v1/destinations").json() == []
    for method, path in (
        ("GET", f"/v1/destinations/{one}"),
        ("DELETE", f"/v1/destinations/{one}"),
        ("POST", f"/v1/destinations/{one}/test"),
        ("GET", f"/v1/incidents/{incident_id}/routes"),
    ):
        assert admin.request(method, path).status_code == 404
    assert admin.patch(f"/v1/destinations/{one}", json={"enabled": False}).status_code == 404
    refused = admin.post("/v1/routes", json={"destination_id": one})
    assert (refused.status_code, refused.json()["code"]) == (422, "no_such_destination")
    body = {"name": "x", "target": {"kind": "webhook", "url": URL}, "fallback_id": one}
    assert admin.post("/v1/destinations", json=body).json()["code"] == "no_such_fallback"


def test_route_is_listed_explained_and_deleted(admin: TestClient, open_incident: OpenIncident) -> None:
    one = create(admin)["destination"]["id"]
    incident_id = open_incident(datetime.now(UTC))
    quiet = {"zone": "Europe/Berlin", "begins": "22:00", "ends": "07:00"}
    made = [
        admin.post("/v1/routes", json={"destination_id": one, **fields}).json()
        for fields in ({"quiet": quiet}, {"environments": ["dev"], "fingerprint": "*|/cart|*"})
    ]
    assert admin.get("/v1/routes").json() == made
    assert made[0]["quiet"] | {"passes": "critical"} == made[0]["quiet"]
    matches = admin.get(f"/v1/incidents/{incident_id}/routes").json()
    assert [(row["matches"], row["reason"]) for row in matches] == [
        (True, None),
        (False, "environment prod is not one of dev"),
    ]
    assert admin.delete(f"/v1/routes/{made[0]['id']}").status_code == 204
    assert admin.delete(f"/v1/routes/{made[0]['id']}").status_code == 404
    assert admin.delete(f"/v1/destinations/{one}").status_code == 204
    assert admin.get("/v1/routes").json() == []


@pytest.mark.parametrize(
    "fields",
    [
        {"quiet": {"zone": "Europe/Atlantis", "begins": "22:00", "ends": "07:00"}},
        {"quiet": {"begins": "25:00", "ends": "07:00"}},
        {"min_severity": "fatal"},
        {"verdicts": []},
        {"fingerprint": "a\x00b"},
        {"environments": ["moon"]},
    ],
    ids=str,
)
def test_route_with_a_wrong_field_is_refused(admin: TestClient, fields: dict[str, Any]) -> None:
    body = {"destination_id": create(admin)["destination"]["id"], **fields}
    answer = admin.post("/v1/routes", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_body")
    assert answer.json()["field"].startswith(next(iter(fields)))


def test_secrets_move_to_a_new_key(admin: TestClient, pool: ConnectionPool[Connection]) -> None:
    create(admin)
    old, new = SEAL._keys._fernets[0], Fernet(Fernet.generate_key())  # type: ignore[union-attr]  # the tests' own key
    assert rotate_secrets(pool, Seal(MultiFernet([new, old]))) == 1
    with pool.connection() as connection:
        [row] = destinations.list_destinations(connection, TENANCY.project_id)
    assert open_target(Seal(MultiFernet([new])), row).kind == "webhook"
    with pytest.raises(SettingsError, match="SIGNALS_SECRET_KEYS"):
        open_target(SEAL, row)


def test_destination_without_a_key_to_seal_it_is_refused(
    admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SEAL, "_keys", None)
    body = {"name": "a", "target": {"kind": "webhook", "url": URL}}
    answer = admin.post("/v1/destinations", json=body)
    assert (answer.status_code, answer.json()["code"]) == (503, "no_secret_key")
    assert "SIGNALS_SECRET_KEYS" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("url", "field"),
    [("syslog://localhost", "target.apprise.url"), ("gotify://10.0.0.1/very-secret-token", "target")],
)
def test_apprise_address_is_refused_by_its_field(admin: TestClient, url: str, field: str) -> None:
    body = {"name": "phone", "target": {"kind": "apprise", "url": url}}
    answer = admin.post("/v1/destinations", json=body)
    assert answer.status_code in (400, 422), answer.text
    assert field in answer.text
    assert "very-secret" not in answer.text


def test_apprise_address_goes_in_only(admin: TestClient) -> None:
    body = {"name": "phone", "target": {"kind": "apprise", "url": "tgram://123456789:very-secret/12345"}}
    answer = admin.post("/v1/destinations", json=body)
    assert answer.status_code == 201, answer.text
    one = answer.json()["destination"]
    assert (one["settings"], one["hint"]) == ({"kind": "apprise"}, "tgram …2345")
    assert "very-secret" not in admin.get("/v1/destinations").text
