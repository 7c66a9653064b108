"""A page of another origin reports through @sentry/browser in a real Chromium, with a public key."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlencode

from signals.clients.postgres import open_pool
from signals.domain.access.scopes import Scope
from signals.local.bring_up import DEMO_PROJECT
from signals.ray_node.variables import HOST
from signals.services.access.provisioning import KeyOptions, issue_key
from tests.support.browser import find_chromium, open_browser
from tests.support.product import Product
from tests.support.waiting import until
from tests.system.clients.conftest import PROGRAMS, Clients

ORDERS = 12
SENT_WITHIN_MS = 120_000
FOUND_WITHIN_S = 120


@contextmanager
def _shop(script: str) -> Iterator[str]:
    """Serve the same page at every path of an origin of its own; the bundler escapes `</script`."""
    page = f"<!doctype html><title>shop</title><script>{script}</script>"

    class Page(BaseHTTPRequestHandler):
        """Answers with the page."""

        def do_GET(self) -> None:
            """Answer."""
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
            """Print nothing."""

    with ThreadingHTTPServer((HOST, 0), Page) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{HOST}:{server.server_port}"
        server.shutdown()


def test_errors_of_a_page_are_stored_with_route_and_release(product: Product, clients: Clients) -> None:
    script = clients.run("bundle.mjs", str(PROGRAMS / "page.js"))
    with _shop(script) as origin, open_browser(find_chromium()) as browser:
        with open_pool(product.servers.postgres, size=1) as pool:
            key = issue_key(pool, DEMO_PROJECT, Scope.PUBLIC, options=KeyOptions(origins=[origin])).text
        host = product.environment["INGEST_API_URL"].removeprefix("http://")
        page = browser.new_page()
        complaints: list[str] = []  # of the browser itself: a refused origin or request stands here
        page.on("console", lambda message: complaints.append(message.text))
        query = urlencode({"dsn": f"http://{key}@{host}/v1/events/sentry/1", "orders": ORDERS})
        page.goto(f"{origin}/checkout/48213?{query}")
        page.wait_for_function("document.title != 'shop'", timeout=SENT_WITHIN_MS)
        assert page.title() == "sent"
        assert not complaints
    filters = "error_code:CartLost,route:%2Fcheckout%2F{id},release:shop@2.4.1,environment:prod"
    query = f"/v1/search/events?limit=1&filters={filters}"
    until(lambda: product.get(query)["total"]["value"] == ORDERS, within_s=FOUND_WITHIN_S)
