"""Brings a batch's documents into the index: every one of them is settled, or the batch is not."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import Final

import structlog

from signals.clients.opensearch.connection import Client
from signals.clients.opensearch.index import (
    BULK_TIMEOUT_S,
    BulkTooLarge,
    BulkVerdict,
    ItemResult,
    bulk_create,
    stored,
)
from signals.errors import DependencyTimedOut, DependencyUnavailable
from signals.services.indexing.batch import DocumentBatch, UnansweredBulk
from signals.services.indexing.bulk_size import SLOW_S, BulkSize
from signals.services.indexing.documents import EventDocument, first_bulk, origin_of

RETRIES: Final = 6  # without a document taken meanwhile, 0.5 s to 8 s apart; then the session starts over
FIRST_PAUSE_S: Final = 0.5
MAX_PAUSE_S: Final = 8.0
LOOK_AGAIN_S: Final = 2.0  # guess: a server that took nothing for so long is not at the bulk any more
REFUSING: Final = "it is overloaded, or its disk is full"

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Retries:
    """How long the writing of one batch goes on in vain."""

    closing: threading.Event
    batch: DocumentBatch
    fruitless: int = 0
    """Tries since OpenSearch last took a document of it."""

    def reset(self) -> None:
        """Begin anew: OpenSearch does its work."""
        self.fruitless, self.batch.failure = 0, None

    def back_off(self, cause: DependencyUnavailable, *, took_some: bool = False) -> None:
        """Pause before the next try, the longer the more tries were in vain.

        Raises:
            DependencyUnavailable: the newest cause, after too many tries of which nothing was taken.
            CancelledError: when the writer is closed.
        """
        self.batch.failure = cause
        self.fruitless = 0 if took_some else self.fruitless + 1
        if self.fruitless > RETRIES:
            raise cause
        if self.closing.wait(min(FIRST_PAUSE_S * 2 ** max(0, self.fruitless - 1), MAX_PAUSE_S)):
            raise CancelledError


@dataclass(slots=True)
class Writer:
    """Writes the batches of one session, several at once when several threads ask."""

    client: Client
    timeout_s: float = BULK_TIMEOUT_S
    size: BulkSize = field(default_factory=BulkSize)
    _closing: threading.Event = field(default_factory=threading.Event)
    _taken_at: float = 0.0  # when OpenSearch was last seen to have taken a document, of any batch

    def close(self) -> None:
        """Let every write end after its request under way: within the time-outs of a bulk and of a look."""
        self._closing.set()

    def write(self, batch: DocumentBatch) -> None:
        """Settle every document of a batch.

        Raises:
            DependencyUnavailable: when some could not be; read again, the others are known to be there.
            CancelledError: when the writer is closed.
        """
        waiting: Sequence[EventDocument] = batch.documents
        retries = _Retries(self._closing, batch)
        while waiting:
            if self._closing.is_set():
                raise CancelledError
            bulk = first_bulk(waiting, self.size.documents, self.size.bytes)
            again = self._send(bulk, batch, retries, was_cut=len(bulk) < len(waiting))
            waiting = [*again, *waiting[len(bulk) :]]

    def _send(
        self, bulk: Sequence[EventDocument], batch: DocumentBatch, retries: _Retries, *, was_cut: bool
    ) -> list[EventDocument]:
        """Send one bulk; return what is to be sent again, some of it in another form. May pause."""
        began = time.monotonic()
        batch.unanswered = UnansweredBulk(len(bulk), began)
        try:
            results = bulk_create(
                self.client, [(d.document_id, d.source) for d in bulk], timeout_s=self.timeout_s
            )
        except BulkTooLarge as error:
            batch.unanswered = None
            return self._divide(bulk, str(error), batch)
        except DependencyUnavailable as error:
            self._halve(bulk, error.reason, was_cut=was_cut)
            if not isinstance(error, DependencyTimedOut):
                batch.unanswered, batch.failure = None, error
            not_taken = self._not_taken(bulk, batch, retries)
            batch.unanswered = None
            if len(not_taken) == len(bulk):
                retries.back_off(error)
            else:
                retries.reset()
            return not_taken
        batch.unanswered = None
        took_s = time.monotonic() - began
        overloaded = [result for result in results if result.verdict is BulkVerdict.OVERLOADED]
        if 2 * len(overloaded) > len(bulk):
            self._halve(bulk, overloaded[0].error, was_cut=was_cut)
        elif not overloaded or took_s > SLOW_S:
            self.size.answered(len(bulk), took_s, was_cut=was_cut)
        return self._sort(bulk, results, batch, retries)

    def _halve(self, bulk: Sequence[EventDocument], reason: str, *, was_cut: bool) -> None:
        self.size.failed(len(bulk), was_cut=was_cut)
        log.warning("bulk failed", reason=reason, documents=len(bulk), next_size=self.size.documents)

    def _divide(
        self, bulk: Sequence[EventDocument], reason: str, batch: DocumentBatch
    ) -> list[EventDocument]:
        """Return what of a bulk of too many bytes is to be sent again: all of it, but no single document."""
        if len(bulk) == 1:
            batch.refuse(bulk[0], reason)
            return []
        self.size.too_large(sum(len(document.source) for document in bulk))
        log.warning("bulk too large", documents=len(bulk), next_bytes=self.size.bytes)
        return list(bulk)

    def _sort(
        self,
        bulk: Sequence[EventDocument],
        results: Sequence[ItemResult],
        batch: DocumentBatch,
        retries: _Retries,
    ) -> list[EventDocument]:
        """Settle a bulk by its answer; return what is to be sent again. Pauses when some met overload."""
        created: list[EventDocument] = []
        overloaded: list[EventDocument] = []
        again: list[EventDocument] = []
        existing: list[EventDocument] = []
        for document, result in zip(bulk, results, strict=True):
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
        if created:
            self._taken_at = time.monotonic()
        missing, others = self._look(existing, batch, retries)
        if overloaded:
            reason = f"it refuses {len(overloaded)} documents again and again: {REFUSING}"
            cause = DependencyUnavailable("OpenSearch", reason)
            retries.back_off(cause, took_some=len(overloaded) < len(bulk))
        else:
            retries.reset()
        return [*overloaded, *again, *missing, *others]

    def _not_taken(
        self, documents: Sequence[EventDocument], batch: DocumentBatch, retries: _Retries
    ) -> list[EventDocument]:
        """Wait until OpenSearch has done with a bulk that failed; return what it did not take.

        It works on after we have hung up, or a proxy has answered in its place: what it takes meanwhile must
        not be sent again. While it takes documents of the other batch, this bulk may wait behind them.
        """
        missing, others = self._look(documents, batch, retries)
        taken_at = self._taken_at
        while missing and not self._closing.wait(LOOK_AGAIN_S):
            missing, apart = self._look(missing, batch, retries)
            others += apart
            if self._taken_at == taken_at:
                break
            taken_at = self._taken_at
        return [*missing, *others]

    def _look(
        self, documents: Sequence[EventDocument], batch: DocumentBatch, retries: _Retries
    ) -> tuple[list[EventDocument], list[EventDocument]]:
        """Settle those that exist. It is asked until it answers: documents would only pile up there."""
        while True:
            try:
                return self._settle_existing(documents, batch)
            except DependencyUnavailable as error:
                retries.back_off(error)

    def _settle_existing(
        self, documents: Sequence[EventDocument], batch: DocumentBatch
    ) -> tuple[list[EventDocument], list[EventDocument]]:
        """Settle documents that exist: made of this very record before a crash, or duplicates.

        Returns those that do not exist, and those whose id is another project's, under an id of their own:
        no client may hide an event by sending its id first.
        """
        found = stored(self.client, [d.document_id for d in documents]) if documents else {}
        if found:
            self._taken_at = time.monotonic()
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
