"""The indexer's loop body: read a batch, create its documents, then move the offset by compare-and-set."""

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Self

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.kafka import INDEXER_GROUP, RAW_TOPIC
from signals.clients.kafka.consumer import Ownership, PartitionConsumer
from signals.clients.kafka.dead_letters import bury, offsets_by_partition
from signals.clients.kafka.publisher import Publisher
from signals.clients.opensearch.connection import Client
from signals.clients.opensearch.index import Verdict, bulk_create, stored
from signals.clients.postgres import Connection, transaction
from signals.domain.dead_letter_limits import MAX_SHARE, DeadLetterLimits
from signals.domain.watermark import Barriers
from signals.errors import DependencyUnavailable
from signals.services.indexing.batch import Batch
from signals.services.indexing.documents import Document, bulks, origin_of
from signals.settings import KafkaSettings
from signals.store import dead_letter_windows, ledger, offsets
from signals.store.offsets import OffsetMove

GROUP: Final = INDEXER_GROUP
MAX_BATCH: Final = 2_000
RETRIES: Final = 6  # of overloaded documents, 0.5 s to 8 s apart; then the session starts over
FIRST_PAUSE_S: Final = 0.5
MAX_PAUSE_S: Final = 8.0

log = structlog.get_logger(__name__)


class Indexing:
    """One member of the indexer's consumer group, used by one thread.

    Documents are keyed by event id, so reading a batch again creates nothing twice. On `Fenced` or
    `DependencyUnavailable` leave the context and enter a new one.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        pool: ConnectionPool[Connection],
        client: Client,
        publisher: Publisher,
        *,
        stopping: threading.Event,
        tick_s: float,
        dlq_max_share: float = MAX_SHARE,
    ) -> None:
        self._pool = pool
        self._client = client
        self._publisher = publisher
        self._stopping = stopping
        self._tick_s = tick_s
        self._next_tick = 0.0
        self._next_offsets: dict[int, int] = {}
        self._barriers = Barriers()
        self._limits = DeadLetterLimits(dlq_max_share)
        self._partition_count = 0
        ownership = Ownership(gained=self._gained, lost=self._lost)
        self._consumer = PartitionConsumer(kafka, group=GROUP, topic=RAW_TOPIC, ownership=ownership)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def owned(self) -> list[int]:
        """Return the partitions owned now, ascending."""
        return sorted(self._next_offsets)

    def lag(self) -> int:
        """Return how many records are accepted but not searchable yet, over the owned partitions.

        Raises:
            DependencyUnavailable: when the broker does not answer.
        """
        return sum(
            max(0, self._consumer.log_range(number)[1] - next_offset)
            for number, next_offset in self._next_offsets.items()
        )

    def step(self, timeout_s: float) -> int:
        """Index one batch, waiting up to `timeout_s` for it; return its records.

        Raises:
            Fenced: when somebody else moved the offsets meanwhile; what is in the index stays right.
            DependencyUnavailable: when it could not be settled; the next session reads it again.
            TooManyDeadLetters: when most of a partition's newest records are refused; none was buried.
        """
        records = self._consumer.poll(MAX_BATCH, timeout_s)
        batch = Batch(self._next_offsets)
        batch.add_all(records)
        if moves := batch.moves():
            for bulk in bulks(batch.documents):
                self._create(bulk, batch)
            self._settle(batch, moves)
        if time.monotonic() >= self._next_tick:
            self._next_tick = time.monotonic() + self._tick_s
            self._raise_barriers()
        if reached := self._barriers.take_reached(self._next_offsets):
            with transaction(self._pool) as connection:
                offsets.complete(connection, group=GROUP, topic=RAW_TOPIC, reached=reached)
        return len(records)

    def _create(self, documents: Sequence[Document], batch: Batch) -> None:
        pause_s, retries = FIRST_PAUSE_S, 0
        while documents:
            overloaded, again = self._try(documents, batch)
            documents = [*overloaded, *again]
            if not overloaded:
                continue
            retries += 1
            if retries > RETRIES or self._stopping.wait(pause_s):
                raise DependencyUnavailable(
                    "OpenSearch", f"{len(documents)} documents meet overload again and again"
                )
            pause_s = min(2 * pause_s, MAX_PAUSE_S)

    def _try(self, documents: Sequence[Document], batch: Batch) -> tuple[list[Document], list[Document]]:
        """Send one bulk; return what met overload, and what is to be tried again reduced."""
        overloaded: list[Document] = []
        again: list[Document] = []
        existing: list[Document] = []
        results = bulk_create(self._client, [(d.document_id, d.source) for d in documents])
        for document, result in zip(documents, results, strict=True):
            if result.verdict is Verdict.CREATED:
                batch.settle(document, "indexed")
            elif result.verdict is Verdict.EXISTS:
                existing.append(document)
            elif result.verdict is Verdict.OVERLOADED:
                overloaded.append(document)
            elif document.whole:
                again.append(document.reduced())
            else:
                batch.refuse(document, result.error)
        again += self._tell_apart(existing, batch)
        return overloaded, again

    def _tell_apart(self, documents: Sequence[Document], batch: Batch) -> list[Document]:
        """Settle documents whose id exists: made of this very record before a crash, or a duplicate.

        An id may also be another project's; nobody must hide an event by sending its id first. Those are
        returned to be created under an id of their own.
        """
        found = stored(self._client, [d.document_id for d in documents]) if documents else {}
        again = []
        for document in documents:
            there = found.get(document.document_id)
            if there is None:  # deleted meanwhile
                again.append(document)
            elif there.project_id != document.event.project_id:
                again.append(document.apart())
            else:
                is_own = there.origin == origin_of(document.record)
                batch.settle(document, "indexed" if is_own else "duplicate")
        return again

    def _settle(self, batch: Batch, moves: Sequence[OffsetMove]) -> None:
        windows = self._limits.admit(offsets_by_partition(batch.dead_letters))
        bury(self._publisher, batch.dead_letters)
        with transaction(self._pool) as connection:
            offsets.advance(connection, group=GROUP, topic=RAW_TOPIC, moves=moves)
            dead_letter_windows.keep(connection, group=GROUP, topic=RAW_TOPIC, windows=windows)
            ledger.add(connection, batch.entries)
        self._limits.remember(windows)
        self._next_offsets |= batch.next_offsets
        self._consumer.commit(batch.next_offsets)
        if batch.dead_letters:
            log.warning("records set aside", dead=len(batch.dead_letters))

    def _raise_barriers(self) -> None:
        """Note where the log ends now, and which partitions there are."""
        noted_at = datetime.now(UTC)
        partitions = range(self._consumer.partition_count())
        if len(partitions) != self._partition_count:
            with transaction(self._pool) as connection:
                offsets.ensure(connection, group=GROUP, topic=RAW_TOPIC, partitions=partitions)
            self._partition_count = len(partitions)
        self._barriers.note(noted_at, self._consumer.log_ends(self._next_offsets))

    def _gained(self, partitions: Collection[int]) -> Mapping[int, int]:
        with transaction(self._pool) as connection:
            stored = offsets.load(connection, group=GROUP, topic=RAW_TOPIC, partitions=partitions)
            windows = dead_letter_windows.load(
                connection, group=GROUP, topic=RAW_TOPIC, partitions=partitions
            )
        self._limits.remember(windows)
        starts = {
            number: self._consumer.resume(number, offset.next_offset) for number, offset in stored.items()
        }
        gaps = [
            OffsetMove(partition=number, expected_offset=offset.next_offset, next_offset=starts[number])
            for number, offset in stored.items()
            if starts[number] != offset.next_offset
        ]
        if gaps:
            with transaction(self._pool) as connection:
                offsets.advance(connection, group=GROUP, topic=RAW_TOPIC, moves=gaps)
        self._next_offsets |= starts
        log.info("partitions gained", partitions=sorted(starts))
        return starts

    def _lost(self, partitions: Collection[int]) -> None:
        for number in partitions:
            self._next_offsets.pop(number, None)
        self._barriers.forget(partitions)
        log.info("partitions lost", partitions=sorted(partitions))
