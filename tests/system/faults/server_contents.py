"""Reads what Kafka, PostgreSQL and OpenSearch hold of one project."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid5

import psycopg
from confluent_kafka import Consumer, KafkaException, TopicPartition

from signals.clients.kafka import ENGINE_GROUP, RAW_TOPIC
from signals.clients.opensearch.connection import open_client
from signals.clients.postgres import Connection, conninfo
from signals.services.summary.versions import ASKED, FIRST, FOUND
from signals.settings import KafkaSettings, OpenSearchSettings, PostgresSettings
from tests.system.faults.traffic import Series
from tests.system.faults.verdict import Jobs, Observation

BROKER_TIMEOUT_S: Final = 20.0
PAGE: Final = 2_000
FINISHED: Final = ("succeeded", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Addresses for the checker, around the proxies where possible."""

    kafka: KafkaSettings
    postgres: PostgresSettings
    opensearch: OpenSearchSettings

    def database(self) -> Connection:
        """Connect; every statement is a transaction of its own."""
        return psycopg.connect(conninfo(self.postgres), autocommit=True)


def observe(
    servers: Servers, project_id: str, since: Mapping[int, int], *, with_jobs: bool = True
) -> Observation:
    """Read everything once. `since` gives the project's first offsets in the log: see `log_ends`."""
    ends = log_ends(servers.kafka)
    with servers.database() as connection:
        return Observation(
            logged=list(_logged(servers.kafka, project_id, since, ends)),
            buckets=_buckets(connection, project_id),
            jobs=_jobs(connection, project_id) if with_jobs else Jobs(),
            accounted=_accounted(connection, project_id),
            uncounted_records=_unsettled(connection, ends, ENGINE_GROUP),
            indexed=list(_indexed(servers.opensearch, project_id)),
        )


def log_ends(kafka: KafkaSettings) -> dict[int, int]:
    """Return the offset after the newest record of each partition of the events' topic."""
    with _reader(kafka) as consumer:
        partitions = consumer.list_topics(RAW_TOPIC, timeout=BROKER_TIMEOUT_S).topics[RAW_TOPIC].partitions
        return {
            number: consumer.get_watermark_offsets(
                TopicPartition(RAW_TOPIC, number), timeout=BROKER_TIMEOUT_S, cached=False
            )[1]
            for number in partitions
        }


def _reader(kafka: KafkaSettings) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": kafka.kafka_brokers,
            "group.id": "trial-checker",  # required, never joined
            "enable.auto.commit": False,
            "enable.partition.eof": False,
            "auto.offset.reset": "earliest",
            "log_level": 0,
        }
    )


def _logged(
    kafka: KafkaSettings, project_id: str, since: Mapping[int, int], ends: Mapping[int, int]
) -> Iterator[UUID]:
    """Read the log between two sets of offsets, and pass on the ids of the project's events."""
    open_ends = {number: end for number, end in ends.items() if since.get(number, 0) < end}
    if not open_ends:
        return
    with _reader(kafka) as consumer:
        consumer.assign([TopicPartition(RAW_TOPIC, n, since.get(n, 0)) for n in open_ends])
        while open_ends:
            first = consumer.poll(BROKER_TIMEOUT_S)
            if first is None:
                raise TimeoutError(f"the log ends early: {open_ends}")
            for message in (first, *consumer.consume(PAGE, timeout=0)):
                error, number, offset = message.error(), message.partition(), message.offset()
                if error is not None:
                    raise KafkaException(error)
                assert number is not None
                assert offset is not None
                yield from _event_ids(message.value() or b"", project_id)
                if offset + 1 >= open_ends.get(number, 0):
                    open_ends.pop(number, None)


def _event_ids(value: bytes, project_id: str) -> Iterator[UUID]:
    try:
        event: Any = json.loads(value)
    except ValueError:
        return  # a poisoned record of another test
    if isinstance(event, dict) and event.get("project_id") == project_id:
        yield UUID(event["event_id"])


def _buckets(connection: Connection, project_id: str) -> dict[Series, int]:
    rows = connection.execute(
        "SELECT metric_name, fingerprint, bucket_start, sum(value) FROM metrics_buckets"
        " WHERE project_id = %s GROUP BY 1, 2, 3",
        (project_id,),
    )
    return {Series(metric, name, minute): int(value) for metric, name, minute, value in rows}


def _jobs(connection: Connection, project_id: str) -> Jobs:
    jobs = connection.execute(
        "SELECT j.id, j.status FROM ai_jobs j JOIN incidents i ON i.id = j.incident_id WHERE project_id = %s",
        (project_id,),
    ).fetchall()
    outputs = connection.execute(
        "SELECT o.id FROM ai_outputs o JOIN incidents i ON i.id = o.incident_id WHERE project_id = %s",
        (project_id,),
    ).fetchall()
    # Stored before the job's own output, once each: their ids are made of the job's.
    before = {uuid5(job_id, name) for job_id, _ in jobs for name in (FIRST, FOUND, ASKED)}
    return Jobs(
        live=frozenset(job_id for job_id, status in jobs if status not in FINISHED),
        expected_outputs=frozenset(uuid5(job_id, "summary") for job_id, status in jobs if status in FINISHED),
        outputs=tuple(output_id for (output_id,) in outputs if output_id not in before),
    )


def _accounted(connection: Connection, project_id: str) -> dict[str, dict[str, int]]:
    rows = connection.execute(
        "SELECT stage, outcome, sum(events) FROM pipeline.ledger"
        " WHERE project_id = %s AND stage <> 'ingest-api' AND outcome <> 'requeued' GROUP BY 1, 2",
        (project_id,),
    )
    found: dict[str, dict[str, int]] = {"incident-engine": {}, "indexer": {}}
    for stage, outcome, events in rows:
        found[stage][outcome] = int(events)
    return found


def unsettled(servers: Servers, *groups: str) -> int:
    """Return how many records of the events' topic these consumer groups have before them, together."""
    ends = log_ends(servers.kafka)
    with servers.database() as connection:
        return sum(_unsettled(connection, ends, group) for group in groups)


def _unsettled(connection: Connection, ends: Mapping[int, int], group: str) -> int:
    rows = connection.execute(
        "SELECT partition, next_offset FROM pipeline.offsets WHERE consumer_group = %s", (group,)
    )
    settled: dict[int, int] = dict(rows.fetchall())
    return sum(max(0, end - settled.get(number, 0)) for number, end in ends.items())


def _indexed(settings: OpenSearchSettings, project_id: str) -> Iterator[UUID]:
    """Page through every document of the project, with any index and `_id`."""
    query = {"size": PAGE, "_source": ["event_id"], "query": {"term": {"project_id": project_id}}}
    with open_client(settings) as client:
        client.indices.refresh(index="_all")
        page = client.search(index="_all", body=query, scroll="1m")
        while page["hits"]["hits"]:
            yield from (UUID(hit["_source"]["event_id"]) for hit in page["hits"]["hits"])
            page = client.scroll(scroll_id=page["_scroll_id"], scroll="1m")
        client.clear_scroll(scroll_id=page["_scroll_id"])
