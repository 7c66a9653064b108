"""The indexer's loop body: read a batch, have its documents created, then settle it.

While OpenSearch works on some batches the next one is read and decoded; they are settled in order.
"""

from collections import deque
from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, NamedTuple

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.kafka import INDEXER_GROUP
from signals.clients.kafka.publisher import Publisher
from signals.clients.postgres import Connection
from signals.domain.events.sightings import SightingReader
from signals.domain.findings.labels import LabelPolicy
from signals.domain.operations.dead_letter_limits import MAX_SHARE
from signals.services.consuming import ConsumerSession, Membership
from signals.services.indexing.batch import DocumentBatch
from signals.services.indexing.bulk import Writer
from signals.services.indexing.labelling import Labeller
from signals.settings import KafkaSettings
from signals.store.operations.offsets import StoredOffset

GROUP: Final = INDEXER_GROUP
MAX_BATCH: Final = 2_000
GATHER_S: Final = 0.1  # guess: small against the second until a refresh; a batch costs as much as 100 records
WRITERS: Final = 2  # OpenSearch works on one bulk while the other's answer is read
MAX_IN_FLIGHT: Final = WRITERS + 1  # and one that is ready for the next free writer

log = structlog.get_logger(__name__)


class _InFlightBatch(NamedTuple):
    """A batch on its way, and the future that ends when every document of it is settled."""

    batch: DocumentBatch
    written: Future[None]


class EventIndexer(ConsumerSession):
    """One member of the indexer's consumer group, used by one thread.

    Documents are keyed by event id, so reading a batch again creates nothing twice.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        pool: ConnectionPool[Connection],
        writer: Writer,
        publisher: Publisher,
        *,
        tick_s: float,
        dlq_max_share: float = MAX_SHARE,
        labels: LabelPolicy | None = None,
    ) -> None:
        membership = Membership(group=GROUP, tick_s=tick_s, dlq_max_share=dlq_max_share)
        super().__init__(kafka, pool, publisher, membership)
        self._writer = writer
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="bulk")
        self._in_flight: deque[_InFlightBatch] = deque()
        self._read_until: dict[int, int] = {}
        self._reader = SightingReader()
        self._labeller = Labeller(labels or LabelPolicy())

    def __exit__(self, *_: object) -> None:
        self._in_flight.clear()  # the next owner reads them again and finds them in the index
        self._writers.shutdown(cancel_futures=True)
        super().__exit__()

    def step(self, timeout_s: float) -> int:
        """Send one batch on its way, waiting up to `timeout_s` for it, and settle what is written.

        Returns how many records were read.

        Raises:
            Fenced: when another consumer moved the offsets meanwhile; the index stays correct.
            DependencyUnavailable: when it could not be settled; the next session reads it again.
            TooManyDeadLetters: when most of a partition's newest records are refused; none was dead-lettered.
        """
        patience_s = min(GATHER_S, timeout_s) if self._in_flight else timeout_s
        records = self._consumer.poll(MAX_BATCH, patience_s, gather_s=GATHER_S)
        batch = DocumentBatch(self._read_until.keys(), self._reader, self._labeller)
        batch.add_all(records)
        if batch.next_offsets:
            self._read_until |= batch.next_offsets
            self._in_flight.append(_InFlightBatch(batch, self._writers.submit(self._writer.write, batch)))
        while self._in_flight and (
            self._in_flight[0].written.done() or len(self._in_flight) >= MAX_IN_FLIGHT
        ):
            self._settle(self._in_flight.popleft())
        if reached := self.reached_barriers(self._read_until):
            self.complete(reached)
        return len(records)

    def _settle(self, in_flight: _InFlightBatch) -> None:
        in_flight.written.result()
        batch = in_flight.batch
        with self.settling(batch.next_offsets, dead_letters=batch.dead_letters, entries=batch.entries()):
            pass  # the documents are in the index already
        if batch.dead_letters:
            log.warning("records set aside", dead=len(batch.dead_letters))

    def _gained(self, stored: Mapping[int, StoredOffset]) -> Mapping[int, int]:
        starts = {partition: offset.next_offset for partition, offset in stored.items()}
        self._read_until |= starts
        return starts

    def _lost(self, partitions: Collection[int]) -> None:
        while self._in_flight:  # while the partitions are still ours; fenced when they are not
            self._settle(self._in_flight.popleft())
        for number in partitions:
            self._read_until.pop(number, None)
