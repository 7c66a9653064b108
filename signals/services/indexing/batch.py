"""Sorts a poll's records out and keeps what becomes of each, until the whole batch is settled."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from shared_types import Envelope, InvalidEvent, parse_envelope
from signals.clients.kafka.consumer import Record
from signals.clients.kafka.dead_letters import DeadLetter, not_an_event, requeued_for
from signals.domain.ledger import Account, Outcome, Stage, place
from signals.services.indexing.documents import Document
from signals.store.offsets import OffsetMove

STAGE: Final[Stage] = "indexer"


class Batch:
    """A poll's records: documents to settle, dead letters, ledger entries, and where to read next."""

    def __init__(self, next_offsets: Mapping[int, int]) -> None:
        self.documents: list[Document] = []
        self.dead_letters: list[DeadLetter] = []
        self.entries: Counter[Account] = Counter()
        self.next_offsets: dict[int, int] = {}
        self._expected = dict(next_offsets)

    def add_all(self, records: Sequence[Record]) -> None:
        """Take records in; those of partitions lost meanwhile are ignored."""
        for record in records:
            if record.partition not in self._expected:
                continue
            self.next_offsets[record.partition] = record.offset + 1
            if requeued_for(record) not in (None, STAGE):
                continue  # handled here before the other stage gave it up
            try:
                event = parse_envelope(record.value)
            except InvalidEvent as error:
                self.dead_letters.append(not_an_event(record, STAGE, error))
                self._enter(record, None, "dead_lettered")
                continue
            self.documents.append(Document.of(event, record))

    def settle(self, document: Document, outcome: Outcome) -> None:
        """Note what became of a document."""
        self._enter(document.record, document.event, outcome)

    def refuse(self, document: Document, reason: str) -> None:
        """Give up a document that OpenSearch will never take."""
        letter = DeadLetter(record=document.record, stage=STAGE, error="document_refused", reason=reason)
        self.dead_letters.append(letter)
        self.settle(document, "dead_lettered")

    def moves(self) -> list[OffsetMove]:
        """Return the compare-and-set of each partition that brought records."""
        return [
            OffsetMove(
                partition=partition, expected_offset=self._expected[partition], next_offset=next_offset
            )
            for partition, next_offset in sorted(self.next_offsets.items())
        ]

    def _enter(self, record: Record, event: Envelope | None, outcome: Outcome) -> None:
        project_id, minute = place(
            event, record.key, record.timestamp_ms, requeued=requeued_for(record) is not None
        )
        self.entries[Account(project_id, minute, STAGE, outcome, record.partition)] += 1
