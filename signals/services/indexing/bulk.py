"""Brings a batch's documents into the index: every one of them is settled, or the batch is not."""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

from signals.clients.opensearch.connection import Client
from signals.clients.opensearch.index import BULK_TIMEOUT_S, BulkVerdict, bulk_create, stored
from signals.errors import DependencyTimedOut, DependencyUnavailable
from signals.services.indexing.batch import DocumentBatch
from signals.services.indexing.bulk_size import BulkSize
from signals.services.indexing.documents import EventDocument, first_bulk, origin_of

RETRIES: Final = 6  # without a document taken meanwhile, 0.5 s to 8 s apart; then the session starts over
FIRST_PAUSE_S: Final = 0.5
MAX_PAUSE_S: Final = 8.0
LOOK_AGAIN_S: Final = 2.0  # guess: a server that took nothing for so long is not at the bulk any more

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes batches, several at once when several threads ask; `stopping` ends its pauses."""

    client: Client
    stopping: threading.Event
    timeout_s: float = BULK_TIMEOUT_S
    size: BulkSize = field(default_factory=BulkSize)

    def write(self, batch: DocumentBatch) -> None:
        """Settle every document of a batch.

        Raises:
            DependencyUnavailable: when some could not be; read again, the others are known to be there.
        """
        waiting: Sequence[EventDocument] = batch.documents
        pause_s, fruitless = FIRST_PAUSE_S, 0
        while waiting:
            bulk = first_bulk(waiting, self.size.documents)
            late, again = self._try(bulk, batch, was_cut=len(bulk) < len(waiting))
            waiting = [*late, *again, *waiting[len(bulk) :]]
            if not late:
                pause_s, fruitless = FIRST_PAUSE_S, 0
                continue
            fruitless = fruitless + 1 if len(late) == len(bulk) else 0
            if fruitless > RETRIES or self.stopping.wait(pause_s):
                raise DependencyUnavailable(
                    "OpenSearch", f"{len(late)} documents meet overload again and again"
                )
            pause_s = min(2 * pause_s, MAX_PAUSE_S)

    def _try(
        self, documents: Sequence[EventDocument], batch: DocumentBatch, *, was_cut: bool
    ) -> tuple[list[EventDocument], list[EventDocument]]:
        """Send one bulk; return what is to be tried again later, and what at once in another form."""
        began = time.monotonic()
        try:
            results = bulk_create(
                self.client, [(d.document_id, d.source) for d in documents], timeout_s=self.timeout_s
            )
        except DependencyTimedOut:
            self.size.late(len(documents), was_cut=was_cut)
            log.warning("bulk answered too late", documents=len(documents), next_size=self.size.documents)
            return self._not_taken(documents, batch)
        self.size.answered(len(documents), time.monotonic() - began, was_cut=was_cut)
        created: list[EventDocument] = []
        overloaded: list[EventDocument] = []
        again: list[EventDocument] = []
        existing: list[EventDocument] = []
        for document, result in zip(documents, results, strict=True):
            if result.verdict is BulkVerdict.CREATED:
                created.append(document)
            elif result.verdict is BulkVerdict.EXISTS:
                existing.append(document)
            elif result.verdict is BulkVerdict.OVERLOADED:
                overloaded.append(document)
            elif document.whole:
                again.append(document.reduced())
            else:
                batch.refuse(document, result.error)
        batch.settle(created, "indexed")
        missing, others = self._settle_existing(existing, batch)
        return overloaded, [*again, *missing, *others]

    def _not_taken(
        self, documents: Sequence[EventDocument], batch: DocumentBatch
    ) -> tuple[list[EventDocument], list[EventDocument]]:
        """Wait until OpenSearch has done with a bulk that it did not answer; return what it did not take.

        It works on after we have hung up: what it takes meanwhile must not be sent again.
        """
        missing: list[EventDocument] = list(documents)
        others: list[EventDocument] = []
        with suppress(DependencyTimedOut):  # too late for this as well: the rest is sent again
            missing, others = self._settle_existing(missing, batch)
            while missing and not self.stopping.wait(LOOK_AGAIN_S):
                before = len(missing)
                missing, apart = self._settle_existing(missing, batch)
                others += apart
                if len(missing) == before:
                    break
        return missing, others

    def _settle_existing(
        self, documents: Sequence[EventDocument], batch: DocumentBatch
    ) -> tuple[list[EventDocument], list[EventDocument]]:
        """Settle documents that exist: made of this very record before a crash, or duplicates.

        Returns those that do not exist, and those whose id is another project's, under an id of their own:
        no client may hide an event by sending its id first.
        """
        found = stored(self.client, [d.document_id for d in documents]) if documents else {}
        missing: list[EventDocument] = []
        apart: list[EventDocument] = []
        for document in documents:
            there = found.get(document.document_id)
            if there is None:
                missing.append(document)
            elif there.project_id != document.project_id:
                apart.append(document.apart())
            else:
                is_own = there.origin == origin_of(document.record)
                batch.settle([document], "indexed" if is_own else "duplicate")
        return missing, apart
