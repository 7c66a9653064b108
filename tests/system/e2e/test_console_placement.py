"""The console in an application of its own, or nowhere, by one setting; on the same port in each case."""

import json
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect
from pydantic import SecretStr

from signals.clients.postgres import open_pool
from signals.domain.access.people import Role
from signals.local.bring_up import DEMO_ORG, DEMO_PROJECT, unready
from signals.serve_applications import ConsolePlacement, running
from signals.services.access.people import add_person, issue_link
from signals.settings import PostgresSettings
from tests.support.browser import find_chromium, open_browser
from tests.support.product import Product
from tests.support.waiting import until
from tests.system.e2e.test_acceptance import spike

Place = Callable[[ConsolePlacement], None]
EMAIL: Final = "reader@placement.example"
WITHIN_S: Final = 280.0  # new replicas of core-api, on a machine that eight suites share
BROWSER_MS: Final = 180_000


@pytest.fixture
def place(product: Product, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Deploys the product with the console elsewhere, as `signals up` does; afterwards it is as before."""

    def deploy(placement: ConsolePlacement) -> None:
        monkeypatch.setenv("SIGNALS_CONSOLE", placement)
        before = replicas_of(product, "core")
        product.head.deploy()
        until(lambda: runs_anew(product, placement, before), within_s=WITHIN_S)
        until(lambda: not unready(product.head.state.ports["http"]), within_s=WITHIN_S)

    yield deploy
    deploy("core")


def runs_anew(product: Product, placement: ConsolePlacement, before: set[str]) -> bool:
    """Tell whether the applications of the placement run, core-api with other replicas than before."""
    states = {name: one["status"] for name, one in product.head.applications().items()}
    core = replicas_of(product, "core")
    return states == {row.name: "RUNNING" for row in running(placement)} and bool(core) and not core & before


def replicas_of(product: Product, application: str) -> set[str]:
    """Return the replicas of an application that are not yet gone."""
    found = product.head.applications().get(application, {"deployments": {}})
    return {one["replica_id"] for part in found["deployments"].values() for one in part["replicas"]}


def ask(product: Product, path: str) -> tuple[int, Any]:
    """Return the status of a path, and the body when it is JSON."""
    connection = HTTPConnection(urlsplit(product.environment["CORE_API_URL"]).netloc, timeout=WITHIN_S)
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    is_json = "json" in (answer.headers["Content-Type"] or "")
    return answer.status, json.loads(text) if is_json else None


def sign_in_link(product: Product) -> str:
    url = SecretStr(product.environment["DATABASE_URL"])
    with open_pool(PostgresSettings(database_url=url, pg_sslmode="disable"), size=2) as pool:
        add_person(pool, EMAIL, org_id=DEMO_ORG, role=Role.RESPONDER, actor="cli:test")
        return product.environment["CORE_API_URL"] + issue_link(pool, EMAIL)


def test_console_of_its_own_signs_in_and_shows_a_new_incident_at_once(product: Product, place: Place) -> None:
    place("own")
    assert len(replicas_of(product, "console")) == 1
    with open_browser(find_chromium()) as browser:
        page = browser.new_page()
        page.set_default_timeout(BROWSER_MS)
        page.goto(sign_in_link(product))
        page.wait_for_url("**/console/p/**")
        page.goto(f"{product.environment['CORE_API_URL']}/console/p/{DEMO_PROJECT}/incidents")
        expect(page.locator("#live")).to_have_text("live", timeout=BROWSER_MS)  # its stream is open
        spike(product, "OWN_CONSOLE")
        expect(page.get_by_text("OWN_CONSOLE").first).to_be_visible(timeout=BROWSER_MS)
    until(lambda: ask(product, "/readyz")[0] == 200, within_s=WITHIN_S)
    assert product.get("/v1/incidents")["incidents"]


def test_installation_without_a_console_says_so(product: Product, place: Place) -> None:
    place("none")
    assert replicas_of(product, "console") == set()
    status, body = ask(product, "/console/sign-in")
    assert (status, body["code"]) == (404, "no_console")
    until(lambda: ask(product, "/readyz")[0] == 200, within_s=WITHIN_S)
