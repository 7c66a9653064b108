"""Reads where the partitions of a topic end; joins no group."""

from typing import Final

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from signals.clients.kafka.broker_faults import describe
from signals.clients.kafka.connection import connection_config
from signals.errors import DependencyUnavailable
from signals.settings import KafkaSettings

ANSWER_S: Final = 2.0  # guess: a page should not wait longer


def log_ends(settings: KafkaSettings, topic: str, *, answer_s: float = ANSWER_S) -> dict[int, int]:
    """Return the offset behind the last record of each partition; empty when there is no such topic.

    Each of two questions may take `answer_s`.

    Raises:
        DependencyUnavailable: when no broker answers in time.
    """
    admin = AdminClient(dict(connection_config(settings)))  # type: ignore[arg-type]  # types lack callables
    try:
        partitions = admin.list_topics(topic, timeout=answer_s).topics[topic].partitions
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = {TopicPartition(topic, number): latest for number in partitions}
        if not asked:
            return {}
        found = admin.list_offsets(asked, request_timeout=answer_s)
        return {place.partition: answer.result(timeout=answer_s).offset for place, answer in found.items()}
    except (KafkaException, TimeoutError) as error:
        text = describe(error) if isinstance(error, KafkaException) else "it did not answer in time"
        raise DependencyUnavailable("Kafka", text) from error
