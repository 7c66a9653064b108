"""Makes documents of records, and cuts them into bulks of bounded size."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import orjson

from signals.clients.kafka.consumer import Record
from signals.clients.opensearch.index import ADDED, INDEXED_ATTRIBUTES

RecordPlace = tuple[str, int, int]
"""Where the ledger enters a record: project, minute, partition."""


class EventDocument(NamedTuple):
    """An event on its way into the index; `whole` until OpenSearch has refused it once.

    Its `origin` is kept inside: read again after a crash, the record finds that the document is its own.
    A tuple, because it is made in a third of a frozen dataclass's time, once an event.
    """

    document_id: str
    source: bytes
    record: Record
    place: RecordPlace
    whole: bool = True

    @classmethod
    def of(cls, event_id: str, record: Record, place: RecordPlace, added: bytes = b"") -> Self:
        """Make the document of a record that holds this event, with the members that `added` holds."""
        # Added at the end of an object that has members: parsing it anew would cost ten times more.
        start = record.value.rstrip()[:-1]
        source = b'%s%s,"origin":"%d:%d"}' % (start, added, record.partition, record.offset)
        return cls(event_id, source, record, place)

    @property
    def project_id(self) -> str:
        """The document's owner."""
        return self.place[0]

    def apart(self) -> Self:
        """Return it under an id of its project's own: another project used the event's id first."""
        return self._replace(document_id=f"{self.project_id}:{self.document_id}")

    def reduced(self) -> Self:
        """Return it without what a mapping could refuse; the whole event stays beside it, as text.

        An attribute named `route.x`, for one, clashes with the keyword `route`.
        """
        document = orjson.loads(self.source)
        event = orjson.loads(self.record.value)
        attributes = {
            name: value for name, value in event["attributes"].items() if name in INDEXED_ATTRIBUTES
        }
        copy = event | {
            "attributes": attributes,
            "payload": {},
            "original": self.record.value.decode(),
            **{name: document[name] for name in (*ADDED, "origin") if name in document},
        }
        return self._replace(source=orjson.dumps(copy), whole=False)


def origin_of(record: Record) -> str:
    """Return where a record lies, as `partition:offset`."""
    return f"{record.partition}:{record.offset}"


def first_bulk(documents: Sequence[EventDocument], most: int, most_bytes: int) -> Sequence[EventDocument]:
    """Return the first documents, at most so many and of so many bytes together, but one at least."""
    size = 0
    for number, document in enumerate(documents[:most]):
        size += len(document.source)
        if number and size > most_bytes:
            return documents[:number]
    return documents[:most]
