"""Asynchronous client of ingest-api: one request per batch, retried until every event is settled.

Events carry their ids, so a retry is idempotent. Source: ingest-api's OpenAPI document, RFC 9457.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import orjson

from producers.retry import RETRIED_STATUSES, backoff_s, retry_after_s
from producers.tally import Rejection, SendTally

REQUEST_TIMEOUT_S: Final = 15.0  # ingest-api itself gives up on Kafka sooner
GIVE_UP_AFTER_S: Final = 120.0  # longer than a rolling upgrade of ingest-api takes

_ACCEPTED: Final = frozenset({"accepted", "duplicate"})


class SendRefused(Exception):  # noqa: N818 - reads as what happened
    """Wrong key or wrong address: no retry can help. The text names the variable to set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestEndpoint:
    """The target of the events: ingest-api's base URL and a project's key with scope `ingest`."""

    url: str
    api_key: str

    def __repr__(self) -> str:
        return f"Endpoint(url={self.url!r}, api_key=<hidden>)"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int | None
    """None when no answer came at all."""
    body: dict[str, Any]
    retry_after_s: float
    trouble: str


class IngestClient:
    """Sends batches and counts the results of their events.

    `stop` ends waiting for another attempt: unsettled events then stay unsettled.
    """

    def __init__(
        self,
        endpoint: IngestEndpoint,
        tally: SendTally,
        stop: asyncio.Event,
        *,
        request_timeout_s: float = REQUEST_TIMEOUT_S,
        give_up_after_s: float = GIVE_UP_AFTER_S,
    ) -> None:
        self._endpoint = endpoint
        self._tally = tally
        self._stop = stop
        self._give_up_after_s = give_up_after_s
        self._chance = Random()
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=request_timeout_s),
            headers={
                "Authorization": f"Bearer {endpoint.api_key}",
                "Content-Type": "application/json",
                "Accept-Encoding": "identity",  # results are read once: to compress them costs both sides
            },
            connector=aiohttp.TCPConnector(limit=0),  # the caller bounds the concurrency
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def deliver(self, bodies: Sequence[bytes]) -> bool:
        """Send events until each is accepted or rejected; return whether all were settled.

        Raises Refused when no retry could help any event.
        """
        self._tally.sent += len(bodies)
        deadline_s = time.monotonic() + self._give_up_after_s
        pending, attempt = list(bodies), 1
        while True:
            answer = await self._post(pending)
            pending = self._settle(pending, answer)
            if not pending:
                self._tally.trouble = None
                return True
            self._tally.trouble = answer.trouble
            wait_s = max(answer.retry_after_s, backoff_s(attempt, self._chance))
            if time.monotonic() + wait_s > deadline_s or await self._is_stopped_within(wait_s):
                return False
            self._tally.retries += 1
            attempt += 1

    async def _post(self, bodies: Sequence[bytes]) -> _Answer:
        began_s = time.monotonic()
        try:
            async with self._session.post(
                f"{self._endpoint.url.rstrip('/')}/v1/events/batch", data=b"[" + b",".join(bodies) + b"]"
            ) as response:
                content = await response.read()
        except TimeoutError:
            return _Answer(None, {}, 0.0, f"no answer within {self._session.timeout.total:g} s")
        except aiohttp.InvalidURL as error:
            raise SendRefused(f"{self._endpoint.url} is not a URL; set INGEST_API_URL.") from error
        except (aiohttp.ClientError, OSError) as error:
            return _Answer(None, {}, 0.0, f"{type(error).__name__}: {error}")
        self._tally.latencies_s.append(time.monotonic() - began_s)
        wait_s = retry_after_s(response.headers.get("Retry-After"), datetime.now(UTC))
        return _Answer(response.status, _json_object(content), wait_s, f"HTTP {response.status}")

    def _settle(self, pending: list[bytes], answer: _Answer) -> list[bytes]:
        """Count the settled events and return those that need another attempt."""
        results = answer.body.get("results")
        if isinstance(results, list) and len(results) == len(pending):
            return [body for body, result in zip(pending, results, strict=True) if not self._count(result)]
        if answer.status is None or answer.status in RETRIED_STATUSES:
            return pending
        reason = str(answer.body.get("detail") or answer.body.get("title") or answer.trouble)
        if answer.status in {401, 403}:
            raise SendRefused(
                f"ingest-api refused the key ({answer.trouble}: {reason}); set PROJECT_API_KEY."
            )
        if answer.status < 400 or answer.status in {404, 405}:
            raise SendRefused(
                f"{self._endpoint.url} is not an ingest-api ({answer.trouble}); set INGEST_API_URL."
            )
        self._tally.reject(Rejection(f"http_{answer.status}", None, reason), len(pending))
        return []

    def _count(self, result: dict[str, Any]) -> bool:
        """Count one event's verdict; False when the event must be sent again."""
        if result.get("status") in _ACCEPTED:
            self._tally.accepted += 1
        elif result.get("status") == "rejected":
            message = str(result.get("message") or "no reason given")
            self._tally.reject(Rejection(str(result.get("code")), result.get("field"), message))
        else:
            return False
        return True

    async def _is_stopped_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return False
        return True


def _json_object(content: bytes) -> dict[str, Any]:
    """Return a body as a JSON object, empty when malformed: the status then decides alone."""
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}
