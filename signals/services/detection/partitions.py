"""What the detector remembers of each partition it owns, and how it takes one over."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from signals.clients.kafka.consumer import PartitionConsumer, Record
from signals.domain.detection.recent_ids import MAX_RECORDS, WINDOW_MS
from signals.errors import DependencyUnavailable
from signals.store.operations.offsets import StoredOffset

REFILL_STALLS_S: Final = 30.0  # guess: without a record for so long, what was to be read again is gone


@dataclass(slots=True)
class OwnedPartition:
    """A partition's state in this process: all of it can be rebuilt from PostgreSQL and the log.

    Records below `next_offset` were counted already and only refill the recent ids. Signups have been
    judged by the clock up to `ticked_minute`.
    """

    next_offset: int
    ticked_minute: int = -1


def take_over(
    consumer: PartitionConsumer, stored: Mapping[int, StoredOffset]
) -> tuple[dict[int, OwnedPartition], dict[int, int]]:
    """Return the state of newly gained partitions, and the offset to read each from.

    Reading starts before the stored offset, so that the window of recent ids fills again.

    Raises:
        DependencyUnavailable: when the broker does not answer, or the log is shorter than what was counted.
    """
    owned, starts = {}, {}
    for partition, offset in stored.items():
        next_offset = consumer.resume(partition, offset.next_offset)
        oldest, _ = consumer.log_range(partition)
        since = offset.updated_at - timedelta(milliseconds=WINDOW_MS)
        tail = consumer.offset_at(partition, int(since.timestamp() * 1000))
        newest_needed = next_offset if tail is None else min(tail, next_offset)
        owned[partition] = OwnedPartition(next_offset)
        starts[partition] = max(oldest, newest_needed, next_offset - MAX_RECORDS)
    return owned, starts


class Refilling:
    """Holds new records back while windows of recent ids fill again: what they repeat may lie in any."""

    def __init__(self, consumer: PartitionConsumer) -> None:
        self._consumer = consumer
        self._ends: dict[int, int] = {}
        self._held: list[Record] = []
        self._stalled_at = 0.0

    def begin(self, starts: Mapping[int, int], owned: Mapping[int, OwnedPartition]) -> None:
        """Note which of the partitions just gained read again what was counted, and up to where."""
        self._ends |= {p: o.next_offset for p, o in owned.items() if starts[p] < o.next_offset}
        self._stalled_at = time.monotonic() + REFILL_STALLS_S

    def forget(self, partitions: Collection[int]) -> None:
        """Partitions went to somebody else, with what was held back of them."""
        self._ends = {p: end for p, end in self._ends.items() if p not in partitions}
        self._held = [record for record in self._held if record.partition not in partitions]

    def admit(self, records: list[Record], owned: Collection[int]) -> list[Record]:
        """Return the records whose turn it is, in each partition's order; only of partitions owned.

        Raises:
            DependencyUnavailable: when the log does not hold what was to be read again.
        """
        if not self._ends and not self._held:
            return records
        records = [record for record in records if record.partition in owned]
        refills = [r for r in records if r.offset < self._ends.get(r.partition, 0)]
        self._held += [r for r in records if r.offset >= self._ends.get(r.partition, 0)]
        for record in records:
            if record.offset + 1 >= self._ends.get(record.partition, 0):
                self._ends.pop(record.partition, None)
        return refills + self._release() if not self._ends else self._wait(refills)

    def _release(self) -> list[Record]:
        held, self._held = self._held, []
        self._consumer.resume_reading({record.partition for record in held})
        return held

    def _wait(self, refills: list[Record]) -> list[Record]:
        self._consumer.pause_reading({record.partition for record in self._held})
        if refills:
            self._stalled_at = time.monotonic() + REFILL_STALLS_S
        elif time.monotonic() > self._stalled_at:
            raise DependencyUnavailable(
                "Kafka", f"partitions {sorted(self._ends)} do not give what they held"
            )
        return refills
