"""Copies accepted events into OpenSearch; the offset moves when every document is settled."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import orjson
import structlog

from shared_types import InvalidEvent, parse_envelope
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.consumer import Ownership, PartitionConsumer, Record
from signals.clients.kafka.dead_letters import DeadLetter, bury, not_an_event
from signals.clients.kafka.publisher import Publisher
from signals.clients.opensearch.connection import Client
from signals.clients.opensearch.index import INDEXED_ATTRIBUTES, ItemResult, Verdict, bulk_create
from signals.errors import DependencyUnavailable
from signals.settings import KafkaSettings

GROUP: Final = "signals-indexer"
STAGE: Final = "indexer"
MAX_BATCH: Final = 2_000
MAX_BULK_BYTES: Final = 4 * 1024 * 1024  # guess: a few hundred typical events are far below
RETRIES: Final = 6  # of overloaded documents, 0.5 s to 8 s apart; then the session starts over
FIRST_PAUSE_S: Final = 0.5
MAX_PAUSE_S: Final = 8.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """An event on its way into the index; `whole` until OpenSearch has refused it once."""

    event_id: str
    record: Record
    source: bytes
    whole: bool = True

    def reduced(self) -> "_Document":
        """Return it without what a mapping could refuse; the whole event stays beside it, as text.

        An attribute named `route.x`, for one, clashes with the keyword `route`.
        """
        event = orjson.loads(self.source)
        attributes = {
            name: value for name, value in event["attributes"].items() if name in INDEXED_ATTRIBUTES
        }
        copy = event | {"attributes": attributes, "payload": {}, "original": self.source.decode()}
        return replace(self, source=orjson.dumps(copy), whole=False)


class Indexing:
    """One member of the indexer's consumer group, used by one thread.

    Delivery is at least once and documents are keyed by event id, so each event is there exactly once.
    """

    def __init__(
        self, kafka: KafkaSettings, client: Client, publisher: Publisher, *, stopping: threading.Event
    ) -> None:
        self._client = client
        self._publisher = publisher
        self._stopping = stopping
        ownership = Ownership(gained=lambda _: {}, lost=lambda _: None)
        self._consumer = PartitionConsumer(kafka, group=GROUP, topic=RAW_TOPIC, ownership=ownership)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def owned(self) -> list[int]:
        """Return the partitions owned now, ascending."""
        return self._consumer.owned()

    def lag(self) -> int:
        """Return how many records are accepted but not searchable yet, over the owned partitions.

        Raises:
            DependencyUnavailable: when the broker does not answer.
        """
        behind = self._consumer.committed()
        return sum(max(0, self._consumer.log_range(number)[1] - behind[number]) for number in self.owned())

    def step(self, timeout_s: float) -> int:
        """Index one batch, waiting up to `timeout_s` for it; return its records.

        Raises:
            DependencyUnavailable: when it could not be settled; the next session reads it again.
        """
        records = self._consumer.poll(MAX_BATCH, timeout_s)
        if not records:
            return 0
        dead: list[DeadLetter] = []
        for bulk in _bulks(records, dead):
            self._settle(bulk, dead)
        if dead:
            bury(self._publisher, dead)
            log.warning("records set aside", dead=len(dead))
        self._consumer.commit({record.partition: record.offset + 1 for record in records})
        return len(records)

    def _settle(self, documents: Sequence[_Document], dead: list[DeadLetter]) -> None:
        pause_s, retries = FIRST_PAUSE_S, 0
        while documents:
            results = bulk_create(self._client, [(d.event_id, d.source) for d in documents])
            again: list[_Document] = []
            overloaded = False
            for document, result in zip(documents, results, strict=True):
                if result.verdict is Verdict.OVERLOADED:
                    overloaded = True
                    again.append(document)
                elif result.verdict is Verdict.REFUSED and document.whole:
                    again.append(document.reduced())
                elif result.verdict is Verdict.REFUSED:
                    dead.append(_refused(document.record, result))
            documents = again
            if not overloaded:
                continue
            retries += 1
            if retries > RETRIES or self._stopping.wait(pause_s):
                raise DependencyUnavailable(
                    "OpenSearch", f"{len(documents)} documents meet overload again and again"
                )
            pause_s = min(2 * pause_s, MAX_PAUSE_S)


def _bulks(records: Sequence[Record], dead: list[DeadLetter]) -> Iterator[list[_Document]]:
    """Cut records into bulks of bounded size; what is no event goes to `dead`."""
    bulk: list[_Document] = []
    size = 0
    for record in records:
        try:
            event_id = str(parse_envelope(record.value).event_id)
        except InvalidEvent as error:
            dead.append(not_an_event(record, STAGE, error))
            continue
        if bulk and size + len(record.value) > MAX_BULK_BYTES:
            yield bulk
            bulk, size = [], 0
        bulk.append(_Document(event_id=event_id, record=record, source=record.value))
        size += len(record.value)
    if bulk:
        yield bulk


def _refused(record: Record, result: ItemResult) -> DeadLetter:
    return DeadLetter(record=record, stage=STAGE, error="document_refused", reason=result.error)
