"""A prefilled topic, and the history that makes its keys calm or firing."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import psycopg
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from benchmarks.events import RATE_PER_S, START, EventKind, records
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.connection import ensure_topics
from signals.clients.postgres import conninfo, open_pool, transaction
from signals.domain.detection.buckets import minute_of, series_of
from signals.domain.detection.counts import MINUTES_READ
from signals.settings import KafkaSettings, PostgresSettings
from signals.store.detection import buckets

FLUSH_S: Final = 60.0
GONE_WITHIN_S: Final = 20.0
POLL_S: Final = 0.05


def fill(kafka: KafkaSettings, chosen: list[EventKind], count: int) -> None:
    """Publish `count` events of these kinds to the raw topic, as ingest-api's producer would place them."""
    ensure_topics(kafka)
    producer = Producer(
        {"bootstrap.servers": kafka.kafka_brokers, "partitioner": "murmur2_random", "linger.ms": 20}
    )
    for key, value in records(chosen, count):
        while True:
            try:
                producer.produce(RAW_TOPIC, value, key)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    assert producer.flush(FLUSH_S) == 0, "Kafka did not take the backlog"


def empty(kafka: KafkaSettings) -> None:
    """Create the raw topic again, without records."""
    admin = AdminClient({"bootstrap.servers": kafka.kafka_brokers})
    if RAW_TOPIC in admin.list_topics(timeout=10).topics:
        admin.delete_topics([RAW_TOPIC])[RAW_TOPIC].result(timeout=10)
    deadline = time.monotonic() + GONE_WITHIN_S
    while RAW_TOPIC in admin.list_topics(timeout=10).topics:
        assert time.monotonic() < deadline, "Kafka still has the topic"
        time.sleep(POLL_S)
    ensure_topics(kafka)


def remember(
    database: PostgresSettings, calm: Sequence[EventKind], kinds: int, *, start: datetime = START
) -> None:
    """Write the preceding hour of each calm kind, at the rate of the events to come."""
    minute, per_minute = minute_of(start), RATE_PER_S * 60 // kinds
    series = [one for kind in calm if (one := series_of(kind.envelope))]
    past = {(one, minute - back): per_minute for one in series for back in range(1, MINUTES_READ + 1)}
    with open_pool(database, size=1) as pool, transaction(pool) as connection:
        buckets.increment(connection, past)
    with psycopg.connect(conninfo(database), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE metrics_buckets")
