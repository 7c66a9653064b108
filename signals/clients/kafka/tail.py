"""Reads what is published to a topic from now on, in all its partitions; joins no group.

For announcements that every process must see. A process that dies leaves nothing behind: no member keeps
partitions until its session runs out.
"""

from typing import Final, Self

from confluent_kafka import Consumer, KafkaException, TopicPartition

from signals.clients.kafka.broker_faults import BrokerFaults
from signals.clients.kafka.connection import connection_config
from signals.clients.kafka.consumer import BROKER_TIMEOUT_S, record_of
from signals.clients.kafka.log_ends import log_ends
from signals.errors import DependencyUnavailable
from signals.periodic import Interval
from signals.settings import KafkaSettings

MOST: Final = 100  # records that one call of `poll` returns
GROWTH_S: Final = 60.0  # guess: how late a new partition is noticed
PREFETCH_KBYTES: Final = 256  # announcements are a few hundred bytes


class TopicTail:
    """The end of a topic. Used by one thread, as a context manager.

    librdkafka demands the name of a group (`name`); without a subscription it has no members.
    """

    def __init__(self, settings: KafkaSettings, topic: str, *, name: str) -> None:
        """Find the ends: what is published later is read.

        Raises:
            DependencyUnavailable: when no broker answers, or there is no such topic.
        """
        self._topic = topic
        self._growth = Interval(GROWTH_S)
        self._faults = BrokerFaults(settings)
        ends = log_ends(settings, topic, answer_s=BROKER_TIMEOUT_S)
        if not ends:
            raise DependencyUnavailable("Kafka", f"there is no topic {topic}")
        self._partitions = len(ends)
        config = connection_config(settings, self._faults) | {
            "group.id": name,
            "enable.auto.commit": False,
            "auto.offset.reset": "latest",  # of a topic that was created anew
            "queued.max.messages.kbytes": PREFETCH_KBYTES,
            "fetch.wait.max.ms": 1_000,  # of an idle partition only: a record ends the wait
        }
        self._consumer = Consumer(dict(config))
        self._consumer.assign([TopicPartition(topic, partition, end) for partition, end in ends.items()])
        self._growth.is_due()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def poll(self, timeout_s: float) -> int:
        """Take what is there; wait up to `timeout_s` only for the first. Return how many records.

        Raises:
            DependencyUnavailable: when the tail must be opened anew.
        """
        try:
            first = self._consumer.poll(timeout_s)
            if first is None:
                return 0
            messages = [first, *self._consumer.consume(MOST - 1, timeout=0)]
        except KafkaException as error:
            raise DependencyUnavailable("Kafka", self._faults.explain(error)) from error
        return len([record_of(message) for message in messages])

    def has_grown(self) -> bool:
        """Ask once a minute whether the topic has other partitions than are read: then open it anew.

        Raises:
            DependencyUnavailable: when no broker answers.
        """
        if not self._growth.is_due():
            return False
        try:
            topic = self._consumer.list_topics(self._topic, timeout=BROKER_TIMEOUT_S).topics[self._topic]
        except KafkaException as error:
            raise DependencyUnavailable("Kafka", self._faults.explain(error)) from error
        return len(topic.partitions) != self._partitions
