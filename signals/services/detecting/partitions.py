"""What the detector remembers of each partition it owns, and how it takes one over."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from signals.clients.kafka.consumer import PartitionConsumer
from signals.domain.recent_ids import MAX_RECORDS, WINDOW_MS, RecentIds
from signals.errors import DependencyUnavailable
from signals.store.offsets import StoredOffset


@dataclass(slots=True)
class OwnedPartition:
    """A partition's state in this process: all of it can be rebuilt from PostgreSQL and the log.

    Records below `next_offset` were counted already and only refill `recent`. `barrier` is the log end
    at the last tick: once it is reached, everything accepted before `barrier_minute` ended is counted.
    """

    next_offset: int
    recent: RecentIds = field(default_factory=RecentIds)
    barrier: tuple[int, int] | None = None
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
        oldest, end = consumer.log_range(partition)
        if offset.next_offset > end:
            raise DependencyUnavailable(
                "Kafka",
                f"partition {partition} ends at {end} but {offset.next_offset} were counted: the topic was "
                "recreated; delete its rows from pipeline.offsets to count it from the start",
            )
        since = offset.updated_at - timedelta(milliseconds=WINDOW_MS)
        tail = consumer.offset_at(partition, int(since.timestamp() * 1000))
        newest_needed = offset.next_offset if tail is None else min(tail, offset.next_offset)
        owned[partition] = OwnedPartition(offset.next_offset)
        starts[partition] = max(oldest, newest_needed, offset.next_offset - MAX_RECORDS)
    return owned, starts


def drop(owned: dict[int, OwnedPartition], partitions: Collection[int]) -> None:
    """Forget partitions that now belong to somebody else."""
    for partition in partitions:
        owned.pop(partition, None)
