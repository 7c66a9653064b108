"""Sorts a poll's records out before the transaction: what counts, what repeats, what is broken."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from shared_types import Envelope, InvalidEvent, parse_envelope
from signals.clients.kafka.consumer import Record
from signals.clients.kafka.dead_letters import DeadLetter, not_an_event, requeued_for
from signals.domain.buckets import Series, minute_of, series_of
from signals.domain.ledger import Account, Outcome, Stage, place
from signals.domain.recent_ids import recent_key
from signals.domain.tally import Tally
from signals.services.detecting.partitions import OwnedPartition
from signals.store.offsets import OffsetMove

STAGE: Final[Stage] = "incident-engine"


class Batch:
    """A poll's outcome. Nothing of it reaches the partitions' state before `settle`."""

    def __init__(self, owned: Mapping[int, OwnedPartition]) -> None:
        self.tally = Tally()
        self.dead_letters: list[DeadLetter] = []
        self.newest_signups: dict[Series, tuple[int, int]] = {}
        self.entries: Counter[Account] = Counter()
        self.duplicates = 0
        self._owned = owned
        self._next_offsets: dict[int, int] = {}
        self._new_ids: defaultdict[int, dict[bytes, tuple[int, int]]] = defaultdict(dict)

    def add_all(self, records: Sequence[Record]) -> None:
        """Take records in; those of partitions lost meanwhile are ignored."""
        for record in records:
            partition = self._owned.get(record.partition)
            if partition is None:
                continue
            if record.offset < partition.next_offset:
                self._remember(partition, record)
                continue
            self._next_offsets[record.partition] = record.offset + 1
            if requeued_for(record) not in (None, STAGE):
                continue  # handled here before the other stage gave it up
            try:
                event = parse_envelope(record.value)
            except InvalidEvent as error:
                self.dead_letters.append(not_an_event(record, STAGE, error))
                self._enter(record, None, "dead_lettered")
                continue
            series = series_of(event)
            self._enter(record, event, self._count(record, event, series) if series else "uncounted")

    def _enter(self, record: Record, event: Envelope | None, outcome: Outcome) -> None:
        project_id, minute = place(
            event, record.key, record.timestamp_ms, requeued=requeued_for(record) is not None
        )
        self.entries[Account(project_id, minute, STAGE, outcome, record.partition)] += 1

    def _count(self, record: Record, event: Envelope, series: Series) -> Literal["counted", "duplicate"]:
        key = recent_key(event.project_id, event.event_id)
        if self._is_known(key):
            self.duplicates += 1
            return "duplicate"
        self._new_ids[record.partition][key] = (record.offset, record.timestamp_ms)
        self.tally.add(series, event)
        if series.metric_name == "signup_count":
            minute = minute_of(event.occurred_at)
            newest = max(minute, self.newest_signups.get(series, (0, minute))[1])
            self.newest_signups[series] = (record.partition, newest)
        return "counted"

    def _is_known(self, key: bytes) -> bool:
        """Look into the windows of all partitions owned: a key moves when the topic gets more of them."""
        return any(key in partition.recent for partition in self._owned.values()) or any(
            key in new_ids for new_ids in self._new_ids.values()
        )

    @staticmethod
    def _remember(partition: OwnedPartition, record: Record) -> None:
        """Refill the window of recent ids from a record that was counted before."""
        if requeued_for(record) not in (None, STAGE):
            return
        try:
            event = parse_envelope(record.value)
        except InvalidEvent:
            return  # it was dead-lettered when it was read the first time
        if series_of(event) is not None:
            key = recent_key(event.project_id, event.event_id)
            partition.recent.add(key, record.offset, record.timestamp_ms)

    def moves(self) -> list[OffsetMove]:
        """Return the compare-and-set of each partition that brought new records."""
        return [
            OffsetMove(
                partition=partition,
                expected_offset=self._owned[partition].next_offset,
                next_offset=next_offset,
            )
            for partition, next_offset in sorted(self._next_offsets.items())
        ]

    def settle(self) -> dict[int, int]:
        """Carry a committed batch over to the partitions' state; return the offsets to read next."""
        for number, next_offset in self._next_offsets.items():
            self._owned[number].next_offset = next_offset
            for key, (offset, timestamp_ms) in self._new_ids[number].items():
                self._owned[number].recent.add(key, offset, timestamp_ms)
        return self._next_offsets
