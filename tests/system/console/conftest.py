"""The console in a real browser, served by a real HTTP server."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from psycopg_pool import ConnectionPool

from signals.clients.opensearch.connection import Client
from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from signals.services.access.people import add_person, issue_link
from tests.integration.core.conftest import index
from tests.support.browser import find_chromium, open_browser
from tests.support.console_world import SHOP, World, build_world, console_app
from tests.support.waiting import until
from tests.system.security.conftest import served

BASE: Final = f"/console/p/{SHOP.project_id}"
LOOKS: Final[dict[str, dict[str, Any]]] = {
    "light": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "is_mobile": True},
}
PATIENT_MS: Final = 180_000
LIVE: Final = "() => document.getElementById('live').textContent === 'live'"
"""True once the stream of a page is open."""
AXE: Final = (files("axe_playwright_python") / "axe.min.js").read_text()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One browser for these tests; its event loop must not outlive them, or no other test could run one."""
    with open_browser(find_chromium()) as browser:
        yield browser


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where the console answers, what it holds, and how to open it."""

    url: str
    world: World
    browser: Browser
    link: Callable[[Role], str]

    def context(self, role: Role = Role.ADMIN, *, look: str = "light", **options: Any) -> BrowserContext:
        """Open a window that is signed in with a role by clicking its link."""
        context = self.browser.new_context(
            base_url=self.url, timezone_id="Europe/Berlin", locale="en-GB", **(LOOKS[look] | options)
        )
        context.set_default_timeout(PATIENT_MS)
        page = context.new_page()
        page.goto(self.link(role))
        if options.get("java_script_enabled", True):
            page.wait_for_url("**/console/p/**")
        return context


@pytest.fixture
def site(pool: ConnectionPool[Connection], opensearch: Client, browser: Browser) -> Iterator[Site]:
    """The console in the middle of an outage."""
    world = build_world(pool)
    index(opensearch, world.events)

    def link(role: Role) -> str:
        email = f"{role}@{SHOP.org_id}.example"
        add_person(pool, email, org_id=SHOP.org_id, role=role, name=role.value.title(), actor="cli:test")
        return issue_link(pool, email, lasts=timedelta(hours=1))

    with console_app(pool, opensearch) as app, served(app) as url:
        yield Site(url=url, world=world, browser=browser, link=link)


def go_by_keys(page: Page, keys: str, url: str) -> None:
    """Press keys one after the other until the page is there.

    The console forgets the first key after a second and a half, which a busy machine may take between two.
    """

    def is_there() -> bool:
        for key in keys:
            page.keyboard.press(key)
        with suppress(PlaywrightTimeout):
            page.wait_for_url(url, timeout=20_000)
            return True
        return False

    until(is_there, within_s=120)


def faults_of(page: Page) -> list[str]:
    """Collect the page's console errors, policy reports and crashes from now on."""
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


def violations(page: Page) -> list[str]:
    """Return what axe finds against WCAG 2.2 AA and its best practices."""
    page.evaluate(AXE)
    return _found(page, ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"])


def violations_in_dark(page: Page) -> list[str]:
    """Return what is hard to read in dark, on a page that `violations` has seen: only colours differ."""
    page.emulate_media(color_scheme="dark")
    found = _found(page, {"type": "rule", "values": ["color-contrast"]})
    return [f"in dark: {one}" for one in found]


def _found(page: Page, rules: Any) -> list[str]:
    result = page.evaluate("(rules) => axe.run(document, {runOnly: rules})", rules)
    return [f"{one['id']}: {[node['target'] for node in one['nodes']][:3]}" for one in result["violations"]]
