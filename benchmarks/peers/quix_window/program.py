"""Quix Streams: a tumbling window of one minute per key, final results through its own PostgreSQL sink.

State lies in RocksDB and a changelog topic (its default, what makes counts survive a crash), commits every
five seconds (its default). Final results are the cheap ones: one row a window instead of one an event.
Exactly-once covers Kafka only; the sink upserts, so that a repeated window is written over.
"""

import os
import tempfile
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from quixstreams import Application
from quixstreams.sinks.community.postgresql import PostgreSQLSink

from benchmarks.peers.marks import Progress

progress = Progress()


def occurred_at_ms(value: Any, headers: Any, timestamp_ms: float, timestamp_type: Any) -> int:
    """Return the event's own time; the record has been decoded by now."""
    progress()
    return int(datetime.fromisoformat(value["occurred_at"]).timestamp() * 1000)


def to_row(window: dict[str, int], key: Any, timestamp: int, headers: Any) -> dict[str, Any]:
    """Name the columns; the key is the record's, which is the series of one environment."""
    return {"series": key, "minute_ms": window["start"], "value": window["value"]}


def sink() -> PostgreSQLSink:
    """Open the sink on a table of its own, one row a series and minute."""
    url = urlsplit(os.environ["DATABASE_URL"])
    return PostgreSQLSink(
        host=url.hostname or "",
        port=url.port or 0,
        dbname=url.path[1:],
        user=url.username or "",
        password=url.password or "",
        table_name="quix_buckets",
        primary_key_columns=["series", "minute_ms"],
        upsert_on_primary_key=True,
        include_metadata=False,
    )


def main() -> None:
    """Count until a SIGTERM."""
    with tempfile.TemporaryDirectory(dir=os.environ["BENCH_FOLDER"]) as state:
        app = Application(
            broker_address=os.environ["KAFKA_BROKERS"],
            consumer_group=os.environ["BENCH_GROUP"],
            auto_offset_reset="earliest",
            state_dir=state,
            loglevel="WARNING",
        )
        topic = app.topic(
            os.environ["BENCH_TOPIC"],
            key_deserializer="str",
            value_deserializer="json",
            timestamp_extractor=occurred_at_ms,
        )
        counted = app.dataframe(topic).tumbling_window(timedelta(minutes=1)).count().final()
        counted.apply(to_row, metadata=True).sink(sink())
        app.run()


if __name__ == "__main__":
    main()
