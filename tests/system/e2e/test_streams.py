"""Streams of the console through Serve's proxy: a silent one stays open, and many leave the API alone."""

import time
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPResponse
from statistics import median
from typing import Final
from urllib.parse import urlencode, urlsplit

import pytest
from pydantic import SecretStr

from serve_apps.console.live_feed import MOST_STREAMS
from signals.clients.postgres import open_pool
from signals.domain.access.people import Role
from signals.local.bring_up import DEMO_ORG, DEMO_PROJECT
from signals.services.access.people import add_person, issue_link
from signals.settings import PostgresSettings
from tests.support.live_streams import take_all_places
from tests.support.product import Product
from tests.support.waiting import until

STREAMS: Final = 150
BEATS: Final = 4  # ten seconds each; the proxy closes what is silent for 30 s
EMAIL: Final = "reader@streams.example"


def connect(product: Product) -> HTTPConnection:
    return HTTPConnection(urlsplit(product.environment["CORE_API_URL"]).netloc, timeout=90)


@pytest.fixture(scope="module")
def cookie(product: Product) -> str:
    """The session of a viewer of the product's own project."""
    url = SecretStr(product.environment["DATABASE_URL"])
    with open_pool(PostgresSettings(database_url=url, pg_sslmode="disable"), size=2) as pool:
        add_person(pool, EMAIL, org_id=DEMO_ORG, role=Role.VIEWER, actor="cli:test")
        link = issue_link(pool, EMAIL)
    form = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
    with closing(connect(product)) as connection:
        connection.request("POST", "/console/sign-in", urlencode({"link": link}), form)
        answer = connection.getresponse()
        assert answer.status == 303
        return answer.headers["set-cookie"].partition(";")[0]


def open_stream(stack: ExitStack, product: Product, cookie: str) -> HTTPResponse:
    connection = connect(product)
    stack.callback(connection.close)
    path = f"/console/p/{DEMO_PROJECT}/live?after={10**12}"
    connection.request("GET", path, headers={"Cookie": cookie})
    return connection.getresponse()


def ready_s(product: Product) -> float:
    """Return how long one answer takes of a product that is ready."""
    return until(lambda: answered_s(product), within_s=60)


def answered_s(product: Product) -> float:
    began = time.monotonic()
    with closing(connect(product)) as connection:
        connection.request("GET", "/readyz")
        is_ready = connection.getresponse().status == 200
    return time.monotonic() - began if is_ready else 0.0


def test_silent_stream_outlives_the_limit_of_the_proxy(product: Product, cookie: str) -> None:
    with ExitStack() as stack:
        answer = open_stream(stack, product, cookie)
        assert answer.status == 200
        seen = b""
        while seen.count(b": beat\n") < BEATS:
            line = answer.readline()
            assert line, "the stream was closed"
            seen += line


def test_many_streams_leave_readiness_alone(product: Product, cookie: str) -> None:
    alone = median(ready_s(product) for _ in range(5))
    with ExitStack() as stack:
        take_all_places(lambda: open_stream(stack, product, cookie).status)
        refused = {open_stream(stack, product, cookie).status for _ in range(STREAMS - MOST_STREAMS)}
        beside = median(ready_s(product) for _ in range(5))
    print(f"/readyz {alone * 1000:.0f} ms alone, {beside * 1000:.0f} ms beside {STREAMS} streams")
    assert refused == {503}
    assert beside < max(1.0, 10 * alone)  # a second, or on a slow machine a multiple of its own pace
