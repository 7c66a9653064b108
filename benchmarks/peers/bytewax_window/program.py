"""Bytewax: an event-time window of one minute folded per key, closed windows written with psycopg.

The source's batch of 1,000 is its documented setting for throughput, the clock waits ten seconds for a
stalled process, and recovery (SQLite) is on, without which nothing survives a crash. A second worker in
this process would share the interpreter's lock.
"""

import os
import tempfile
from datetime import UTC, datetime, timedelta

from bytewax import operators as op
from bytewax.connectors.kafka import KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.operators import windowing
from bytewax.operators.windowing import EventClock, TumblingWindower
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from benchmarks.peers.counting import Bucket, add, bucket_of, connect
from benchmarks.peers.marks import Progress

ALIGN_TO = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WAIT = timedelta(seconds=10)
SEPARATOR = "\t"  # keys must be text

Item = tuple[str, datetime]
Window = tuple[str, tuple[int, int]]

progress = Progress()


def to_item(message: "KafkaSourceMessage[bytes, bytes]") -> Item:
    """Decode a record to its series and minute."""
    progress()
    *series, minute = bucket_of(message.value)
    return SEPARATOR.join(series), datetime.fromisoformat(f"{minute}:00+00:00")


class Buckets(StatelessSinkPartition[Window]):
    """Adds closed windows to their rows."""

    def __init__(self) -> None:
        self._connection = connect()

    def write_batch(self, items: list[Window]) -> None:
        """Write the windows that closed together."""
        counts: dict[Bucket, int] = {}
        for key, (window_id, count) in items:
            minute = (ALIGN_TO + window_id * MINUTE).isoformat()[:16]
            org, project, environment, metric, fingerprint = key.split(SEPARATOR)
            counts[org, project, environment, metric, fingerprint, minute] = count
        add(self._connection, counts)


class Postgres(DynamicSink[Window]):
    """One connection a worker."""

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Buckets:
        """Open the sink of one worker."""
        return Buckets()


def flow() -> Dataflow:
    """Source, decode, fold, sink."""
    graph = Dataflow("buckets")
    source = KafkaSource([os.environ["KAFKA_BROKERS"]], [os.environ["BENCH_TOPIC"]])
    items = op.map("decode", op.input("kafka", graph, source), to_item)
    clock = EventClock(ts_getter=lambda at: at, wait_for_system_duration=WAIT)
    windower = TumblingWindower(align_to=ALIGN_TO, length=MINUTE)
    folded = windowing.fold_window(
        "count", items, clock, windower, lambda: 0, lambda count, _: count + 1, lambda a, b: a + b
    )
    op.output("postgres", folded.down, Postgres())
    return graph


def main() -> None:
    """Count until a signal."""
    with tempfile.TemporaryDirectory(dir=os.environ["BENCH_FOLDER"]) as folder:
        init_db_dir(folder, 1)
        recovery = RecoveryConfig(folder, timedelta(0))
        cli_main(flow(), epoch_interval=timedelta(seconds=10), recovery_config=recovery)


if __name__ == "__main__":
    main()
