"""The limit of batches: parse each body with orjson and produce its events as they are, nothing else."""

import os
import time
from pathlib import Path

import orjson
from confluent_kafka import Producer

from benchmarks.bodies import read_bodies
from benchmarks.peers.marks import mark


def main() -> None:
    """Produce the bodies repeatedly for the given time, with as many in flight as the other clients."""
    in_flight = int(os.environ["BENCH_IN_FLIGHT"])
    producer = Producer(
        {
            "bootstrap.servers": os.environ["KAFKA_BROKERS"],
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 1,
            "compression.type": "lz4",
            "partitioner": "murmur2_random",
        }
    )
    topic = os.environ["BENCH_TOPIC"]
    producer.list_topics(topic, timeout=10)
    bodies = read_bodies(Path(os.environ["BENCH_BODIES"]))
    mark("first")
    ends_at, events = time.monotonic() + float(os.environ["BENCH_SECONDS"]), 0
    while time.monotonic() < ends_at:
        batch = orjson.loads(bodies[events % len(bodies)])
        for event in batch:
            producer.produce(topic, orjson.dumps(event), event["attributes"]["route"])
        events += len(batch)
        producer.poll(0)
        while len(producer) > in_flight:
            producer.poll(0.01)
    assert producer.flush(30) == 0
    mark("done", events=events)


if __name__ == "__main__":
    main()
