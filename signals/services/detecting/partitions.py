"""What the detector remembers of each partition it owns, and how it takes one over."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from signals.clients.kafka.consumer import PartitionConsumer
from signals.domain.recent_ids import MAX_RECORDS, WINDOW_MS, RecentIds
from signals.store.offsets import StoredOffset


@dataclass(slots=True)
class OwnedPartition:
    """A partition's state in this process: all of it can be rebuilt from PostgreSQL and the log.

    Records below `next_offset` were counted already and only refill `recent`. Signups have been judged
    by the clock up to `ticked_minute`.
    """

    next_offset: int
    recent: RecentIds = field(default_factory=RecentIds)
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


def drop(owned: dict[int, OwnedPartition], partitions: Collection[int]) -> None:
    """Forget partitions that now belong to somebody else."""
    for partition in partitions:
        owned.pop(partition, None)
