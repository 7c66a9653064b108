"""Links sign people in once; sessions end when they should; cookies and origins are checked."""

from datetime import timedelta
from typing import Final, LiteralString

import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from serve_apps.console.pages import LIVE_HEADER
from signals.clients.postgres import Connection, transaction
from signals.domain.access.passwords import FAILURES
from signals.domain.access.people import Role
from signals.domain.access.scopes import Scope
from signals.services.access.people import add_person, issue_link, remove_person
from signals.services.access.provisioning import ProvisioningRefused, issue_key
from tests.integration.console.conftest import BASE, SAME_ORIGIN, Visitor
from tests.integration.core.conftest import OTHER
from tests.support.console_world import SHOP

Pool = ConnectionPool[Connection]
SIGN_IN: Final = "/console/sign-in"
EMAIL: Final = "ann@example.com"


@pytest.fixture
def ann(stranger: TestClient, pool: Pool) -> str:
    """A responder, who has not signed in."""
    add_person(pool, EMAIL, org_id=SHOP.org_id, role=Role.RESPONDER, actor="cli:test")
    return EMAIL


def age(pool: Pool, column: str, length: timedelta) -> None:
    """Let every session look as if so much time had passed."""
    statements: dict[str, LiteralString] = {
        "last_seen_at": "UPDATE people.sessions SET last_seen_at = last_seen_at - %s",
        "expires_at": "UPDATE people.sessions SET expires_at = expires_at - %s",
    }
    with transaction(pool) as connection:
        connection.execute(statements[column], [length])


def test_link_signs_in_once(stranger: TestClient, pool: Pool, ann: str) -> None:
    link = issue_link(pool, ann)
    first = stranger.post(SIGN_IN, data={"link": f"http://127.0.0.1{link}"}, headers=SAME_ORIGIN)
    assert (first.status_code, first.headers["location"]) == (303, "/console/")
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert stranger.get(BASE + "/").status_code == 200
    stranger.cookies.clear()
    second = stranger.post(SIGN_IN, data={"link": link}, headers=SAME_ORIGIN)
    assert second.status_code == 400
    assert "set-cookie" not in second.headers


def test_reading_the_sign_in_page_does_not_use_the_link_up(
    stranger: TestClient, pool: Pool, ann: str
) -> None:
    link = issue_link(pool, ann)
    assert stranger.get(link).status_code == 200
    assert stranger.post(SIGN_IN, data={"link": link}, headers=SAME_ORIGIN).status_code == 303


def test_expired_link_is_refused(stranger: TestClient, pool: Pool, ann: str) -> None:
    link = issue_link(pool, ann, lasts=timedelta(seconds=-1))
    assert stranger.post(SIGN_IN, data={"link": link}, headers=SAME_ORIGIN).status_code == 400


def test_database_holds_no_token(stranger: TestClient, pool: Pool, ann: str) -> None:
    link = issue_link(pool, ann)
    stranger.post(SIGN_IN, data={"link": link}, headers=SAME_ORIGIN)
    (session,) = stranger.cookies.values()
    with pool.connection() as connection:
        rows = connection.execute("SELECT s::text FROM people.sessions s").fetchall()
        rows += connection.execute("SELECT l::text FROM people.sign_in_links l").fetchall()
    text = repr(rows)
    assert rows
    assert session not in text
    assert link.rpartition("#")[2] not in text


def test_cookie_carries_the_host_prefix_off_loopback(stranger: TestClient, pool: Pool, ann: str) -> None:
    link = issue_link(pool, ann)
    headers = {"Host": "signals.example", "Origin": "https://signals.example"}
    answer = stranger.post(SIGN_IN, data={"link": link}, headers=headers)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-signals=")
    assert {"Secure", "HttpOnly", "Path=/"} <= set(cookie.split("; "))
    assert "domain" not in cookie.lower()


def test_sign_in_without_tls_is_refused_off_loopback(stranger: TestClient, pool: Pool, ann: str) -> None:
    link = issue_link(pool, ann)
    headers = {"Host": "signals.example", "Origin": "http://signals.example"}
    answer = stranger.post(SIGN_IN, data={"link": link}, headers=headers)
    assert answer.status_code == 403
    assert "https" in answer.text
    assert stranger.post(SIGN_IN, data={"link": link}, headers=SAME_ORIGIN).status_code == 303


FOREIGN: Final = {
    "another site": {"Sec-Fetch-Site": "cross-site"},
    "a sibling": {"Sec-Fetch-Site": "same-site"},
    "typed": {"Sec-Fetch-Site": "none"},
    "another origin": {"Origin": "https://evil.example"},
    "an opaque origin": {"Origin": "null"},
    "another port": {"Origin": "http://127.0.0.1:9999"},
    "no proof": {},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
def test_foreign_form_changes_nothing(
    visitor: Visitor, headers: dict[str, str], pool: Pool, world: object
) -> None:
    admin = visitor(Role.ADMIN)
    del admin.headers["Sec-Fetch-Site"]
    answer = admin.post(f"{BASE}/settings/create-key", data={"scope": "ingest"}, headers=headers)
    assert answer.status_code == 403
    with pool.connection() as connection:
        assert connection.execute("SELECT count(*) FROM project_api_keys").fetchone() == (0,)


def test_origin_of_an_older_browser_is_accepted(visitor: Visitor) -> None:
    admin = visitor(Role.ADMIN)
    del admin.headers["Sec-Fetch-Site"]
    answer = admin.post("/console/sign-out", headers={"Origin": "http://127.0.0.1"})
    assert answer.status_code == 415  # it came through, and has no form
    answer = admin.post("/console/sign-out", data={"x": ""}, headers={"Origin": "http://127.0.0.1"})
    assert answer.status_code == 303


@pytest.mark.parametrize(
    ("column", "length"), [("last_seen_at", timedelta(hours=12)), ("expires_at", timedelta(days=14))]
)
def test_session_ends_by_time(visitor: Visitor, pool: Pool, column: str, length: timedelta) -> None:
    reader = visitor(Role.VIEWER)
    age(pool, column, length - timedelta(minutes=1))
    assert reader.get(BASE + "/").status_code == 200
    age(pool, column, length)
    assert reader.get(BASE + "/").headers["location"].startswith(SIGN_IN)


def test_use_keeps_a_session_from_idling(visitor: Visitor, pool: Pool) -> None:
    reader = visitor(Role.VIEWER)
    for _ in range(3):
        age(pool, "last_seen_at", timedelta(hours=11))
        assert reader.get(BASE + "/").status_code == 200


def test_page_that_reads_itself_again_does_not_keep_a_session(visitor: Visitor, pool: Pool) -> None:
    reader = visitor(Role.VIEWER)
    age(pool, "last_seen_at", timedelta(hours=7))
    assert reader.get(BASE + "/", headers={LIVE_HEADER: "1"}).status_code == 200
    age(pool, "last_seen_at", timedelta(hours=6))
    assert reader.get(BASE + "/").headers["location"].startswith(SIGN_IN)


def test_removed_person_is_out_at_once(visitor: Visitor, pool: Pool) -> None:
    reader = visitor(Role.VIEWER)
    waiting = issue_link(pool, f"viewer@{SHOP.org_id}.example")
    remove_person(pool, f"viewer@{SHOP.org_id}.example", actor="cli:test")
    assert reader.get(BASE + "/").headers["location"].startswith(SIGN_IN)
    assert reader.post(SIGN_IN, data={"link": waiting}).status_code == 400


def test_changed_role_counts_from_the_next_request(visitor: Visitor, pool: Pool) -> None:
    person = visitor(Role.RESPONDER)
    path = f"{BASE}/settings/create-key"
    assert person.post(path, data={"scope": "ingest"}).status_code == 403
    email = f"responder@{SHOP.org_id}.example"
    add_person(pool, email, org_id=SHOP.org_id, role=Role.ADMIN, actor="cli:test")
    assert person.post(path, data={"scope": "ingest"}).status_code == 303


def test_signed_out_session_opens_nothing(visitor: Visitor) -> None:
    reader = visitor(Role.VIEWER)
    (token,) = reader.cookies.values()
    assert reader.post("/console/sign-out", data={"x": ""}).status_code == 303
    reader.cookies.set("signals", token)  # a copy that was taken before
    assert reader.get(BASE + "/").headers["location"].startswith(SIGN_IN)


def test_another_session_of_mine_can_be_ended_and_of_others_not(visitor: Visitor, pool: Pool) -> None:
    mine, other = visitor(Role.VIEWER), visitor(Role.RESPONDER)
    again = visitor(Role.VIEWER)
    with pool.connection() as connection:
        rows = connection.execute("SELECT id, user_id FROM people.sessions ORDER BY created_at").fetchall()
    first, others = rows[0][0], next(row[0] for row in rows if row[1] != rows[0][1])
    assert again.post("/console/end-session", data={"session": str(others)}).status_code == 404
    assert again.post("/console/end-session", data={"session": str(first)}).status_code == 303
    assert other.get(BASE + "/").status_code == 200
    assert mine.get(BASE + "/").status_code == 303


def test_failed_attempts_are_limited_and_a_valid_link_is_not(
    stranger: TestClient, pool: Pool, ann: str
) -> None:
    codes = [
        stranger.post(SIGN_IN, data={"link": f"#{n:043}"}, headers=SAME_ORIGIN).status_code
        for n in range(int(FAILURES.burst) + 2)
    ]
    assert codes[0] == 400
    assert codes[-1] == 429
    link = issue_link(pool, ann)
    assert stranger.post(SIGN_IN, data={"link": link}, headers=SAME_ORIGIN).status_code == 303


def test_api_key_opens_no_page(stranger: TestClient, pool: Pool) -> None:
    for scope in (Scope.INGEST, Scope.READ):
        key = issue_key(pool, SHOP.project_id, scope).text
        stranger.cookies.set("signals", key)
        for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
            assert stranger.get(BASE + "/", headers=headers).headers["location"].startswith(SIGN_IN)


def test_session_opens_no_api(visitor: Visitor) -> None:
    admin = visitor(Role.ADMIN)
    assert admin.get("/v1/incidents").status_code == 401


@pytest.mark.parametrize(
    "path",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "/v1/incidents", "/console/\r\nX: y"],
)
def test_sign_in_leads_to_no_other_site(stranger: TestClient, pool: Pool, ann: str, path: str) -> None:
    link = issue_link(pool, ann)
    answer = stranger.post(SIGN_IN, data={"link": link, "next": path}, headers=SAME_ORIGIN)
    assert answer.headers["location"] == "/console/"


def test_last_admin_stays(pool: Pool, stranger: TestClient) -> None:
    add_person(pool, EMAIL, org_id=SHOP.org_id, role=Role.ADMIN, actor="cli:test")
    for change in (
        lambda: remove_person(pool, EMAIL, org_id=SHOP.org_id, actor="cli:test"),
        lambda: add_person(pool, EMAIL, org_id=SHOP.org_id, role=Role.VIEWER, actor="cli:test"),
    ):
        with pytest.raises(ProvisioningRefused, match="needs an admin"):
            change()


def test_admin_of_another_organisation_gains_nothing_by_a_link(visitor: Visitor, pool: Pool) -> None:
    """A link that an admin could make must not open another organisation."""
    theirs = visitor(Role.ADMIN, org_id=OTHER.org_id)
    path = f"/console/p/{OTHER.project_id}/settings/add-member"
    made = theirs.post(path, data={"email": EMAIL, "role": "viewer"}, follow_redirects=True)
    assert "/console/sign-in#" in made.text
    captured = made.text.partition("/console/sign-in#")[2][:43]
    add_person(pool, EMAIL, org_id=SHOP.org_id, role=Role.ADMIN, actor="cli:test")
    assert theirs.post(SIGN_IN, data={"link": captured}).status_code == 400
    again = theirs.post(path, data={"email": EMAIL, "role": "viewer"})
    assert again.status_code == 422
    assert "/console/sign-in#" not in again.text
