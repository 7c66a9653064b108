"""The indexer's limit: bulk bodies made beforehand, posted straight to OpenSearch over plain connections."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from itertools import islice
from threading import local
from urllib.parse import urlsplit

import orjson
from confluent_kafka import Consumer

from benchmarks.peers.marks import mark
from signals.clients.kafka.connection import connection_config, group_config
from signals.clients.opensearch import EVENTS_INDEX
from signals.services.indexing.indexer import MAX_BATCH, WRITERS
from signals.settings import KafkaSettings

_here = local()


def main() -> None:
    """Post `BENCH_EVENTS` documents, as many a bulk and as many bulks at once as the indexer does."""
    records = iter(_records(int(os.environ["BENCH_EVENTS"])))
    bodies = []
    while chunk := list(islice(records, MAX_BATCH)):
        bodies.append((b"".join(chunk), len(chunk)))
    mark("first")
    with ThreadPoolExecutor(WRITERS) as writers:
        written = sum(writers.map(_post, bodies))
    mark("done", events=written)


def _records(wanted: int) -> Iterable[bytes]:
    settings = KafkaSettings.from_env()
    consumer = Consumer(dict(connection_config(settings) | group_config(settings, os.environ["BENCH_GROUP"])))
    consumer.subscribe([os.environ["BENCH_TOPIC"]])
    yield from islice(_lines(consumer), wanted)
    consumer.close()


def _lines(consumer: Consumer) -> Iterator[bytes]:
    while True:
        for message in consumer.consume(5_000, timeout=0.1):
            value = message.value() or b""
            source = b'%s,"origin":"%d:%d"}' % (value[:-1], message.partition() or 0, message.offset() or 0)
            yield b'{"create":{"_id":"%s"}}\n%s\n' % (orjson.loads(value)["event_id"].encode(), source)


def _post(bulk: tuple[bytes, int]) -> int:
    body, count = bulk
    if not hasattr(_here, "connection"):
        address = urlsplit(os.environ["OPENSEARCH_URL"])
        _here.connection = HTTPConnection(address.hostname or "", address.port or 80)
    _here.connection.request(
        "POST",
        f"/{EVENTS_INDEX}/_bulk?filter_path=errors",
        body,
        {"Content-Type": "application/x-ndjson"},
    )
    answer = orjson.loads(_here.connection.getresponse().read())
    assert answer == {"errors": False}, answer
    return count


if __name__ == "__main__":
    main()
