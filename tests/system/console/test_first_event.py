"""A newcomer's first minutes in a real browser: a key, a line to copy, and the first event."""

from datetime import UTC, datetime

from psycopg_pool import ConnectionPool

from shared_types import Tenancy
from signals.clients.opensearch.connection import Client
from signals.clients.postgres import Connection
from signals.services.access.provisioning import create_project
from tests.integration.core.conftest import index
from tests.support.console_world import SHOP, error
from tests.system.console.conftest import Site, faults_of, violations


def test_first_event_turns_the_page_green_and_keeps_the_selection(
    site: Site, pool: ConnectionPool[Connection], opensearch: Client
) -> None:
    create_project(pool, "new", org_id=SHOP.org_id, name="New")
    context = site.context(permissions=["clipboard-read", "clipboard-write"])
    page = context.pages[0]
    faults = faults_of(page)
    page.goto("/console/p/new/")
    page.get_by_role("button", name="Make a key and fill it in").click()
    page.wait_for_selector("#new-key")
    key = page.text_content("#new-key") or "no key"
    page.get_by_role("button", name="Copy the line").click()
    page.get_by_text("Copied").wait_for()
    assert f"Bearer {key}" in page.evaluate("() => navigator.clipboard.readText()")
    assert violations(page) == []
    page.evaluate("() => getSelection().selectAllChildren(document.getElementById('snippet'))")
    index(opensearch, [error(Tenancy(SHOP.org_id, "new"), datetime.now(UTC), {"route": "/a"}, "hello")])
    page.locator("[data-arrived]").wait_for()
    assert f"Bearer {key}" in page.evaluate("() => getSelection().toString()")
    assert page.text_content("#new-key") == key  # the page was not loaded again
    page.reload()
    assert key not in page.content()
    assert faults == []
