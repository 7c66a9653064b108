"""Readers disconnect while their searches wait for a slow OpenSearch."""

import socket
import time
from contextlib import ExitStack
from typing import Final
from urllib.parse import urlsplit

import pytest

from tests.support.product import Product
from tests.support.waiting import pause

pytestmark = pytest.mark.faults_quick

LEAVERS: Final = 280  # below what core-api holds: 100 under way and 200 that wait
SLOW_S: Final = 0.2  # each way
STAYED_S: Final = 0.5
AT_ONCE_S: Final = 1.0  # 0.05 measured; 2.5 when abandoned searches were carried on


def test_abandoned_searches_do_not_delay_other_searches(product: Product) -> None:
    address = urlsplit(product.environment["CORE_API_URL"])
    request = (
        f"GET /v1/search/events HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"X-API-Key: {product.environment['READ_API_KEY']}\r\n\r\n"
    ).encode()
    product.proxies["opensearch"].latency_s = SLOW_S
    try:
        with ExitStack() as leavers:
            for _ in range(LEAVERS):
                leaver = socket.create_connection((address.hostname or "", address.port or 0), timeout=5)
                leavers.enter_context(leaver)
                leaver.sendall(request)
            pause(STAYED_S)
        began = time.monotonic()
        assert "incidents" in product.get("/v1/incidents")
        took_s = time.monotonic() - began
    finally:
        product.proxies["opensearch"].restore()
    assert took_s < AT_ONCE_S
