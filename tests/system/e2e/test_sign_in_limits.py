"""Limits of sign-ins hold through Serve's proxy: no header that a caller invents is another address."""

from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Final
from urllib.parse import urlencode, urlsplit

import pytest

from signals.domain.access.passwords import FAILURES
from signals.ray_node.haproxy import PEER_HEADER
from tests.support.product import Product

FORGET: Final = "DELETE FROM pipeline.rate_limits WHERE name LIKE 'sign-in:%'"
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}


MOST: Final = 3 * int(FAILURES.burst)  # attempts; on a slow machine some are given back meanwhile


@pytest.fixture
def fresh(product: Product) -> Iterator[Product]:
    """The product without earlier failures; those of the test are forgotten, too."""
    forget(product)
    yield product
    forget(product)


def forget(product: Product) -> None:
    with product.database() as connection:
        connection.execute(FORGET)


def is_limited(product: Product, n: int) -> bool:
    """Try a wrong password, and say that it comes from another address."""
    invented = {"X-Forwarded-For": f"10.7.0.{n}", PEER_HEADER: f"10.8.0.{n}"}
    form = urlencode({"email": f"nobody{n}@example.com", "password": "wrong horse battery"})
    address = urlsplit(product.environment["CORE_API_URL"]).netloc
    with closing(HTTPConnection(address, timeout=90)) as connection:
        connection.request("POST", "/console/sign-in/password", form, FORM | invented)
        answer = connection.getresponse()
        return answer.status == 429 and b"Too many attempts failed" in answer.read()


def test_invented_addresses_are_one_client(fresh: Product) -> None:
    assert any(is_limited(fresh, n) for n in range(MOST))
