"""Fills the window of recent ids again when a partition is gained: its tail is read once more."""

import time
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Final

from signals.clients.kafka.consumer import PartitionConsumer, Record
from signals.domain.detection.recent_ids import MAX_RECORDS, WINDOW_MS
from signals.errors import DependencyUnavailable
from signals.store.operations.offsets import StoredOffset

REFILL_STALLS_S: Final = 30.0  # guess: without a record for so long, what was to be read again is gone


def refill_starts(consumer: PartitionConsumer, stored: Mapping[int, StoredOffset]) -> dict[int, int]:
    """Return the offset to read each gained partition from: before the stored one, to fill the window.

    Raises:
        DependencyUnavailable: when the broker does not answer.
    """
    starts = {}
    for partition, offset in stored.items():
        oldest, _ = consumer.log_range(partition)
        since = offset.updated_at - timedelta(milliseconds=WINDOW_MS)
        tail = consumer.offset_at(partition, int(since.timestamp() * 1000))
        newest_needed = offset.next_offset if tail is None else min(tail, offset.next_offset)
        starts[partition] = max(oldest, newest_needed, offset.next_offset - MAX_RECORDS)
    return starts


class Refill:
    """Holds new records back while windows of recent ids fill again: what they repeat may lie in any."""

    def __init__(self, consumer: PartitionConsumer) -> None:
        self._consumer = consumer
        self._ends: dict[int, int] = {}
        self._held: list[Record] = []
        self._stalled_at = 0.0

    def begin(self, starts: Mapping[int, int], next_offsets: Mapping[int, int]) -> None:
        """Note which of the partitions just gained read again what was counted, and up to where."""
        self._ends |= {p: end for p, end in next_offsets.items() if starts[p] < end}
        self._stalled_at = time.monotonic() + REFILL_STALLS_S

    def forget(self, partitions: Collection[int]) -> None:
        """Forget revoked partitions and their held-back records."""
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
