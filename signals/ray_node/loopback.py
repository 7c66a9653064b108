"""Closes the one port that Ray Serve opens to the network even on a node that lives on loopback."""

from typing import Any, Final

import ray
from ray.serve._private import replica

LOOPBACK: Final = "127.0.0.1"


def listen_on_loopback_only() -> None:
    """Keep the port for calls between deployments off the network, if the node is; elsewhere do nothing.

    To be called in a deployment's constructor: Serve opens the port after it, hard-coded on every address
    (ray.serve._private.replica, `_on_initialized` of 2.60). A test looks at all open ports of a node.
    """
    serve: Any = replica  # neither exported nor typed
    node_ip: Any = ray.util.get_node_ip_address
    if node_ip() != LOOPBACK:
        return
    open_port = serve.add_port_to_grpc_server
    serve.add_port_to_grpc_server = lambda server, _: open_port(server, f"{LOOPBACK}:0")
