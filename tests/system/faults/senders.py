"""Two ways to send events and learn which were acknowledged: ingest-api and Kafka."""

import http.client
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from urllib.parse import urlsplit
from uuid import UUID

from shared_types import Tenancy, canonicalize, partition_key
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.publisher import OutgoingRecord, Publisher
from signals.errors import DependencyUnavailable
from tests.system.faults.traffic import TrialEvent

REQUEST_TIMEOUT_S: Final = 15.0
RETRIED: Final = frozenset({408, 429, 500, 502, 503, 504})
MAX_RETRY_AFTER_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The result of one attempt. `refused` gives the reason against a retry, `failure` any other reason."""

    acknowledged: frozenset[UUID] = field(default_factory=frozenset)
    refused: str = ""
    failure: str = ""
    retry_after_s: float = 0.0


class Sender(Protocol):
    """Hands events over once."""

    def send(self, events: Sequence[TrialEvent]) -> Answer:
        """Try once; an attempt without an answer acknowledges nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSender:
    """Posts to ingest-api: one event as a single, several as a batch."""

    url: str
    api_key: str = field(repr=False)

    def send(self, events: Sequence[TrialEvent]) -> Answer:
        """Post once and read the verdicts."""
        try:
            status, retry_after_s, body = self._post(events)
        except (OSError, http.client.HTTPException) as error:
            return Answer(failure=type(error).__name__)  # unknown outcome: the same ids are sent again
        ids = [event.event_id for event in events]
        results = body.get("results")
        if status in (202, 207, 503) and isinstance(results, list) and len(results) == len(ids):
            words = [result["status"] for result in results]
            accepted = frozenset(event_id for event_id, word in zip(ids, words, strict=True) if word in _DONE)
            rejected = [json.dumps(result) for result in results if result["status"] == "rejected"]
            return Answer(acknowledged=accepted, refused="; ".join(rejected[:1]), retry_after_s=retry_after_s)
        if status == http.HTTPStatus.ACCEPTED:
            return Answer(acknowledged=frozenset(ids))
        if status in RETRIED:
            return Answer(retry_after_s=retry_after_s, failure=f"{status}: {json.dumps(body)[:300]}")
        return Answer(refused=f"{status}: {json.dumps(body)[:300]}")

    def _post(self, events: Sequence[TrialEvent]) -> tuple[int, float, dict[str, Any]]:
        single = len(events) == 1
        path = "/v1/events" if single else "/v1/events/batch"
        body = events[0].body if single else [event.body for event in events]
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=REQUEST_TIMEOUT_S)
        headers = {"X-API-Key": self.api_key, "Content-Type": "application/json"}
        try:
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        wait = answer.headers.get("Retry-After", "0")
        try:
            decoded = json.loads(text)
        except ValueError:
            decoded = {"text": text.decode("utf-8", "replace")}  # HAProxy's own pages
        retry_after_s = min(float(wait), MAX_RETRY_AFTER_S) if wait.isdigit() else 0.0
        return answer.status, retry_after_s, decoded if isinstance(decoded, dict) else {}


_DONE: Final = frozenset({"accepted", "duplicate"})


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSender:
    """Publishes as ingest-api would; for tests of the consumers alone."""

    publisher: Publisher
    tenancy: Tenancy

    def send(self, events: Sequence[TrialEvent]) -> Answer:
        """Publish once and wait for the broker."""
        now = datetime.now(UTC)
        envelopes = [
            canonicalize(event.body, tenancy=self.tenancy, received_at=now, event_id=event.event_id)
            for event in events
        ]
        records = [OutgoingRecord(key=partition_key(e).encode(), value=e.to_json()) for e in envelopes]
        try:
            self.publisher.publish_and_wait(RAW_TOPIC, records)
        except DependencyUnavailable:
            return Answer()
        return Answer(acknowledged=frozenset(event.event_id for event in events))
