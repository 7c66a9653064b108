"""Readers that leave before their answer."""

import socket
import time
from typing import Final
from urllib.parse import urlsplit

from tests.product import Product

LEAVERS: Final = 300
APART_S: Final = 0.003
AT_ONCE_S: Final = 1.5  # 4 s when each search was carried on for nobody, 0.03 when it was ended (measured)


def test_abandoned_searches_do_not_make_others_wait(product: Product) -> None:
    address = urlsplit(product.environment["CORE_API_URL"])
    request = (
        f"GET /v1/search/events HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"X-API-Key: {product.environment['READ_API_KEY']}\r\n\r\n"
    ).encode()
    for _ in range(LEAVERS):
        with socket.create_connection((address.hostname or "", address.port or 0), timeout=5) as leaver:
            leaver.sendall(request)
            time.sleep(APART_S)
    began = time.monotonic()
    assert "incidents" in product.get("/v1/incidents")
    assert time.monotonic() - began < AT_ONCE_S
