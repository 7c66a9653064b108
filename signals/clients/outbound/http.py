"""POSTs JSON to a checked address: no redirect, no proxy of the environment, one deadline, a small answer."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore2

from signals.clients.http_answers import may_succeed_later, retry_after_of
from signals.clients.outbound.guard import (
    AddressRefused,
    Deadline,
    DeadlineHolder,
    GuardedBackend,
    HostUnknown,
)
from signals.domain.notifications.addresses import AllowList
from signals.domain.notifications.delivery import DeliveryResult

MAX_ANSWER_BYTES: Final = 65_536  # guess: the answers that are read have some 2 KiB
KEPT_S: Final = 1.0  # for bursts; shorter than servers keep idle connections, so that none closes in our way
GONE: Final = 410  # Standard Webhooks: the receiver wants no more


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """A whole answer; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after(self) -> timedelta | None:
        """How long the server asks to wait."""
        return retry_after_of(self.headers)


class OutboundHttp:
    """Sends one request a connection, but inside of `keeping`; may be used by several threads."""

    def __init__(self, allowed: AllowList, tls: ssl.SSLContext, *, timeout_s: float) -> None:
        self._tls = tls
        self._timeout_s = timeout_s
        self._holder = DeadlineHolder()
        self._backend = GuardedBackend(allowed, self._holder)
        self._kept: httpcore2.ConnectionPool | None = None

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Keep connections open for a moment inside the block: the next request finds a checked one.

        It goes to the address that was checked when it was made, under the same host, port and TLS name.
        """
        with self._pool(max_connections=None, keepalive_expiry=KEPT_S) as pool:
            self._kept = pool
            try:
                yield
            finally:
                self._kept = None

    def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> HttpAnswer | DeliveryResult:
        """Return the answer, or how the attempt failed before there was one.

        The text of a failure names neither the path nor a header: both hold secrets.
        """
        try:
            return self._post(url, content, headers)
        except AddressRefused as error:
            return DeliveryResult(state="refused", error=str(error))
        except HostUnknown as error:
            return DeliveryResult(state="retry", error=str(error))
        except httpcore2.TimeoutException as error:
            is_sent = not isinstance(error, httpcore2.ConnectTimeout)
            words = f"no whole answer within {self._timeout_s:g} s"
            return DeliveryResult(state="retry", error=words, is_uncertain=is_sent)
        except httpcore2.ConnectError as error:
            return DeliveryResult(state="retry", error=_why_not_connected(error))
        except (httpcore2.NetworkError, httpcore2.ProtocolError):
            words = "the connection broke off before an answer"
            return DeliveryResult(state="retry", error=words, is_uncertain=True)

    def _post(self, url: str, content: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        self._holder.deadline = Deadline.within(self._timeout_s)
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_s)
        kept = self._kept
        sent = {
            "Host": urlsplit(url).netloc,
            "Content-Type": "application/json",
            "User-Agent": "customer-signals-copilot",
            "Accept-Encoding": "identity",  # a small answer must not unpack into a large one
            "Connection": "close" if kept is None else "keep-alive",
            **headers,
        }
        with (
            self._pool() if kept is None else nullcontext(kept) as pool,
            pool.stream(
                "POST", url, headers=list(sent.items()), content=content, extensions={"timeout": timeouts}
            ) as answer,
        ):
            body = bytearray()
            for chunk in answer.iter_stream():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    break
            found = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers
            }
            return HttpAnswer(status=answer.status, headers=found, body=bytes(body[:MAX_ANSWER_BYTES]))

    def _pool(self, **limits: Any) -> httpcore2.ConnectionPool:
        return httpcore2.ConnectionPool(
            ssl_context=self._tls, network_backend=self._backend, retries=0, **limits
        )


def by_status(answer: HttpAnswer) -> DeliveryResult:
    """Say what a status means: 2xx told, 3xx and most of 4xx refused, the rest later. No body is quoted."""
    status = answer.status
    if 200 <= status < 300:
        return DeliveryResult(state="told", status=status)
    if may_succeed_later(status):
        error = f"it answered {status}"
        return DeliveryResult(
            state="retry",
            status=status,
            error=error,
            retry_after=answer.retry_after,
            is_uncertain=status >= 500,  # a proxy's answer, or a fault after the message was taken
        )
    if 300 <= status < 400:
        error = f"it answered {status}: redirects are not followed; set the address behind it"
    else:
        error = f"it answered {status}; check the address and the credentials of the destination"
    return DeliveryResult(state="refused", status=status, error=error, is_gone=status == GONE)


def _why_not_connected(error: Exception) -> str:
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "its certificate is not trusted, or is for another host"
    return "the connection failed"
