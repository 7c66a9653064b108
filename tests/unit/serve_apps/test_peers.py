"""The address that limits of attempts go by."""

import pytest
from starlette.requests import Request

from serve_apps.http.peers import peer_of
from signals.ray_node.haproxy import PEER_HEADER


@pytest.mark.parametrize(
    ("proxies", "forwarded", "counted"),
    [
        (0, [], "10.0.3.4"),
        (0, ["198.51.100.1"], "10.0.3.4"),  # invented by the client
        (1, [], "10.0.3.4"),
        (1, [""], "10.0.3.4"),
        (1, ["198.51.100.1"], "198.51.100.1"),
        (1, ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        (1, ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        (2, ["6.6.6.6, 198.51.100.1, 10.0.9.9"], "198.51.100.1"),
        (2, ["10.0.9.9"], "10.0.3.4"),  # one of both was passed by
    ],
)
def test_address_is_the_clients_and_cannot_be_invented(
    proxies: int, forwarded: list[str], counted: str
) -> None:
    headers = [(PEER_HEADER.encode(), b"10.0.3.4")]
    headers += [(b"x-forwarded-for", value.encode()) for value in forwarded]
    request = Request({"type": "http", "headers": headers, "client": ("6.6.6.6", 4711)})
    assert peer_of(request, proxies) == counted


def test_address_is_the_connections_without_haproxy() -> None:
    request = Request({"type": "http", "headers": [], "client": ("127.0.0.1", 4711)})
    assert peer_of(request, 0) == "127.0.0.1"
