"""Makes documents of records, and cuts them into bulks of bounded size."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import orjson

from shared_types import Envelope
from signals.clients.kafka.consumer import Record
from signals.clients.opensearch.index import INDEXED_ATTRIBUTES

MAX_BULK_BYTES: Final = 4 * 1024 * 1024  # guess: a few hundred typical events are far below


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An event on its way into the index; `whole` until OpenSearch has refused it once.

    Its `origin` is kept inside: read again after a crash, the record finds that the document is its own.
    """

    document_id: str
    event: Envelope
    record: Record
    source: bytes
    whole: bool = True

    @classmethod
    def of(cls, event: Envelope, record: Record) -> Self:
        """Make the document of a record that holds `event`."""
        return cls(
            document_id=str(event.event_id),
            event=event,
            record=record,
            source=_with_origin(record.value, origin_of(record)),
        )

    def apart(self) -> Self:
        """Return it under an id of its project's own: another project used the event's id first."""
        return replace(self, document_id=f"{self.event.project_id}:{self.event.event_id}")

    def reduced(self) -> Self:
        """Return it without what a mapping could refuse; the whole event stays beside it, as text.

        An attribute named `route.x`, for one, clashes with the keyword `route`.
        """
        event = orjson.loads(self.record.value)
        attributes = {
            name: value for name, value in event["attributes"].items() if name in INDEXED_ATTRIBUTES
        }
        copy = event | {
            "attributes": attributes,
            "payload": {},
            "original": self.record.value.decode(),
            "origin": origin_of(self.record),
        }
        return replace(self, source=orjson.dumps(copy), whole=False)


def origin_of(record: Record) -> str:
    """Return where a record lies, as `partition:offset`."""
    return f"{record.partition}:{record.offset}"


def bulks(documents: Sequence[Document]) -> Iterator[list[Document]]:
    """Cut documents into bulks of bounded size, in order."""
    bulk: list[Document] = []
    size = 0
    for document in documents:
        if bulk and size + len(document.source) > MAX_BULK_BYTES:
            yield bulk
            bulk, size = [], 0
        bulk.append(document)
        size += len(document.source)
    if bulk:
        yield bulk


def _with_origin(event: bytes, origin: str) -> bytes:
    """Add a member at the end of a JSON object that has some: parsing it anew would cost ten times more."""
    return b'%s,"origin":"%s"}' % (event.rstrip()[:-1], origin.encode())
