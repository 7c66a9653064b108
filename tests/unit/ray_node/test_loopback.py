"""Serve's port for calls between deployments is closed on a laptop only."""

from typing import Any

import pytest
import ray
from ray.serve._private import replica

from signals.ray_node.loopback import listen_on_loopback_only


@pytest.mark.parametrize(("node_ip", "address"), [("127.0.0.1", "127.0.0.1:0"), ("10.88.0.7", "[::]:0")])
def test_only_a_node_on_loopback_is_closed(
    monkeypatch: pytest.MonkeyPatch, node_ip: str, address: str
) -> None:
    opened: list[str] = []

    def add_port(_: Any, where: str) -> None:
        opened.append(where)

    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: node_ip)
    monkeypatch.setattr(replica, "add_port_to_grpc_server", add_port)
    listen_on_loopback_only()
    serve: Any = replica
    serve.add_port_to_grpc_server(None, "[::]:0")
    assert opened == [address]
