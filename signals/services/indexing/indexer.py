"""The indexer's loop body: read a batch, have its documents created, then settle it.

While OpenSearch works on some batches the next one is read and decoded; they are settled in order. No step
waits for OpenSearch longer than it was told to, however late that is.
"""

import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from operator import attrgetter
from typing import Final, NamedTuple

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.kafka import INDEXER_GROUP
from signals.clients.kafka.consumer import Record
from signals.clients.kafka.publisher import Publisher
from signals.clients.opensearch.connection import TOO_SLOW
from signals.clients.postgres import Connection
from signals.domain.events.sightings import SightingReader
from signals.domain.findings.labels import LabelPolicy
from signals.domain.operations.dead_letter_limits import MAX_SHARE
from signals.errors import DependencyTimedOut, DependencyUnavailable
from signals.services.consuming import ConsumerSession, Membership
from signals.services.indexing.batch import DocumentBatch
from signals.services.indexing.bulk import Writer
from signals.services.indexing.bulk_size import SLOW_S
from signals.services.indexing.labelling import Labeller
from signals.settings import KafkaSettings
from signals.store.operations.offsets import StoredOffset

GROUP: Final = INDEXER_GROUP
MAX_BATCH: Final = 2_000
GATHER_S: Final = 0.1  # guess: small against the second until a refresh; a batch costs as much as 100 records
WRITERS: Final = 2  # OpenSearch works on one bulk while the other's answer is read
MAX_IN_FLIGHT: Final = WRITERS + 1  # and one that is ready for the next free writer
PAUSE_AFTER_S: Final = 10.0  # guess: without a poll so long, though a pause drops what was fetched ahead
LET_GO_S: Final = 10.0  # guess: an ordinary batch takes less; the whole group waits meanwhile

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
        self._settled = 0
        self._polled_at = time.monotonic()
        self._is_paused = False
        self._read_until: dict[int, int] = {}
        self._reader = SightingReader()
        self._labeller = Labeller(labels or LabelPolicy())

    def __exit__(self, *_: object) -> None:
        self._in_flight.clear()  # the next owner reads them again and finds them in the index
        self._writer.close()
        try:
            super().__exit__()  # leave first: the group would wait for a late OpenSearch
        finally:
            self._writers.shutdown(cancel_futures=True)

    @property
    def in_flight(self) -> int:
        """How many batches were read and are not settled yet."""
        return len(self._in_flight)

    def detail(self) -> str:
        """Name the bulk that OpenSearch has not answered for longest, or why it takes none; else empty."""
        bulks = [bulk for batch, _ in self._in_flight if (bulk := batch.unanswered) is not None]
        oldest = min(bulks, key=attrgetter("sent_at"), default=None)
        if oldest is None or (waited_s := time.monotonic() - oldest.sent_at) < SLOW_S:
            return str(self._failure() or "")
        return f"OpenSearch has not answered a bulk of {oldest.documents} documents for {waited_s:.0f} s"

    def step(self, timeout_s: float) -> int:
        """Send one batch on its way, or settle the oldest, waiting up to `timeout_s` for either.

        Returns how many records were settled.

        Raises:
            Fenced: when another consumer moved the offsets meanwhile; the index stays correct.
            DependencyUnavailable: when it could not be settled; the next session reads it again.
            TooManyDeadLetters: when most of a partition's newest records are refused; none was dead-lettered.
        """
        if reached := self.reached_barriers(self._read_until):
            self.complete(reached)
        self._send(self._read(timeout_s))
        if self._is_full():
            wait([self._in_flight[0].written], timeout_s)
        if self._in_flight and self._in_flight[0].written.done():
            self._settle_oldest()  # one a step, as its last act: an error would leave it uncounted
        settled, self._settled = self._settled, 0
        return settled

    def _failure(self) -> DependencyUnavailable | None:
        failures = (batch.failure for batch, _ in self._in_flight)
        return next((failure for failure in failures if failure is not None), None)

    def _is_full(self) -> bool:
        return len(self._in_flight) >= MAX_IN_FLIGHT

    def _read(self, timeout_s: float) -> list[Record]:
        """Poll for a batch; while the writers are full read nothing, and stay a member of the group."""
        if self._is_full():
            if not self._is_paused and time.monotonic() - self._polled_at < PAUSE_AFTER_S:
                return []
            self._consumer.pause_reading(self._consumer.owned())
            self._is_paused, timeout_s = True, 0.0
        elif self._is_paused:
            self._consumer.resume_reading(self._consumer.owned())
            self._is_paused = False
        patience_s = min(GATHER_S, timeout_s) if self._in_flight else timeout_s
        records = self._consumer.poll(MAX_BATCH, patience_s, gather_s=GATHER_S)
        self._polled_at = time.monotonic()
        return records

    def _send(self, records: Sequence[Record]) -> None:
        batch = DocumentBatch(self._read_until.keys(), self._reader, self._labeller)
        batch.add_all(records)
        if batch.next_offsets:
            self._read_until |= batch.next_offsets
            self._in_flight.append(_InFlightBatch(batch, self._writers.submit(self._writer.write, batch)))

    def _settle_oldest(self) -> None:
        batch, written = self._in_flight.popleft()
        written.result()
        with self.settling(batch.next_offsets, dead_letters=batch.dead_letters, entries=batch.entries()):
            pass  # the documents are in the index already
        self._settled += batch.records
        if batch.dead_letters:
            log.warning("records set aside", dead=len(batch.dead_letters))

    def _gained(self, stored: Mapping[int, StoredOffset]) -> Mapping[int, int]:
        starts = {partition: offset.next_offset for partition, offset in stored.items()}
        self._read_until |= starts
        return starts

    def _lost(self, partitions: Collection[int]) -> None:
        """Settle what is on its way while the partitions are still ours; fenced when they are not."""
        if wait([in_flight.written for in_flight in self._in_flight], LET_GO_S).not_done:
            raise self._failure() or DependencyTimedOut("OpenSearch", TOO_SLOW)
        while self._in_flight:
            self._settle_oldest()
        if self._is_paused:  # else they would still be paused when they come back
            self._consumer.resume_reading(partitions)
        for number in partitions:
            self._read_until.pop(number, None)
