"""core-api says why it has no pages, where another application or none serves the console."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from serve_apps.core.replica import build_core_api
from signals.clients.opensearch.connection import Client
from signals.clients.postgres import Connection
from signals.serve_applications import ConsolePlacement
from tests.integration.core.conftest import core_resources

CoreWith = Callable[[ConsolePlacement], TestClient]
BROWSER = {"Accept": "text/html"}


@pytest.fixture
def core_with(pool: ConnectionPool[Connection], opensearch: Client) -> Iterator[CoreWith]:
    """Makes a core-api without pages."""
    with ExitStack() as stack:

        def made(placement: ConsolePlacement) -> TestClient:
            resources = core_resources(pool, opensearch, {})
            stack.callback(resources.readiness.close)
            client = TestClient(
                build_core_api(replace(resources, placement=placement)), follow_redirects=False
            )
            return stack.enter_context(client)

        yield made


@pytest.mark.parametrize("path", ["/console", "/console/", "/console/p/shop/outages", "/console/static/x.js"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_absent_console_answers_404_with_a_sentence(core_with: CoreWith, path: str, method: str) -> None:
    answer = core_with("none").request(method, path)
    assert answer.status_code == 404
    assert answer.json()["code"] == "no_console"
    assert "SIGNALS_CONSOLE" in answer.json()["detail"]


def test_core_asks_for_patience_until_the_console_of_its_own_answers(core_with: CoreWith) -> None:
    answer = core_with("own").get("/console/sign-in")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1


@pytest.mark.parametrize(("placement", "target"), [("own", "/console/"), ("none", "/docs")])
def test_browser_is_sent_to_pages_that_exist(
    core_with: CoreWith, placement: ConsolePlacement, target: str
) -> None:
    answer = core_with(placement).get("/", headers=BROWSER)
    assert (answer.status_code, answer.headers["Location"]) == (303, target)
