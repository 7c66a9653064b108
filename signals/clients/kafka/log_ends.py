"""Reads where the partitions of a topic begin and end; joins no group."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from signals.clients.kafka.broker_faults import describe
from signals.clients.kafka.connection import connection_config
from signals.errors import DependencyUnavailable
from signals.settings import KafkaSettings

ANSWER_S: Final = 2.0  # guess: a page should not wait longer


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSpan:
    """The kept records of a partition: from `begin` to before `end`; those before `old_until` are old."""

    begin: int
    old_until: int
    end: int


def log_ends(settings: KafkaSettings, topic: str, *, answer_s: float = ANSWER_S) -> dict[int, int]:
    """Return the offset behind the last record of each partition; empty when there is no such topic.

    Each of two questions may take `answer_s`.

    Raises:
        DependencyUnavailable: when no broker answers in time.
    """
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    [ends] = _offsets(settings, topic, [latest], answer_s)
    return ends


def log_spans(settings: KafkaSettings, topic: str, *, old_before: datetime) -> dict[int, LogSpan]:
    """Return the span of each partition, and where in it the records from `old_before` on begin.

    Takes as long as `log_ends`. An instant is that of the producer's clock.

    Raises:
        DependencyUnavailable: when no broker answers in time.
    """
    asked = [
        OffsetSpec.latest(),  # type: ignore[no-untyped-call]  # first: a record after it counts as young
        OffsetSpec.for_timestamp(int(old_before.timestamp() * 1000)),
        OffsetSpec.earliest(),  # type: ignore[no-untyped-call]
    ]
    ends, younger, begins = _offsets(settings, topic, asked, ANSWER_S)
    return {
        partition: LogSpan(
            begin=begins[partition],
            old_until=min(end, younger[partition]) if younger[partition] >= 0 else end,  # -1: none is young
            end=end,
        )
        for partition, end in ends.items()
    }


def _offsets(
    settings: KafkaSettings, topic: str, asked: list[OffsetSpec], answer_s: float
) -> list[dict[int, int]]:
    """Ask for several offsets of each partition, one question after the other."""
    admin = AdminClient(dict(connection_config(settings)))  # type: ignore[arg-type]  # types lack callables
    try:
        partitions = admin.list_topics(topic, timeout=answer_s).topics[topic].partitions
        if not partitions:
            return [{} for _ in asked]
        found = []
        for spec in asked:
            places = {TopicPartition(topic, number): spec for number in partitions}
            answers = admin.list_offsets(places, request_timeout=answer_s)
            found.append(
                {place.partition: one.result(timeout=answer_s).offset for place, one in answers.items()}
            )
        return found
    except (KafkaException, TimeoutError) as error:
        text = describe(error) if isinstance(error, KafkaException) else "it did not answer in time"
        raise DependencyUnavailable("Kafka", text) from error
