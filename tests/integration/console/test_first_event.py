"""The first page of an empty project teaches how to send, until an event has arrived."""

import re

from psycopg_pool import ConnectionPool

from shared_types import Tenancy
from signals.clients.opensearch.connection import Client
from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from signals.services.access.authentication import KeyAuthenticator, KeyGranted
from signals.services.access.provisioning import create_org, create_project
from tests.integration.console.conftest import Visitor
from tests.integration.core.conftest import index
from tests.support.console_world import World, error

Pool = ConnectionPool[Connection]


def test_empty_project_teaches_how_to_send(visitor: Visitor, pool: Pool) -> None:
    create_org(pool, "fresh", "Fresh")
    create_project(pool, "new", org_id="fresh", name="New")
    admin, page = visitor(Role.ADMIN, org_id="fresh"), "/console/p/new/"
    empty = admin.get(page).text
    assert "curl -sS http://127.0.0.1/v1/events" in empty
    assert '<noscript><meta http-equiv="refresh"' in empty  # a script looks without loading the page again
    assert "Waiting for the first event" in admin.get(f"{page}arrivals").text
    made = admin.post(f"{page}create-first-key", data={"scope": "ingest"})
    assert (made.status_code, made.headers["location"]) == (303, f"{page}#first-event")
    filled = admin.get(page).text
    found = re.search(r'<pre id="new-key"[^>]*>(sig_ingest_[^<]+)</pre>', filled)
    assert found is not None
    assert filled.count(found[1]) > 5  # the key itself, curl, and the lines of other clients
    assert "http-equiv" not in filled  # it would take the key away
    assert isinstance(KeyAuthenticator(pool).check(found[1]), KeyGranted)
    assert found[1] not in admin.get(page).text
    admin.post(f"{page}create-first-key", data={"scope": "ingest"})
    assert admin.post(f"{page}create-first-key", data={"scope": "ingest"}).status_code == 409


def test_first_event_turns_the_page_green(
    visitor: Visitor, pool: Pool, opensearch: Client, world: World
) -> None:
    create_org(pool, "fresh", "Fresh")
    create_project(pool, "new", org_id="fresh", name="New")
    tenancy = Tenancy("fresh", "new")
    index(opensearch, [error(tenancy, world.events[-1].occurred_at, {"route": "/a"}, "hello")])
    admin = visitor(Role.ADMIN, org_id="fresh")
    answer = admin.get("/console/p/new/")
    assert "The first event has arrived" in answer.text
    assert "http-equiv" not in answer.text
    assert "data-arrived" in admin.get("/console/p/new/arrivals").text
