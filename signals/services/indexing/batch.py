"""Sorts a poll's records out and keeps what becomes of each, until the whole batch is settled."""

from collections import Counter
from collections.abc import Collection, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from shared_types import InvalidEvent
from signals.clients.kafka.consumer import Record
from signals.clients.kafka.dead_letters import DeadLetter, not_an_event, requeued_for
from signals.domain.events.sightings import SightingReader
from signals.domain.ledger import LedgerAccount, LedgerOutcome, Stage, minute_of_timestamp, place
from signals.errors import DependencyUnavailable
from signals.services.indexing.documents import EventDocument, RecordPlace
from signals.services.indexing.labelling import Labeller

STAGE: Final[Stage] = "indexer"


class UnansweredBulk(NamedTuple):
    """How many documents were sent and not answered yet, and when (`time.monotonic`)."""

    documents: int
    sent_at: float


class DocumentBatch:
    """A poll's records: documents to settle, dead letters, ledger entries, and where to read next.

    Filled by one thread, settled by another, and read again by the first one after that; `unanswered` and
    `failure` are read at any time.
    """

    def __init__(self, owned: Collection[int], reader: SightingReader, labeller: Labeller) -> None:
        self.documents: list[EventDocument] = []
        self.dead_letters: list[DeadLetter] = []
        self.next_offsets: dict[int, int] = {}
        self.records = 0
        self.unanswered: UnansweredBulk | None = None
        self.failure: DependencyUnavailable | None = None  # why some are to be sent again
        self._owned = owned
        self._reader = reader
        self._labeller = labeller
        self._outcomes: Counter[tuple[RecordPlace, LedgerOutcome]] = Counter()

    def add_all(self, records: Sequence[Record]) -> None:
        """Take records in; those of partitions lost meanwhile are ignored."""
        for record in records:
            if record.partition not in self._owned:
                continue
            self.records += 1
            self.next_offsets[record.partition] = record.offset + 1
            back_for = requeued_for(record)
            if back_for not in (None, STAGE):
                continue  # handled here before the other stage gave it up
            try:
                event = self._reader.read(record.value)
            except InvalidEvent as error:
                self.dead_letters.append(not_an_event(record, STAGE, error))
                where = (*place(None, record.key, record.timestamp_ms), record.partition)
                self._outcomes[where, "dead_lettered"] += 1
                continue
            minute = event.received_minute if back_for is None else minute_of_timestamp(record.timestamp_ms)
            where = (event.project_id, minute, record.partition)
            added = self._labeller.members(event.project_id, record.value)
            self.documents.append(EventDocument.of(str(event.event_id), record, where, added))

    def settle(self, documents: Sequence[EventDocument], outcome: LedgerOutcome) -> None:
        """Note what became of documents."""
        for where, count in Counter(map(_PLACE, documents)).items():
            self._outcomes[where, outcome] += count

    def refuse(self, document: EventDocument, reason: str) -> None:
        """Give up a document that OpenSearch will never take."""
        letter = DeadLetter(record=document.record, stage=STAGE, error="document_refused", reason=reason)
        self.dead_letters.append(letter)
        self.settle([document], "dead_lettered")

    def entries(self) -> dict[LedgerAccount, int]:
        """Return how many events are to be entered under each account of the ledger."""
        return {
            LedgerAccount(project_id, minute, STAGE, outcome, partition): count
            for ((project_id, minute, partition), outcome), count in self._outcomes.items()
        }


_PLACE: Final = attrgetter("place")
