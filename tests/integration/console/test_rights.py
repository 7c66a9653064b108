"""Every page names its right; every role opens what it may and nothing else; organisations never meet."""

from typing import Final, get_args
from uuid import UUID

import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from serve_apps.console.pages import ConsolePage, PageRight
from serve_apps.console.routes import PAGES
from signals.clients.postgres import Connection
from signals.domain.access.people import PersonRight, Role
from signals.domain.access.scopes import Scope
from signals.services.access.provisioning import issue_key
from tests.integration.console.conftest import BASE, Visitor
from tests.integration.core.conftest import OTHER
from tests.support.console_world import SHOP, World, add_incident

OPEN: Final = {
    ("GET", "/console"),
    ("GET", "/console/sign-in"),
    ("POST", "/console/sign-in"),
    ("POST", "/console/sign-in/password"),
    ("GET", "/console/sign-in/provider"),
    ("GET", "/console/sign-in/provider/callback"),
    ("GET", "/console/static/{name}"),
    ("GET", "/console/{rest:path}"),
}
SIGNED_IN: Final = {
    ("GET", "/console/"),
    ("POST", "/console/sign-out"),
    ("POST", "/console/zone"),
    ("POST", "/console/end-session"),
    ("GET", "/console/account"),
    ("POST", "/console/account/set-password"),
    ("POST", "/console/account/create-token"),
    ("POST", "/console/account/revoke-token"),
    ("POST", "/console/account/end-all-sessions"),
    ("GET", "/console/incidents/{incident_id}"),
}
READ: Final = {
    "",
    "/",
    "/arrivals",
    "/incidents",
    "/incidents/{incident_id}",
    "/outages",
    "/outages/{outage_id}",
    "/deploys",
    "/deploys/{deploy_id}",
    "/rules",
    "/rules/{name}",
    "/search",
    "/search/values",
    "/export",
    "/events/{event_id}",
    "/pipeline",
    "/dead-letters",
    "/send",
    "/ai-jobs",
    "/settings",
    "/notifications",
    "/live",
}
RESPOND: Final = {
    "/incidents",
    "/incidents/{incident_id}/status",
    "/incidents/{incident_id}/feedback",
    "/incidents/{incident_id}/ask",
    "/outages",
    "/outages/{outage_id}/status",
    "/outages/{outage_id}/note",
    "/outages/{outage_id}/assign",
    "/outages/{outage_id}/snooze",
    "/outages/{outage_id}/merge",
    "/outages/{outage_id}/split",
}
ADMINISTER: Final = {
    "/create-first-key",
    "/dead-letters",
    "/rules/{name}/switch",
    "/rules/{name}/remove",
    "/rule-editor",
    "/rule-editor/preview",
    "/settings/create-key",
    "/settings/revoke-key",
    "/settings/limit-key",
    "/settings/add-member",
    "/settings/remove-member",
    "/settings/erase-member",
    "/settings/sign-out-member",
    "/settings/create-project",
    "/settings/rename-project",
    "/notifications/create-destination",
    "/notifications/test-destination",
    "/notifications/switch-destination",
    "/notifications/delete-destination",
    "/notifications/create-route",
    "/notifications/delete-route",
    "/notifications/start-maintenance",
    "/notifications/end-maintenance",
    "/send/create-key",
}
PROJECT: Final = "/console/p/{project_id}"
VALID: Final = {
    "status": "resolved",
    "scope": "ingest",
    "text": "a note",
    "for": "1h",
    "useful": "true",
    "question": "Why?",
}
"""What a form of any page may send."""
MATRIX: Final[dict[tuple[str, str], PageRight]] = {
    **dict.fromkeys(OPEN, "anyone"),
    **dict.fromkeys(SIGNED_IN, "member"),
    **{("GET", PROJECT + path): "read" for path in READ},
    **{("POST", PROJECT + path): "respond" for path in RESPOND},
    **{("POST", PROJECT + path): "administer" for path in ADMINISTER},
    ("GET", PROJECT + "/rule-editor"): "administer",
    ("GET", PROJECT + "/outages/{outage_id}/grouping"): "respond",
    ("POST", PROJECT + "/views/save"): "read",
    ("POST", PROJECT + "/views/delete"): "read",
}


def test_table_names_the_right_of_every_page() -> None:
    assert {(page.method, page.path): page.right for page in PAGES} == MATRIX
    assert {page.right for page in PAGES} <= {*get_args(PersonRight), "anyone", "member"}


def address(page: ConsolePage, world: World, project_id: str = SHOP.project_id, **ids: UUID) -> str:
    named = {
        "incident_id": world.open_id,
        "outage_id": world.outage_id,
        "event_id": world.events[0].event_id,
        "deploy_id": world.deploy_id,
        "name": "error-spike" if "/rules/" in page.path else "console.css",
    }
    return page.path.format(project_id=project_id, **(named | ids))


@pytest.mark.parametrize("role", Role)
def test_role_opens_the_pages_of_its_rights(role: Role, visitor: Visitor, world: World) -> None:
    person = visitor(role)
    for page in PAGES:
        if page.right in ("anyone", "member") or page.path.endswith("/live"):  # a stream does not end
            continue
        path = address(page, world)
        data = {"status": "investigating"} if page.method == "POST" else None
        answer = person.request(page.method, path, data=data)
        allowed = role.may(page.right)  # type: ignore[arg-type]  # the others were left out
        assert (answer.status_code != 403) == allowed, (role, page.path, answer.status_code)
        if allowed and page.method == "GET":
            assert answer.status_code in (200, 308), (page.path, answer.text[-500:])


def test_page_needs_a_session(stranger: TestClient, world: World) -> None:
    for page in PAGES:
        if page.right == "anyone":
            continue
        path = address(page, world)
        data = {"status": "resolved"} if page.method == "POST" else None
        answer = stranger.request(page.method, path, data=data, headers={"Sec-Fetch-Site": "same-origin"})
        if page.method == "POST":  # what was written must not be lost on the way to the sign-in
            assert answer.status_code == 401, page.path
            assert "Your session has ended" in answer.text
            continue
        assert answer.status_code == 303, page.path
        assert answer.headers["location"].startswith("/console/sign-in"), page.path


def test_admin_sees_and_changes_nothing_of_another_organisation(
    visitor: Visitor, world: World, pool: ConnectionPool[Connection]
) -> None:
    theirs = visitor(Role.ADMIN, org_id=OTHER.org_id)
    secret = "their-secret-4711"
    ours = add_incident(pool, title=secret, fingerprint="SECRET|/x|prod")
    for page in PAGES:
        if page.right in ("anyone", "member") or page.path.endswith("/live"):
            continue
        data = VALID if page.method == "POST" else None
        # In our project, and with our ids in their own.
        for project_id in (SHOP.project_id, OTHER.project_id):
            path = address(page, world, project_id, incident_id=ours)
            answer = theirs.request(page.method, path, data=data)
            assert secret not in answer.text
            assert "PRICE_MISSING" not in answer.text
            if project_id == SHOP.project_id or "_id}" in page.path.partition("{project_id}")[2]:
                assert answer.status_code == 404, page.path
    assert theirs.get(f"/console/incidents/{ours}").status_code == 404
    assert theirs.get(f"{BASE}/live").status_code == 404
    with pool.connection() as connection:
        assert connection.execute("SELECT status FROM incidents WHERE id = %s", [ours]).fetchone() == (
            "open",
        )


def test_key_of_another_project_cannot_be_revoked(
    visitor: Visitor, world: World, pool: ConnectionPool[Connection]
) -> None:

    key = issue_key(pool, OTHER.project_id, Scope.READ)
    for name in ("revoke-key", "limit-key"):
        answer = visitor(Role.ADMIN).post(f"{BASE}/settings/{name}", data={"key": str(key.key_id)})
        assert answer.status_code == 404
    with pool.connection() as connection:
        revoked = connection.execute("SELECT revoked_at FROM project_api_keys WHERE id = %s", [key.key_id])
        assert revoked.fetchone() == (None,)
