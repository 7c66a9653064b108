"""Bounds one call of the model's server in time and size, against any behaviour of the server.

The transport's timeouts are per read: a server that drips headers or body would hold a worker indefinitely.
"""

import os
import socket
import ssl
import threading
from collections.abc import Mapping
from typing import Any, Final, Self

import httpx2  # openai's own transport

CONNECTED: Final = "connection.connect_tcp.complete"


class BoundedCall:
    """One HTTP client for one call; at the deadline its connection is shut down, which wakes any read.

    The body of an error is never read: servers quote keys and prompts in it.
    """

    def __init__(self, *, deadline_s: float, tls: ssl.SSLContext) -> None:
        self.expired = threading.Event()
        self._connections: list[socket.socket] = []
        self._timer = threading.Timer(deadline_s, self._expire)
        self._timer.daemon = True
        self.client = httpx2.Client(
            verify=tls,
            timeout=deadline_s,
            headers={"Accept-Encoding": "identity"},  # a small answer must not unpack into a large one
            event_hooks={"request": [self._watch], "response": [_close_when_refused]},
        )

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self.client.close()
        for connection in self._connections:
            connection.close()

    def _watch(self, request: httpx2.Request) -> None:
        request.extensions["trace"] = self._trace

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event == CONNECTED:
            found: socket.socket = info["return_value"].get_extra_info("socket")
            # A descriptor of our own: TLS takes the first one over, and closing must not race with us.
            self._connections.append(socket.socket(fileno=os.dup(found.fileno())))

    def _expire(self) -> None:
        self.expired.set()
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # the server was faster
                continue


def _close_when_refused(response: httpx2.Response) -> None:
    if not response.is_success:
        response.close()
