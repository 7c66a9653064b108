"""OpenSearch faults: refusals, a poisoned document in each bulk, a full disk, truncated answers.

Consumers are a plain process; the indexer reaches OpenSearch through a test proxy.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer, TopicPartition

from signals.clients.kafka import DLQ_TOPIC
from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import open_client
from signals.settings import KafkaSettings
from tests.support.waiting import until
from tests.system.faults.consumer_set import consumer_set, environment_of
from tests.system.faults.http_faults import Fault, OpenSearchProxy, opensearch_proxy
from tests.system.faults.table import FaultRow
from tests.system.faults.trial import Stage, Trial, trial
from tests.system.faults.watch import resident_mb

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

Rows = Callable[[str], FaultRow]
POISON = "poisoned-project"
BULKS = 6
GROWTH_MB = 120  # a queue without end would grow by far more


@contextmanager
def hurt_index(stage: Stage) -> Iterator[tuple[OpenSearchProxy, int]]:
    """Run an engine and an indexer behind the proxy; also yield their process."""
    target = stage.servers.opensearch.opensearch_url
    with opensearch_proxy(target, poison=f'"project_id":"{POISON}"'.encode()) as proxy:
        environment = environment_of(stage.servers) | {"OPENSEARCH_URL": proxy.url}
        with consumer_set(environment, kinds=("incident-engine", "indexer")) as process:
            yield proxy, process.pid


def dead_letters(kafka: KafkaSettings) -> int:
    """Return the number of dead-lettered records."""
    consumer = Consumer({"bootstrap.servers": kafka.kafka_brokers, "group.id": "letters", "log_level": 0})
    try:
        return int(consumer.get_watermark_offsets(TopicPartition(DLQ_TOPIC, 0), timeout=20)[1])
    finally:
        consumer.close()


def hurt(running: Trial, proxy: OpenSearchProxy, fault: Fault, status: int = 429) -> None:
    """Apply the fault to some bulks, then remove it."""
    proxy.hurt = 0
    proxy.set_fault(fault, status)
    try:
        until(lambda: proxy.hurt >= BULKS, within_s=120)
    finally:
        proxy.set_fault("none")
    running.injected(proxy.hurt)
    running.recovered()


@pytest.mark.parametrize(
    ("fault", "status"),
    [("request", 429), ("request", 503), ("items", 429), ("items", 503), ("items", 403)],
)
def test_overload_and_blocks_cause_no_dead_letters(
    pipeline_stage: Stage, fault_row: Rows, fault: Fault, status: int
) -> None:
    row = fault_row("OpenSearch 429, 503 and 403, whole bulks and single documents")
    with hurt_index(pipeline_stage) as (proxy, pid), trial(pipeline_stage, row, seed=status) as running:
        running.recovered()
        before = resident_mb(pid)
        hurt(running, proxy, fault, status)
        row.used_memory(resident_mb(pid))
        assert resident_mb(pid) - before < GROWTH_MB
    assert dead_letters(pipeline_stage.servers.kafka) == 0


@pytest.mark.parametrize("fault", ["cut", "garbage"])
def test_bulk_with_a_lost_answer_is_neither_lost_nor_doubled(
    pipeline_stage: Stage, fault_row: Rows, fault: Fault
) -> None:
    row = fault_row("OpenSearch applies a bulk, its answer is cut off or garbage")
    with hurt_index(pipeline_stage) as (proxy, _), trial(pipeline_stage, row, seed=52) as running:
        running.recovered()
        hurt(running, proxy, fault)
    assert dead_letters(pipeline_stage.servers.kafka) == 0


def test_only_the_poisoned_document_of_a_bulk_is_dead_lettered(
    pipeline_stage: Stage, fault_row: Rows
) -> None:
    row = fault_row("one poisoned document in each bulk")
    poisoned = 0
    with hurt_index(pipeline_stage), trial(pipeline_stage, row, seed=53) as running:
        running.recovered()
        sender = pipeline_stage.project(POISON)
        for _ in range(BULKS):
            events = running.traffic.burst(1, ["POISONED"])
            assert sender.send(events).acknowledged
            poisoned += len(events)
            running.injected()
            running.recovered()
        until(lambda: dead_letters(pipeline_stage.servers.kafka) >= poisoned, within_s=60)
    assert dead_letters(pipeline_stage.servers.kafka) == poisoned


@pytest.mark.faults_quick
@pytest.mark.parametrize("block", ["read_only_allow_delete", "write"])
def test_full_disk_blocks_the_index_without_losses_or_dead_letters(
    pipeline_stage: Stage, fault_row: Rows, block: str
) -> None:
    """The block is what a real OpenSearch puts on indices above its flood-stage watermark (429), or 403."""
    row = fault_row("disk watermark: the index takes no writes")
    name = f"index.blocks.{block}"
    with (
        open_client(pipeline_stage.servers.opensearch) as client,
        hurt_index(pipeline_stage),
        trial(pipeline_stage, row, seed=54) as running,
    ):
        running.recovered()
        client.indices.put_settings(index=EVENTS_INDEX, body={name: True})
        try:
            sent = len(running.sent.acknowledged)
            until(lambda: len(running.sent.acknowledged) > sent + 400, within_s=120)
        finally:
            client.indices.put_settings(index=EVENTS_INDEX, body={name: None})
        running.injected()
        running.recovered()
    assert dead_letters(pipeline_stage.servers.kafka) == 0
