"""opensearch-py's helpers `streaming_bulk` and `parallel_bulk` between a Kafka consumer and the index."""

import os
from collections.abc import Iterator
from typing import Any

import orjson
from confluent_kafka import Consumer
from opensearchpy import OpenSearch
from opensearchpy.helpers import parallel_bulk, streaming_bulk

from benchmarks.peers.marks import FirstRecord, mark

BATCH = 2_000
"""Between two commits of offsets; the helpers cut it into their default chunks of 500."""
THREADS = 4
"""The default of `parallel_bulk`."""


def main() -> None:
    """Index `BENCH_EVENTS` records, decoding each as the helpers want it, and commit after each batch."""
    wanted = int(os.environ["BENCH_EVENTS"])
    client = OpenSearch(os.environ["OPENSEARCH_URL"], max_retries=0, pool_maxsize=THREADS)
    settings: dict[str, Any] = {
        "bootstrap.servers": os.environ["KAFKA_BROKERS"],
        "group.id": os.environ["BENCH_GROUP"],
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
    }
    consumer = Consumer(settings)
    consumer.subscribe([os.environ["BENCH_TOPIC"]])
    first, written = FirstRecord(), 0
    while written < wanted:
        messages = consumer.consume(BATCH, timeout=0.1)
        if not messages:
            continue
        first()
        values = [message.value() or b"" for message in messages]
        written += sum(ok for ok, _ in _bulk(client, values))
        consumer.commit(asynchronous=False)
    mark("done", events=written)
    consumer.close()


def _bulk(client: OpenSearch, values: list[bytes]) -> Iterator[tuple[bool, Any]]:
    actions = (_action(value) for value in values)
    if os.environ["BENCH_HELPER"] == "streaming_bulk":
        return iter(streaming_bulk(client, actions))
    return iter(parallel_bulk(client, actions, thread_count=THREADS))


def _action(value: bytes) -> dict[str, Any]:
    event = orjson.loads(value)
    index = os.environ["BENCH_INDEX"]
    return {"_op_type": "create", "_index": index, "_id": event["event_id"], "_source": event}


if __name__ == "__main__":
    main()
