"""An OpenSearch that refuses bulks, or hangs up on them, gets smaller ones, and no document twice."""

import re

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.kafka.publisher import Publisher
from signals.clients.opensearch.connection import Client, open_client
from signals.clients.postgres import Connection
from signals.services.indexing import EventIndexer, Writer, bulk
from signals.settings import KafkaSettings, OpenSearchSettings
from tests.integration.indexing.test_slow_opensearch import (
    FEW,
    Actor,
    indexed,
    outcomes,
    reported,
)
from tests.integration.indexing.test_slow_opensearch import actor as actor  # a fixture
from tests.integration.indexing.test_slow_opensearch import proxy as proxy  # a fixture
from tests.support.consuming import drain
from tests.support.events import NOON, errors, event, publish
from tests.support.waiting import until
from tests.system.faults.http_faults import Fault, OpenSearchProxy

REFUSALS = 5  # a bulk of each writer, and more
MOST_BYTES = 30_000  # of a proxy; some fifty events have more


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        ("request", 429, "running OpenSearch is unavailable: it answered 429: it is overloaded"),
        ("request", 503, "running OpenSearch is unavailable: it answered 503: it is overloaded"),
        ("items", 429, "running OpenSearch is unavailable: it refuses .* again and again"),
    ],
)
def test_refused_bulks_are_sent_again_by_the_same_session(
    actor: Actor,
    pool: ConnectionPool[Connection],
    opensearch: Client,
    publisher: Publisher,
    proxy: OpenSearchProxy,
    fault: Fault,
    status: int,
    said: str,
) -> None:
    proxy.set_fault(fault, status)
    publish(publisher, errors(FEW, NOON))
    actor.watch(until_true=lambda: proxy.hurt >= REFUSALS)
    until(lambda: re.match(said, reported(pool)))
    proxy.set_fault("none")
    actor.watch(until_true=lambda: sum(outcomes(pool).values()) >= FEW)
    assert (actor.sessions, actor.stuck, indexed(opensearch)) == (1, 0, FEW)
    assert outcomes(pool) == {"indexed": FEW}
    until(lambda: reported(pool) == "running")


@pytest.mark.parametrize("fault", ["cut", "garbage"])
def test_documents_taken_before_the_connection_broke_are_not_sent_again(
    actor: Actor,
    pool: ConnectionPool[Connection],
    opensearch: Client,
    publisher: Publisher,
    proxy: OpenSearchProxy,
    fault: Fault,
) -> None:
    proxy.set_fault(fault)
    publish(publisher, errors(FEW, NOON))
    actor.watch(until_true=lambda: sum(outcomes(pool).values()) >= FEW)
    assert (actor.sessions, proxy.sent, indexed(opensearch)) == (1, FEW, FEW)
    assert outcomes(pool) == {"indexed": FEW}


def test_bulks_are_as_small_as_a_proxy_before_opensearch_wants_them(
    kafka: KafkaSettings,
    pool: ConnectionPool[Connection],
    opensearch: Client,
    publisher: Publisher,
    proxy: OpenSearchProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk, "RETRIES", 0)  # it is no overload
    proxy.most_bytes = MOST_BYTES
    large = event("error", NOON, error_code="LARGE").model_copy(update={"payload": {"x": "y" * MOST_BYTES}})
    publish(publisher, [*errors(FEW, NOON), large, *errors(FEW, NOON)])
    with open_client(OpenSearchSettings(opensearch_url=proxy.url)) as client:
        writer = Writer(client)
        with EventIndexer(kafka, pool, writer, publisher, tick_s=3600) as session:
            drain(session)
    assert indexed(opensearch) == proxy.sent == 2 * FEW
    assert outcomes(pool) == {"indexed": 2 * FEW, "dead_lettered": 1}
    assert 0 < writer.size.bytes < MOST_BYTES
