"""POSTs JSON to a checked address: no redirect, no proxy of the environment, one deadline, a small answer."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

import httpcore2

from signals.clients.http_answers import may_succeed_later, retry_after_of
from signals.clients.outbound.guard import AddressRefused, Deadline, GuardedBackend, HostUnknown
from signals.domain.notifications.addresses import AllowList
from signals.domain.notifications.delivery import DeliveryResult

MAX_ANSWER_BYTES: Final = 65_536  # guess: the answers that are read have some 2 KiB
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
    """Sends one request a connection; may be used by several threads."""

    def __init__(self, allowed: AllowList, tls: ssl.SSLContext, *, timeout_s: float) -> None:
        self._allowed = allowed
        self._tls = tls
        self._timeout_s = timeout_s

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
        except httpcore2.TimeoutException:
            return DeliveryResult(state="retry", error=f"no whole answer within {self._timeout_s:g} s")
        except httpcore2.ConnectError as error:
            return DeliveryResult(state="retry", error=_why_not_connected(error))
        except (httpcore2.NetworkError, httpcore2.ProtocolError):
            return DeliveryResult(state="retry", error="the connection broke off before an answer")

    def _post(self, url: str, content: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        deadline = Deadline.within(self._timeout_s)
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_s)
        sent = {
            "Host": urlsplit(url).netloc,
            "Content-Type": "application/json",
            "User-Agent": "customer-signals-copilot",
            "Accept-Encoding": "identity",  # a small answer must not unpack into a large one
            "Connection": "close",
            **headers,
        }
        with (
            httpcore2.ConnectionPool(
                ssl_context=self._tls, network_backend=GuardedBackend(self._allowed, deadline), retries=0
            ) as pool,
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


def by_status(answer: HttpAnswer) -> DeliveryResult:
    """Say what a status means: 2xx told, 3xx and most of 4xx refused, the rest later. No body is quoted."""
    status = answer.status
    if 200 <= status < 300:
        return DeliveryResult(state="told", status=status)
    if may_succeed_later(status):
        error = f"it answered {status}"
        return DeliveryResult(state="retry", status=status, error=error, retry_after=answer.retry_after)
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
