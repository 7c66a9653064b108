"""An OpenSearch that answers too late gets smaller bulks, and never the same documents again and again."""

import threading

import pytest
from psycopg_pool import ConnectionPool
from structlog.testing import capture_logs

from signals.clients.kafka.publisher import Publisher
from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import Client, open_client
from signals.clients.opensearch.index import bulk_create
from signals.clients.postgres import Connection
from signals.errors import DependencyTimedOut
from signals.local.stack import RunningStack
from signals.services.indexing import EventIndexer, Writer
from signals.services.indexing.bulk_size import FIRST
from signals.settings import KafkaSettings, OpenSearchSettings
from tests.support.consuming import drain
from tests.support.events import NOON, errors, publish
from tests.system.faults.http_faults import opensearch_proxy

EVENTS = 1_500
PER_SECOND = 250
TIMEOUT_S = 1.5  # a bulk of the first size takes two seconds
REPEATED = 1.25  # goodput of 80 %: what is sent, for what is taken


def test_starved_server_is_sent_each_document_about_once(
    kafka: KafkaSettings,
    pool: ConnectionPool[Connection],
    opensearch: Client,
    publisher: Publisher,
    servers: RunningStack,
) -> None:
    publish(publisher, errors(EVENTS, NOON))
    target = servers.environment["OPENSEARCH_URL"]
    stopping = threading.Event()
    with opensearch_proxy(target, poison=b"nothing is poisoned") as proxy:
        proxy.per_second = PER_SECOND
        with open_client(OpenSearchSettings(opensearch_url=proxy.url)) as client:
            writer = Writer(client, stopping, timeout_s=TIMEOUT_S)
            with capture_logs() as logs, EventIndexer(kafka, pool, writer, publisher, tick_s=3600) as session:
                drain(session)
    opensearch.indices.refresh(index=EVENTS_INDEX)
    assert opensearch.count(index=EVENTS_INDEX)["count"] == EVENTS
    late = [line["next_size"] for line in logs if line["event"] == "bulk answered too late"]
    assert min(late) < FIRST
    assert proxy.sent <= REPEATED * EVENTS


def test_late_answer_is_told_from_a_dead_server(servers: RunningStack) -> None:
    with opensearch_proxy(servers.environment["OPENSEARCH_URL"], poison=b"nothing") as proxy:
        proxy.per_second = 1
        with (
            open_client(OpenSearchSettings(opensearch_url=proxy.url)) as client,
            pytest.raises(DependencyTimedOut, match="takes requests but answers too late"),
        ):
            bulk_create(client, [("id", b'{"message": "late"}')], timeout_s=0.2)
