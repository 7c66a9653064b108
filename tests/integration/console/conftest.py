"""The console over real PostgreSQL and OpenSearch, and people of two organisations who use it."""

import re
from collections.abc import Callable, Iterator
from html import unescape
from typing import Final
from uuid import UUID

import httpx2
import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from signals.clients.opensearch.connection import Client
from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from signals.services.access.people import add_person, issue_link
from signals.services.access.provisioning import create_org, create_project
from tests.integration.core.conftest import OTHER, index
from tests.support.console_world import SHOP, World, build_world, console_app

ADDRESS: Final = "http://127.0.0.1"
SAME_ORIGIN: Final = {"Sec-Fetch-Site": "same-origin"}
BASE: Final = f"/console/p/{SHOP.project_id}"

Visitor = Callable[..., TestClient]


def refusal(person: TestClient, answer: httpx2.Response, page: str) -> str:
    """Return what the page says after a press, which it says once."""
    assert (answer.status_code, answer.headers["location"]) == (303, page)
    found = re.search(r'role="alert">([^<]*)</p>', person.get(page).text)
    assert found is not None
    assert 'role="alert"' not in person.get(page).text
    return unescape(found[1])


def status_of(pool: ConnectionPool[Connection], incident_id: UUID) -> str:
    """Return the stored status of an incident."""
    with pool.connection() as connection:
        row = connection.execute("SELECT status FROM incidents WHERE id = %s", [incident_id]).fetchone()
    assert row is not None
    return str(row[0])


@pytest.fixture
def world(pool: ConnectionPool[Connection], opensearch: Client) -> World:
    """An outage in one organisation; the other has a project, too."""
    world = build_world(pool)
    index(opensearch, world.events)
    create_org(pool, OTHER.org_id, "Another")
    create_project(pool, OTHER.project_id, org_id=OTHER.org_id, name="Another project")
    return world


@pytest.fixture
def stranger(pool: ConnectionPool[Connection], opensearch: Client, world: World) -> Iterator[TestClient]:
    """A browser without a session, on the machine itself."""
    with (
        console_app(pool, opensearch) as app,
        TestClient(app, base_url=ADDRESS, raise_server_exceptions=False, follow_redirects=False) as client,
    ):
        yield client


@pytest.fixture
def visitor(stranger: TestClient, pool: ConnectionPool[Connection]) -> Visitor:
    """Makes browsers that are signed in with a role."""

    def sign_in(role: Role = Role.ADMIN, *, org_id: str = SHOP.org_id) -> TestClient:
        email = f"{role}@{org_id}.example"
        add_person(pool, email, org_id=org_id, role=role, actor="cli:test")
        client = TestClient(
            stranger.app, base_url=ADDRESS, raise_server_exceptions=False, follow_redirects=False
        )
        link = issue_link(pool, email)
        answer = client.post("/console/sign-in", data={"link": link}, headers=SAME_ORIGIN)
        assert answer.status_code == 303, answer.text
        client.headers.update(SAME_ORIGIN)
        return client

    return sign_in


def press_each_status(person: TestClient, path: str) -> Iterator[str]:
    """Set each status on the page of an incident or outage; yield it once the page tells who did it."""
    for wanted, done in (
        ("investigating", "took it on"),
        ("resolved", "resolved it"),
        ("open", "opened it again"),
    ):
        answer = person.post(path + "/status", data={"status": wanted})
        assert (answer.status_code, answer.headers["location"]) == (303, path)
        assert f"responder {done}" in person.get(path).text
        yield wanted
