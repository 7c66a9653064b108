"""People sign in with a browser: at a real provider, and by a password that they set themselves."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, BrowserContext
from psycopg_pool import ConnectionPool
from pydantic import SecretStr

from signals.clients.opensearch.connection import Client
from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from signals.services.access.people import add_person
from signals.settings import PeopleSettings
from tests.support.console_world import SHOP, build_world, console_app
from tests.system.console.conftest import BASE, LOOKS, PATIENT_MS, Site, faults_of, violations
from tests.system.console.provider_process import open_provider
from tests.system.console.test_looks import SHOTS
from tests.system.security.conftest import served

ANN: Final = "ann@example.com"
PASSWORD: Final = "correct horse battery staple"


@pytest.fixture
def address(pool: ConnectionPool[Connection], opensearch: Client) -> Iterator[str]:
    """A console at which Ann may sign in at a provider, or by a password."""
    build_world(pool)
    add_person(pool, ANN, org_id=SHOP.org_id, role=Role.RESPONDER, name="Ann Lee", actor="cli:test")
    listener = socket.create_server(("127.0.0.1", 0))  # held from now on: the provider takes a while
    callback = f"http://127.0.0.1:{listener.getsockname()[1]}/console/sign-in/provider/callback"
    with listener, open_provider(callback) as issuer:
        people = PeopleSettings(
            signals_oidc_issuer=issuer,
            signals_oidc_client_id="signals",
            signals_oidc_client_secret=SecretStr("a-secret-of-tests"),
            signals_oidc_name="Acme",
            signals_oidc_trust_addresses=True,
            signals_passwords=True,
        )
        with console_app(pool, opensearch, people) as app, served(app, listener) as url:
            yield url


def window(browser: Browser, address: str, look: str = "light") -> BrowserContext:
    options: dict[str, Any] = LOOKS[look]
    context = browser.new_context(base_url=address, locale="en-GB", **options)
    context.set_default_timeout(PATIENT_MS)
    return context


def test_person_signs_in_at_the_provider_and_goes_on(address: str, browser: Browser) -> None:
    context = window(browser, address)
    page = context.new_page()
    page.goto(f"{BASE}/outages")
    page.click("text=Sign in with Acme")
    page.fill("input[name=login]", "ann")
    page.keyboard.press("Enter")
    page.fill("input[name=password]", "ann-password")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}{BASE}/outages")
    assert page.locator("h1").inner_text() == "Outages"
    assert page.get_by_label("Signed in as Ann Lee").is_visible()
    context.close()


@pytest.mark.parametrize("look", LOOKS)
def test_every_way_in_is_clean(address: str, browser: Browser, look: str) -> None:
    context = window(browser, address, look)
    page = context.new_page()
    faults = faults_of(page)
    page.goto("/console/sign-in")
    if folder := os.environ.get(SHOTS):
        page.screenshot(path=Path(folder) / f"sign-in-every-way-{look}.png", full_page=True)
    overflow = page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
    assert [*faults, *violations(page)] == []
    assert overflow <= 0
    heights = [one.bounding_box() for one in page.locator(".sign-in .button, .sign-in button").all()]
    assert [box["height"] for box in heights if box and box["height"] < 44] == []  # a thumb's width
    context.close()


def test_person_sets_a_password_and_signs_in_with_it(site: Site) -> None:
    context = site.context(Role.RESPONDER)
    page = context.pages[0]
    faults = faults_of(page)
    page.goto("/console/account")
    page.fill("input[name=new]", PASSWORD)
    page.fill("input[name=again]", PASSWORD)
    with page.expect_navigation():
        page.click("button:has-text('Set the password')")
    page.click("summary[aria-label^='Signed in as']")
    page.click("button:has-text('Sign out')")
    page.wait_for_url("**/console/sign-in")
    page.goto(f"{BASE}/search")
    page.wait_for_url("**/console/sign-in?next=**")
    page.fill("#email", f"responder@{SHOP.org_id}.example")
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{BASE}/search")
    assert faults == []
    context.close()
