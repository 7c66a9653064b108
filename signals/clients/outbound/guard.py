"""Opens connections to checked addresses only: one look-up, and a connection to the very address it gave."""

import socket
import ssl
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import httpcore2

from signals.domain.notifications.addresses import AllowList, parse_address, refusal

CONNECT_S: Final = 2.0  # guess: a host that does not accept by then is away
NOT_SENT: Final = "the host could not be reached"


class AddressRefused(Exception):  # noqa: N818  # reads as what happened
    """The address may not be connected to; the text says why, and names neither path nor secret."""


class HostUnknown(Exception):  # noqa: N818  # likewise
    """The name of the host could not be resolved; a later attempt may succeed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """The instant (monotonic, s) at which a send is over, however slowly bytes arrive."""

    at: float

    @classmethod
    def within(cls, seconds: float) -> "Deadline":
        """Return the deadline so many seconds from now."""
        return cls(at=time.monotonic() + seconds)

    def left(self, at_most: float | None = None) -> float:
        """Return the seconds left.

        Raises:
            TimeoutError: when none are.
        """
        left = self.at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time for one message is over")
        return left if at_most is None else min(left, at_most)


def resolve(host: str, port: int, allowed: AllowList) -> str:
    """Return the address to connect to, after one look-up of which every answer was checked.

    Raises:
        AddressRefused: when an answer is private, local or reserved, and not allowed.
        HostUnknown: when there is no answer.
    """
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise HostUnknown(f"the host {host[:100]} cannot be resolved") from error
    addresses = [str(answer[4][0]) for answer in answers]
    reason = refusal(host, (parse_address(one) for one in addresses), allowed)
    if reason is not None:
        raise AddressRefused(reason)
    return addresses[0]


class DeadlineHolder(threading.local):
    """The deadline of the calling thread's request: a kept connection serves one after the other."""

    deadline: Deadline


class GuardedBackend(httpcore2.NetworkBackend):
    """httpcore's way to the network, through `resolve` and within the deadline of the calling thread."""

    def __init__(self, allowed: AllowList, holder: DeadlineHolder) -> None:
        self._allowed = allowed
        self._holder = holder

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to a checked address of the host."""
        del local_address, socket_options
        address = resolve(host, port, self._allowed)
        connected = httpcore2.SyncBackend().connect_tcp(
            address,
            port,
            timeout=_left(self._holder, min(timeout or CONNECT_S, CONNECT_S)),
            socket_options=(),
        )
        return _BoundedStream(connected, self._holder)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore2.NetworkStream:
        """Refuse: no destination is a file of ours."""
        raise AddressRefused("a file is no destination")


class _BoundedStream(httpcore2.NetworkStream):
    """Gives each read and write what is left of the deadline, so that a drip cannot prolong it."""

    def __init__(self, stream: httpcore2.NetworkStream, holder: DeadlineHolder) -> None:
        self._stream = stream
        self._holder = holder

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, timeout=_left(self._holder, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout=_left(self._holder, timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        within = _left(self._holder, timeout)
        return _BoundedStream(self._stream.start_tls(ssl_context, server_hostname, within), self._holder)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(holder: DeadlineHolder, timeout: float | None) -> float:
    try:
        return holder.deadline.left(timeout)
    except TimeoutError as error:
        raise httpcore2.ReadTimeout(str(error)) from error
