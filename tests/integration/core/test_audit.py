"""Every change of configuration leaves one row of the audit: who, before, after, and no secret."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from signals.clients.postgres import Connection
from signals.domain.access.scopes import Scope
from signals.services.access import provisioning
from tests.integration.core.conftest import OTHER, Keys
from tests.support.events import TENANCY

RULE = {"name": "heartbeat", "kind": "absence", "on": {"event_type": "custom"}}
SECRET = "very-secret-path"
TARGET = {"kind": "webhook", "url": f"http://127.0.0.1:9/{SECRET}"}


@pytest.fixture
def admin(anonymous: TestClient, keys: Keys) -> TestClient:
    """A client with the admin key of proj_1."""
    anonymous.headers["Authorization"] = f"Bearer {keys.admin}"
    return anonymous


def rows(admin: TestClient, **query: object) -> list[Any]:
    answer = admin.get("/v1/audit", params={name: str(value) for name, value in query.items()})
    assert answer.status_code == 200, answer.text
    return list(answer.json())


def test_each_change_is_one_row_with_actor_before_and_after(admin: TestClient) -> None:
    def do(method: str, path: str, content: Any = None, **headers: str) -> Any:
        answer = admin.request(method, f"/v1/{path}", json=content, headers=headers)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    known = len(rows(admin, limit=200))
    made = do("POST", "destinations", {"name": "hook", "target": TARGET})["destination"]["id"]
    do("PATCH", f"destinations/{made}", {"name": "other", "target": {"url": f"http://127.0.0.1:9/2{SECRET}"}})
    route = do("POST", "routes", {"destination_id": made})["id"]
    do("DELETE", f"routes/{route}")
    do("DELETE", f"destinations/{made}")
    do("POST", "rules", RULE)
    do("PATCH", "rules/heartbeat", {"enabled": False})
    do("DELETE", "rules/heartbeat")
    do("PATCH", "doors", {"kept_fields": [], "vercel_secret": SECRET})
    ends_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    window = do("POST", "maintenance", {"ends_at": ends_at, "reason": "r"})["id"]
    do("DELETE", f"maintenance/{window}")
    found = rows(admin, limit=200)
    assert [row["verb"] for row in reversed(found)][known:] == [
        "destination created",
        "destination changed",
        "route created",
        "route deleted",
        "destination deleted",
        "rule created",
        "rule disabled",
        "rule removed",
        "opt-ins changed",
        "maintenance started",
        "maintenance ended",
    ]
    changed = found[-(known + 2)]
    assert (changed["detail"]["before"]["name"], changed["detail"]["after"]["name"]) == ("hook", "other")
    assert changed["detail"]["after"]["secret_replaced"] is True
    assert {row["actor"].partition(":")[0] for row in found[: len(found) - known]} == {"key"}
    assert SECRET not in str(found)
    assert next(row["verb"] for row in rows(admin, target="rule:heartbeat")) == "rule removed"
    assert rows(admin, before=found[1]["id"], limit=1) == [found[2]]


def test_refused_change_leaves_no_row(admin: TestClient) -> None:
    known = len(rows(admin, limit=200))
    assert (
        admin.post("/v1/destinations", json={"name": "x", "target": {"kind": "webhook"}}).status_code == 400
    )
    assert admin.delete("/v1/rules/none").status_code == 404
    assert len(rows(admin, limit=200)) == known


def test_audit_shows_the_own_project_and_needs_an_admin_key(
    admin: TestClient, keys: Keys, pool: ConnectionPool[Connection]
) -> None:
    for project_id in (TENANCY.project_id, OTHER.project_id):
        provisioning.issue_key(pool, project_id, Scope.PUBLIC, actor=f"cli:{project_id}")
    actors = {row["actor"] for row in rows(admin, limit=200)}
    assert f"cli:{TENANCY.project_id}" in actors
    assert f"cli:{OTHER.project_id}" not in actors
    assert admin.get("/v1/audit", headers={"Authorization": f"Bearer {keys.read}"}).status_code == 403


def test_rows_of_the_audit_are_neither_changed_nor_deleted(
    admin: TestClient, pool: ConnectionPool[Connection]
) -> None:
    assert admin.post("/v1/rules", json=RULE).status_code == 201
    for statement in ("UPDATE people.audit SET actor = 'x'", "DELETE FROM people.audit"):
        with pytest.raises(psycopg.errors.RaiseException), pool.connection() as connection:
            connection.execute(statement)
    assert rows(admin)
