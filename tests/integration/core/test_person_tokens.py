"""Tokens of people: shown once, as strong as the role of this moment, gone with the membership."""

from datetime import timedelta
from typing import Final
from uuid import UUID

import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from shared_types import Tenancy
from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from signals.services.access.authentication import KeyAuthenticator, KeyRefused, PersonGranted
from signals.services.access.people import add_person, remove_person
from signals.services.access.person_tokens import MAX_TOKENS, IssuedToken, PersonTokens
from signals.services.access.provisioning import ProvisioningRefused
from tests.integration.core.conftest import OTHER, OpenOutage
from tests.support.events import TENANCY

Pool = ConnectionPool[Connection]
EMAIL: Final = "ann@example.com"
pytestmark = pytest.mark.usefixtures("keys")


def person(pool: Pool, role: Role, email: str = EMAIL, org_id: str = TENANCY.org_id) -> UUID:
    return add_person(pool, email, org_id=org_id, role=role, actor="cli:test")


def token(pool: Pool, email: str = EMAIL, tenancy: Tenancy = TENANCY, name: str = "script") -> IssuedToken:
    return PersonTokens(pool).issue_for(email, tenancy.project_id, name=name, days=30, actor="cli:test")


def as_(client: TestClient, issued: IssuedToken) -> TestClient:
    client.headers["Authorization"] = f"Bearer {issued.text}"
    return client


def test_token_says_whose_it_is(anonymous: TestClient, pool: Pool) -> None:
    user_id = person(pool, Role.RESPONDER)
    answer = as_(anonymous, token(pool)).get("/v1/me")
    assert answer.json() == {
        "actor": f"user:{user_id}",
        "kind": "person",
        "standing": "responder",
        "org_id": TENANCY.org_id,
        "project_id": TENANCY.project_id,
    }


@pytest.mark.parametrize("role", Role)
def test_role_decides_what_a_token_may_do(anonymous: TestClient, pool: Pool, role: Role) -> None:
    person(pool, role)
    client = as_(anonymous, token(pool))
    unknown = f"/v1/outages/{UUID(int=7)}"
    codes = {
        "read": client.get("/v1/incidents").status_code,
        "respond": client.patch(unknown, json={"status": "resolved"}).status_code,
        "administer": client.get("/v1/audit").status_code,
        "send": client.post("/v1/events", json={}).status_code,  # there is none at this API
    }
    allowed = {"read": True, "respond": role is not Role.VIEWER, "administer": role is Role.ADMIN}
    assert {name: codes[name] != 403 for name in allowed} == allowed
    if role is not Role.ADMIN:
        assert client.get("/v1/audit").json()["code"] == "role"


def test_change_by_token_names_the_person(anonymous: TestClient, pool: Pool, open_outage: OpenOutage) -> None:
    outage_id = open_outage()
    user_id = person(pool, Role.ADMIN)
    client = as_(anonymous, token(pool))
    assert client.put(f"/v1/outages/{outage_id}/assignee", json={"assignee": "ann"}).status_code == 200
    assert client.post(f"/v1/outages/{outage_id}/comments", json={"text": "on it"}).status_code in (200, 201)
    assert client.patch(f"/v1/outages/{outage_id}", json={"status": "resolved"}).status_code == 200
    rule = {"name": "quiet", "kind": "absence", "on": {"event_type": "custom"}}
    assert client.post("/v1/rules", json=rule).status_code == 201
    with pool.connection() as connection:
        actors = connection.execute(
            "SELECT DISTINCT actor FROM pipeline.incident_changes WHERE kind <> 'opened'"
        ).fetchall()
        audited = connection.execute("SELECT actor FROM people.audit WHERE object = 'rule:quiet'").fetchall()
    assert actors == audited == [(f"user:{user_id}",)]


def test_revoked_token_opens_nothing_at_once(anonymous: TestClient, pool: Pool) -> None:
    user_id = person(pool, Role.VIEWER)
    issued = token(pool)
    client = as_(anonymous, issued)
    assert client.get("/v1/me").status_code == 200
    assert not PersonTokens(pool).revoke(issued.token_id, user_id=UUID(int=1), actor="cli:test")
    assert client.get("/v1/me").status_code == 200
    assert PersonTokens(pool).revoke(issued.token_id, user_id=user_id, actor="cli:test")
    assert client.get("/v1/me").status_code == 401


def test_changed_role_and_ended_membership_count_at_once(anonymous: TestClient, pool: Pool) -> None:
    person(pool, Role.ADMIN, "boss@example.com")
    person(pool, Role.ADMIN)
    client = as_(anonymous, token(pool))
    assert client.get("/v1/audit").status_code == 200
    person(pool, Role.VIEWER)
    assert client.get("/v1/audit").status_code == 403
    remove_person(pool, EMAIL, actor="cli:test")
    assert client.get("/v1/me").status_code == 401


def test_token_expires(anonymous: TestClient, pool: Pool) -> None:
    person(pool, Role.VIEWER)
    client = as_(anonymous, token(pool))
    with pool.connection() as connection:
        connection.execute("UPDATE people.tokens SET expires_at = expires_at - %s", [timedelta(days=30)])
    assert client.get("/v1/me").status_code == 401
    assert PersonTokens(pool).of() == []
    token(pool)  # the name is free again


def test_database_and_audit_hold_no_token(pool: Pool) -> None:
    person(pool, Role.VIEWER)
    issued = token(pool)
    with pool.connection() as connection:
        rows = connection.execute("SELECT t::text FROM people.tokens t").fetchall()
        audit = connection.execute(
            "SELECT verb, actor, detail FROM people.audit WHERE verb LIKE 'token%'"
        ).fetchall()
    assert issued.text not in repr(rows)
    assert issued.text not in repr(issued)
    detail = {"name": "script", "days": 30, "project": TENANCY.project_id}
    assert audit == [("token created", "cli:test", detail)]


def test_use_is_noted(anonymous: TestClient, pool: Pool) -> None:
    user_id = person(pool, Role.VIEWER)
    client = as_(anonymous, token(pool))
    assert PersonTokens(pool).of(user_id)[0].last_used_at is None
    client.get("/v1/me")
    assert PersonTokens(pool).of(user_id)[0].last_used_at is not None


def test_token_is_for_a_project_of_its_owner(pool: Pool) -> None:
    person(pool, Role.VIEWER)
    with pytest.raises(ProvisioningRefused, match="there is no project"):
        token(pool, tenancy=OTHER)
    person(pool, Role.ADMIN, "eve@example.com", OTHER.org_id)
    with pytest.raises(ProvisioningRefused, match="there is no project"):
        token(pool, "eve@example.com")
    with pytest.raises(ProvisioningRefused, match="there is no person"):
        token(pool, "nobody@example.com")


@pytest.mark.parametrize("name", ["", " x", "x" * 61, "a\nb", "a\x00b"])
def test_name_that_is_none_is_refused(pool: Pool, name: str) -> None:
    person(pool, Role.VIEWER)
    with pytest.raises(ProvisioningRefused, match="name"):
        token(pool, name=name)


def test_tokens_are_bounded_and_named_once(pool: Pool) -> None:
    user_id = person(pool, Role.VIEWER)
    token(pool)
    with pytest.raises(ProvisioningRefused, match="revoke it first"):
        token(pool)
    for number in range(1, MAX_TOKENS):
        token(pool, name=f"script {number}")
    with pytest.raises(ProvisioningRefused, match="at most"):
        token(pool, name="one more")
    with pytest.raises(ProvisioningRefused, match="1 to 365 days"):
        PersonTokens(pool).issue(user_id, TENANCY.project_id, name="long", days=366, actor="cli:test")


def test_person_is_looked_up_each_time_and_a_wrong_token_once(pool: Pool) -> None:
    person(pool, Role.VIEWER)
    issued, authenticator = token(pool), KeyAuthenticator(pool, cache_s=60)
    assert isinstance(authenticator.check(issued.text), PersonGranted)
    assert authenticator.check_cached(issued.text) is None
    wrong = "sig_user_" + "a" * 43
    assert authenticator.check(wrong) == KeyRefused("unknown")
    assert authenticator.check_cached(wrong) == KeyRefused("unknown")
