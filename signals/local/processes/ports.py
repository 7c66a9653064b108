"""Which TCP port a server listens on: the wanted one when free, else another."""

import secrets
import socket

from signals.local.errors import LocalStackError
from signals.ray_node.variables import HOST

FIRST, COUNT = 20_000, 10_000
"""Below the ports that the kernel gives to outgoing connections, and clear of those that Ray's workers,
replicas and dashboard take (10002-19999, 30000-31000, 40000-41000)."""
ATTEMPTS = 200

_given: set[int] = set()
"""By this process: its servers listen only a while after their ports were chosen."""


def is_free(port: int) -> bool:
    """Whether a server could listen on the port of the loopback address now."""
    if is_listening(HOST, port):  # BSD lets two bind when one of them took every address
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """Some free port not given before, chosen by chance so that two stacks starting at once rarely meet.

    Raises:
        LocalStackError: none was found.
    """
    for _ in range(ATTEMPTS):
        port = FIRST + secrets.randbelow(COUNT)
        if port not in _given and is_free(port):
            _given.add(port)
            return port
    raise LocalStackError(
        f"no free port between {FIRST} and {FIRST + COUNT} on {HOST}: stop what is using them"
    )


def is_listening(host: str, port: int, timeout_s: float = 1.0) -> bool:
    """Whether a process accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return True
    except OSError:
        return False
