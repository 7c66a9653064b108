"""The engine's limit: `consume()` and decode, nothing kept."""

import os

import orjson
from confluent_kafka import Consumer

from benchmarks.peers.marks import FirstRecord, mark
from signals.clients.kafka.connection import connection_config, group_config
from signals.garbage import collect_less_often
from signals.settings import KafkaSettings

BATCH = 20_000  # as many as the engine asks for


def main() -> None:
    """Read `BENCH_EVENTS` records of `BENCH_TOPIC` with the settings that the product uses."""
    collect_less_often()
    wanted = int(os.environ["BENCH_EVENTS"])
    settings = KafkaSettings.from_env()
    consumer = Consumer(dict(connection_config(settings) | group_config(settings, os.environ["BENCH_GROUP"])))
    consumer.subscribe([os.environ["BENCH_TOPIC"]])
    first, seen = FirstRecord(), 0
    while seen < wanted:
        for message in consumer.consume(min(BATCH, wanted - seen), timeout=0.1):
            first()
            orjson.loads(message.value() or b"")
            seen += 1
    mark("done", events=seen)
    consumer.close()


if __name__ == "__main__":
    main()
