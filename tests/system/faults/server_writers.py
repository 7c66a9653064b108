"""Small writes to the three servers themselves, without the product, and what they hold afterwards."""

from collections import Counter
from random import Random
from typing import Final

import psycopg
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from opensearchpy import OpenSearch, OpenSearchException

from tests.support.waiting import until

NAME: Final = "disk"
BODY_BYTES: Final = 50_000


class Writers:
    """Writes the same numbers to each server, and remembers which were acknowledged."""

    def __init__(self, environment: dict[str, str], *, fresh: bool) -> None:
        self._url = environment["DATABASE_URL"]
        self._brokers: dict[str, str | int | float | bool] = {
            "bootstrap.servers": environment["KAFKA_BROKERS"],
            "log_level": 0,
        }
        self._client = OpenSearch(environment["OPENSEARCH_URL"], max_retries=0, timeout=15)
        self._random = Random("full disk")
        if fresh:
            self._create()
        settings = {"enable.idempotence": True, "linger.ms": 0, "message.timeout.ms": 8000}
        self._producer = Producer({**self._brokers, **settings})

    def _create(self) -> None:
        with psycopg.connect(self._url) as connection:
            connection.execute("CREATE TABLE disk (number int PRIMARY KEY, body bytea NOT NULL)")
        admin = AdminClient(self._brokers)
        admin.create_topics([NewTopic(NAME, 1, 1)])[NAME].result(60)
        until(lambda: NAME in admin.list_topics(timeout=20).topics)
        settings = {"number_of_replicas": 0, "number_of_shards": 1}
        self._client.indices.create(index=NAME, body={"settings": settings})

    def close(self) -> None:
        self._client.close()

    def write(self, server: str, number: int) -> bool:
        """Return whether the server acknowledged."""
        body = self._random.randbytes(BODY_BYTES)
        return {"postgres": self._row, "kafka": self._record, "opensearch": self._document}[server](
            number, body
        )

    def _row(self, number: int, body: bytes) -> bool:
        try:
            with psycopg.connect(self._url, connect_timeout=10) as connection:
                connection.execute("INSERT INTO disk VALUES (%s, %s)", (number, body))
        except psycopg.OperationalError:  # DiskFull, or the server went down over it
            return False
        return True

    def _record(self, number: int, body: bytes) -> bool:
        delivered: list[bool] = []
        try:
            self._producer.produce(
                NAME, body, str(number), on_delivery=lambda error, _: delivered.append(error is None)
            )
        except KafkaException:
            return False
        self._producer.flush(20)
        return delivered == [True]

    def _document(self, number: int, body: bytes) -> bool:
        try:
            self._client.index(index=NAME, id=str(number), body={"number": number, "body": body.hex()})
        except OpenSearchException:
            return False
        return True

    def found(self) -> dict[str, Counter[int]]:
        """How often each server holds each number."""
        with psycopg.connect(self._url) as connection:
            rows = connection.execute(f"SELECT number FROM {NAME} WHERE length(body) = %s", (BODY_BYTES,))
            postgres = Counter(int(row[0]) for row in rows)
        self._client.indices.refresh(index=NAME)
        query = {"size": 10_000, "_source": ["number"]}
        hits = self._client.search(index=NAME, body=query)["hits"]["hits"]
        opensearch = Counter(int(hit["_source"]["number"]) for hit in hits)
        return {"postgres": postgres, "kafka": self._records(), "opensearch": opensearch}

    def _records(self) -> Counter[int]:
        consumer = Consumer({**self._brokers, "group.id": NAME, "enable.partition.eof": True})
        found: Counter[int] = Counter()
        try:
            consumer.assign([TopicPartition(NAME, 0, 0)])
            while True:
                message = consumer.poll(60)
                assert message is not None, "Kafka is silent"
                if (error := message.error()) is not None:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    return found
                found[int(message.key() or b"")] += len(message.value() or b"") == BODY_BYTES
        finally:
            consumer.close()
