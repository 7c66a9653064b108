"""Open pages follow changes by a stream; streams are few, and end with their session."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPResponse
from statistics import median
from typing import Final
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext
from psycopg_pool import ConnectionPool

from serve_apps.console.live_feed import MOST_STREAMS
from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from tests.support.live_streams import take_all_places
from tests.support.waiting import until
from tests.system.console.conftest import BASE, LIVE, Site, faults_of

STREAMS: Final = 150
STREAM: Final = f"{BASE}/live"
MOST_OF_A_BROWSER: Final = 4  # static/live.js


def cookie(context: BrowserContext) -> str:
    return "; ".join(f"{one['name']}={one['value']}" for one in context.cookies())


@contextmanager
def stream(site: Site, cookie: str, after: int = 0) -> Iterator[HTTPResponse]:
    """Open a stream as a browser does, and close it at the end."""
    connection = HTTPConnection(urlsplit(site.url).netloc, timeout=180)
    try:
        connection.request("GET", f"{STREAM}?after={after}", headers={"Cookie": cookie})
        yield connection.getresponse()
    finally:
        connection.close()


def ready_s(site: Site) -> float:
    """Return how long one answer of `/readyz` takes."""
    connection = HTTPConnection(urlsplit(site.url).netloc, timeout=180)
    began = time.monotonic()
    connection.request("GET", "/readyz")
    assert connection.getresponse().status == 200
    connection.close()
    return time.monotonic() - began


def test_many_streams_leave_the_api_responsive(site: Site) -> None:
    context = site.context(Role.VIEWER)
    mine = cookie(context)
    context.close()
    alone = median(ready_s(site) for _ in range(5))
    with ExitStack() as stack:
        take_all_places(lambda: stack.enter_context(stream(site, mine)).status)
        further = STREAMS - MOST_STREAMS
        assert {stack.enter_context(stream(site, mine)).status for _ in range(further)} == {503}
        beside = median(ready_s(site) for _ in range(5))
    print(f"/readyz {alone * 1000:.0f} ms alone, {beside * 1000:.0f} ms beside {STREAMS} streams")
    assert beside < max(1.0, 10 * alone)  # a second, or on a slow machine a multiple of its own pace


def test_change_reaches_an_open_page_by_the_stream(site: Site) -> None:
    first, second = site.context(Role.ADMIN), site.context(Role.RESPONDER)
    reader, faults = second.pages[0], faults_of(second.pages[0])
    reader.goto(f"{BASE}/outages")
    reader.wait_for_function(LIVE)
    asked: list[str] = []
    reader.on("request", lambda request: asked.append(request.url))
    first.pages[0].goto(f"{BASE}/incidents/{site.world.open_id}")
    first.pages[0].click("button:has-text('I’m on it')")
    reader.wait_for_function("() => document.title.startsWith('1 FIRING')")
    assert [url for url in asked if "/live" in url] == []  # the same stream, which announced it
    assert faults == []
    for context in (first, second):
        context.close()


def test_page_without_a_stream_polls_and_says_so(site: Site) -> None:
    context = site.context(Role.VIEWER)
    page, mine = context.pages[0], cookie(context)
    page.goto("about:blank")
    with ExitStack() as stack:
        take_all_places(lambda: stack.enter_context(stream(site, mine)).status)
        page.goto(f"{BASE}/outages")
        page.wait_for_function("() => document.getElementById('live').textContent === 'live: every 5 s'")
        with page.expect_request("**/outages"):
            pass
    context.close()


def test_pages_of_one_browser_leave_it_connections(site: Site) -> None:
    context = site.context(Role.VIEWER)
    pages = [context.pages[0], *(context.new_page() for _ in range(MOST_OF_A_BROWSER + 2))]
    for page in pages:  # the last ones would never load if each had a stream
        page.goto(f"{BASE}/outages")
        page.wait_for_function("() => document.getElementById('live').textContent !== ''")
    wanted = ["live"] * MOST_OF_A_BROWSER + ["live: every 5 s"] * 3
    until(lambda: sorted(page.locator("#live").inner_text() for page in pages) == wanted, within_s=60)
    context.close()


def test_hidden_page_lets_its_stream_go(site: Site) -> None:
    context = site.context(Role.VIEWER)
    page = context.pages[0]
    page.add_init_script(
        "Object.defineProperty(document, 'visibilityState', {get: () => window.away ? 'hidden' : 'visible'})"
    )
    page.goto(f"{BASE}/outages")
    page.wait_for_function(LIVE)
    with page.expect_event("requestfailed", lambda request: "/live" in request.url):
        page.evaluate("() => { window.away = true }")
    page.evaluate("() => { window.away = false }")
    page.wait_for_function(LIVE)
    context.close()


def test_stream_ends_with_its_session(site: Site, pool: ConnectionPool[Connection]) -> None:
    context = site.context(Role.VIEWER)
    mine = cookie(context)
    context.close()
    with stream(site, mine, after=10**12) as answer:  # nothing to announce
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        with pool.connection() as connection:
            connection.execute("DELETE FROM people.sessions")
        assert b": beat" in answer.read()  # ends at the next beat
    with stream(site, mine) as answer:
        assert answer.status == 303


def test_reader_who_returns_is_told_of_what_it_missed(site: Site) -> None:
    context = site.context(Role.VIEWER)
    mine = cookie(context)
    context.close()
    with stream(site, mine, after=1) as answer:
        assert answer.readline() == b"retry: 1000\n"
        lines = iter(answer.readline, b"")
        said = next(line for line in lines if line not in (b"\n", b": beat\n"))
        assert said.startswith(b"id: ")
        assert next(lines) == b"data: changed\n"
    newest = int(said[4:])
    with stream(site, mine, after=newest) as answer:
        assert answer.readline() == b"retry: 1000\n"
        assert answer.readline() == b"\n"
        assert answer.readline() == b": beat\n"  # nothing is new to this one
