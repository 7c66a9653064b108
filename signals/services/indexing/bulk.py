"""Brings a batch's documents into the index: every one of them is settled, or the batch is not."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from signals.clients.opensearch.connection import Client
from signals.clients.opensearch.index import BulkVerdict, bulk_create, stored
from signals.errors import DependencyUnavailable
from signals.services.indexing.batch import DocumentBatch
from signals.services.indexing.documents import EventDocument, bulks, origin_of

RETRIES: Final = 6  # of overloaded documents, 0.5 s to 8 s apart; then the session starts over
FIRST_PAUSE_S: Final = 0.5
MAX_PAUSE_S: Final = 8.0


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes batches, several at once when several threads ask; `stopping` ends its pauses."""

    client: Client
    stopping: threading.Event

    def write(self, batch: DocumentBatch) -> None:
        """Settle every document of a batch.

        Raises:
            DependencyUnavailable: when some could not be; read again, the others are known to be there.
        """
        for bulk in bulks(batch.documents):
            self._create(bulk, batch)

    def _create(self, documents: Sequence[EventDocument], batch: DocumentBatch) -> None:
        pause_s, retries = FIRST_PAUSE_S, 0
        while documents:
            overloaded, again = self._try(documents, batch)
            documents = [*overloaded, *again]
            if not overloaded:
                continue
            retries += 1
            if retries > RETRIES or self.stopping.wait(pause_s):
                raise DependencyUnavailable(
                    "OpenSearch", f"{len(documents)} documents meet overload again and again"
                )
            pause_s = min(2 * pause_s, MAX_PAUSE_S)

    def _try(
        self, documents: Sequence[EventDocument], batch: DocumentBatch
    ) -> tuple[list[EventDocument], list[EventDocument]]:
        """Send one bulk; return what met overload, and what is to be tried again reduced."""
        created: list[EventDocument] = []
        overloaded: list[EventDocument] = []
        again: list[EventDocument] = []
        existing: list[EventDocument] = []
        results = bulk_create(self.client, [(d.document_id, d.source) for d in documents])
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
        again += self._settle_existing(existing, batch)
        return overloaded, again

    def _settle_existing(
        self, documents: Sequence[EventDocument], batch: DocumentBatch
    ) -> list[EventDocument]:
        """Settle documents whose id exists: made of this very record before a crash, or a duplicate.

        An id may also be another project's; no client may hide an event by sending its id first. Those are
        returned to be created under an id of their own.
        """
        found = stored(self.client, [d.document_id for d in documents]) if documents else {}
        again = []
        for document in documents:
            there = found.get(document.document_id)
            if there is None:  # deleted meanwhile
                again.append(document)
            elif there.project_id != document.project_id:
                again.append(document.apart())
            else:
                is_own = there.origin == origin_of(document.record)
                batch.settle([document], "indexed" if is_own else "duplicate")
        return again
