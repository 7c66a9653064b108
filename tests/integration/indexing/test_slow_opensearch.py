"""An OpenSearch that answers too late gets smaller bulks, and never the same documents again and again."""

import re
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from psycopg_pool import ConnectionPool
from structlog.testing import capture_logs

from actors import keeping
from actors.consumers import Health
from actors.keeping import HealthTracker
from actors.loop import ConsumerLoop
from signals.cli.status import state_of
from signals.clients.kafka.publisher import Publisher
from signals.clients.opensearch import EVENTS_INDEX, connection
from signals.clients.opensearch.connection import Client, open_client
from signals.clients.opensearch.index import bulk_create, ensure_index
from signals.clients.postgres import Connection, transaction
from signals.errors import DependencyTimedOut, DependencyUnavailable
from signals.local.stack import RunningStack
from signals.services.indexing import EventIndexer, Writer, bulk
from signals.services.indexing import indexer as indexing
from signals.services.indexing.bulk_size import FIRST
from signals.services.indexing.indexer import MAX_IN_FLIGHT, WRITERS
from signals.settings import KafkaSettings, OpenSearchSettings
from signals.store.operations import offsets, workers
from tests.support.consuming import PARTITIONS, drain
from tests.support.events import NOON, errors, publish
from tests.support.waiting import until
from tests.system.faults.http_faults import OpenSearchProxy, opensearch_proxy

EVENTS = 1_500
PER_SECOND = 75  # so few that our own processor time does not matter
LATE_S = 6.0  # a bulk of the first size takes longer
GOODPUT = 0.8
TIMEOUT_S = 1.5
REPEATED = 1 / GOODPUT

IDLE_S = 8.0  # the supervisor's limit, made small
SILENT_S = 2.5 * IDLE_S
BATCH = 20
FEW = 5 * BATCH  # two batches being written, one ready, and two that wait in Kafka
FEW_PER_SECOND = 8
SAID = r"running OpenSearch has not answered a bulk of \d+ documents for \d+ s"
CODES = 6  # fingerprints: enough for each partition to have one
ENDED_S = 15.0  # a bulk and a look are given up after 2.5 s, all tries of a batch after more than 30 s


@pytest.fixture
def proxy(servers: RunningStack) -> Iterator[OpenSearchProxy]:
    """Stands before OpenSearch and makes it slow."""
    with opensearch_proxy(servers.environment["OPENSEARCH_URL"], poison=b"nothing is poisoned") as proxy:
        yield proxy
        _let_go(proxy)


def _let_go(proxy: OpenSearchProxy) -> None:
    """Let the proxy do what it was sent, so that the next test finds nothing of it."""
    proxy.per_second = None
    proxy.answering.set()
    until(lambda: proxy.under_way == 0)


class Actor:
    """The indexer's loop with small limits, watched as the supervisor watches it."""

    def __init__(
        self, kafka: KafkaSettings, pool: ConnectionPool[Connection], publisher: Publisher, url: str
    ) -> None:
        self._kafka, self._pool, self._publisher, self._url = kafka, pool, publisher, url
        self._tracker = HealthTracker()
        self.sessions = 0
        self.stuck = 0
        self.details: list[str] = []
        self.loop = ConsumerLoop("slow", "indexer", pool, self._session)

    @contextmanager
    def _session(self, _: threading.Event) -> Iterator[EventIndexer]:
        self.sessions += 1
        with open_client(OpenSearchSettings(opensearch_url=self._url)) as client:
            ensure_index(client)
            writer = Writer(client, timeout_s=TIMEOUT_S)
            with EventIndexer(self._kafka, self._pool, writer, self._publisher, tick_s=3600) as session:
                yield session

    def watch(self, *, until_true: Callable[[], bool]) -> None:
        """Look at its health regularly until a condition holds."""

        def look() -> bool:
            progress = self.loop.progress
            health = Health(state=progress.state, detail=progress.detail, idle_s=progress.idle_s)
            self.stuck += len(self._tracker.stuck({"slow": health}))
            self.details.append(progress.detail)
            return until_true()

        until(look, within_s=120)


@pytest.fixture
def actor(
    kafka: KafkaSettings,
    pool: ConnectionPool[Connection],
    opensearch: Client,
    publisher: Publisher,
    proxy: OpenSearchProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Actor]:
    """A running actor that owns every partition."""
    monkeypatch.setattr(keeping, "MAX_IDLE_S", IDLE_S)
    monkeypatch.setattr(indexing, "MAX_BATCH", BATCH)
    monkeypatch.setattr(indexing, "PAUSE_AFTER_S", 1.0)
    monkeypatch.setattr(indexing, "LET_GO_S", 1.0)
    monkeypatch.setattr(indexing, "SLOW_S", 1.0)
    monkeypatch.setattr(connection, "REQUEST_TIMEOUT_S", 1.0)
    monkeypatch.setattr(bulk, "RETRIES", 30)  # however long the silence lasts on a slow machine
    actor = Actor(kafka, pool, publisher, proxy.url)
    try:
        until(lambda: len(actor.loop.progress.partitions) == PARTITIONS, within_s=90)
        yield actor
    finally:
        _let_go(proxy)
        actor.loop.stop()
        until(lambda: actor.loop.has_ended, within_s=60)


def indexed(opensearch: Client) -> int:
    """Return how many documents there are."""
    opensearch.indices.refresh(index=EVENTS_INDEX)
    count: int = opensearch.count(index=EVENTS_INDEX)["count"]
    return count


def outcomes(pool: ConnectionPool[Connection]) -> dict[str, int]:
    """Return how many events were settled, by outcome."""
    with pool.connection() as connection:
        return dict(connection.execute("SELECT outcome, sum(events)::int FROM pipeline.ledger GROUP BY 1"))


def reported(pool: ConnectionPool[Connection]) -> str:
    """Return what `signals status` says of the consumer's state."""
    with transaction(pool) as connection:
        [worker] = workers.list_all(connection)
    return state_of(worker)


def test_silent_opensearch_ends_no_actor_and_is_sent_nothing_twice(
    actor: Actor,
    pool: ConnectionPool[Connection],
    opensearch: Client,
    publisher: Publisher,
    proxy: OpenSearchProxy,
) -> None:
    proxy.answering.clear()
    publish(publisher, errors(FEW, NOON))
    speaks_at = time.monotonic() + SILENT_S
    actor.watch(until_true=lambda: time.monotonic() > speaks_at)
    assert len(actor.loop.progress.partitions) == PARTITIONS
    until(lambda: re.match(SAID, reported(pool)))
    proxy.answering.set()
    actor.watch(until_true=lambda: actor.loop.progress.lag == 0 and indexed(opensearch) == FEW)
    assert (actor.sessions, actor.stuck) == (1, 0)
    assert proxy.sent == FEW
    until(lambda: reported(pool) == "running")


def test_opensearch_that_takes_few_documents_ends_no_actor(
    actor: Actor,
    opensearch: Client,
    publisher: Publisher,
    proxy: OpenSearchProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk, "LOOK_AGAIN_S", 5.0)  # in which a starved proxy takes a document, too
    proxy.per_second = FEW_PER_SECOND
    publish(publisher, errors(FEW, NOON))
    actor.watch(until_true=lambda: indexed(opensearch) == FEW and actor.loop.progress.lag == 0)
    assert (actor.sessions, actor.stuck) == (1, 0)
    assert proxy.sent <= FEW + 2 * BATCH


def test_partitions_move_while_opensearch_is_silent(
    actor: Actor,
    kafka: KafkaSettings,
    pool: ConnectionPool[Connection],
    opensearch: Client,
    publisher: Publisher,
    proxy: OpenSearchProxy,
) -> None:
    proxy.answering.clear()
    publish(publisher, errors(FEW, NOON))
    until(lambda: proxy.under_way == WRITERS)
    with EventIndexer(kafka, pool, Writer(opensearch), publisher, tick_s=3600) as other:
        actor.watch(until_true=lambda: other.step(0.1) >= 0 and bool(other.owned()))
    proxy.answering.set()
    actor.watch(until_true=lambda: sum(outcomes(pool).values()) >= FEW)
    assert outcomes(pool) == {"indexed": FEW}
    assert (actor.stuck, indexed(opensearch)) == (0, FEW)


def test_partition_that_left_while_paused_is_read_when_it_comes_back(
    kafka: KafkaSettings,
    pool: ConnectionPool[Connection],
    opensearch: Client,
    publisher: Publisher,
    proxy: OpenSearchProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(indexing, "MAX_BATCH", BATCH)
    monkeypatch.setattr(indexing, "PAUSE_AFTER_S", 0.0)
    monkeypatch.setattr(indexing, "LET_GO_S", 60.0)
    lost: set[int] = set()

    class Answered(EventIndexer):
        def _lost(self, partitions: Collection[int]) -> None:
            lost.update(partitions)
            proxy.answering.set()  # so that all is settled, and the session goes on
            monkeypatch.setattr(indexing, "PAUSE_AFTER_S", 3600.0)  # no later pause ends this one
            super()._lost(partitions)

    def publish_to_all(start: datetime) -> None:
        for number in range(CODES):
            publish(publisher, errors(FEW, start, code=f"CODE_{number}"))

    with (
        open_client(OpenSearchSettings(opensearch_url=proxy.url)) as client,
        Answered(kafka, pool, Writer(client), publisher, tick_s=3600) as session,
    ):
        until(lambda: session.step(0.1) >= 0 and len(session.owned()) == PARTITIONS, within_s=90)
        proxy.answering.clear()
        publish_to_all(NOON)
        until(lambda: session.step(0.1) >= 0 and session.in_flight == MAX_IN_FLIGHT, within_s=90)
        with EventIndexer(kafka, pool, Writer(opensearch), publisher, tick_s=3600) as other:
            until(lambda: session.step(0.1) + other.step(0.1) >= 0 and other.owned(), within_s=90)
        assert lost
        until(lambda: session.step(0.1) >= 0 and len(session.owned()) == PARTITIONS, within_s=90)
        publish_to_all(NOON + timedelta(hours=1))
        until(lambda: session.step(0.1) >= 0 and session.lag() == 0, within_s=90)
    assert indexed(opensearch) == 2 * CODES * FEW


def test_session_ends_soon_while_opensearch_is_silent(
    kafka: KafkaSettings,
    pool: ConnectionPool[Connection],
    opensearch: Client,
    publisher: Publisher,
    proxy: OpenSearchProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "REQUEST_TIMEOUT_S", 1.0)
    publish(publisher, errors(FEW, NOON))
    with open_client(OpenSearchSettings(opensearch_url=proxy.url)) as client:
        writer = Writer(client, timeout_s=TIMEOUT_S)
        with EventIndexer(kafka, pool, writer, publisher, tick_s=3600) as session:
            proxy.answering.clear()
            until(lambda: session.step(0.1) >= 0 and proxy.under_way > 0, within_s=90)
            began = time.monotonic()
        assert time.monotonic() - began < ENDED_S


def test_records_read_again_by_another_session_are_counted_once(
    actor: Actor, opensearch: Client, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance, numbers = offsets.advance, count()

    def fail_second(*arguments: Any, **options: Any) -> None:
        if next(numbers) == 1:
            raise DependencyUnavailable("PostgreSQL", "it went away between bulk and commit")
        advance(*arguments, **options)

    monkeypatch.setattr(offsets, "advance", fail_second)
    publish(publisher, errors(FEW, NOON))
    actor.watch(until_true=lambda: actor.sessions > 1 and actor.loop.progress.lag == 0)
    assert (actor.loop.progress.handled, indexed(opensearch)) == (FEW, FEW)


def test_starved_server_gets_bulks_that_it_answers_and_is_kept_at_work(
    kafka: KafkaSettings,
    pool: ConnectionPool[Connection],
    opensearch: Client,
    publisher: Publisher,
    proxy: OpenSearchProxy,
) -> None:
    publish(publisher, errors(EVENTS, NOON))
    proxy.per_second = PER_SECOND
    with open_client(OpenSearchSettings(opensearch_url=proxy.url)) as client:
        writer = Writer(client, timeout_s=LATE_S)
        with capture_logs() as logs, EventIndexer(kafka, pool, writer, publisher, tick_s=3600) as session:
            drain(session)
    assert indexed(opensearch) == EVENTS
    late = [line["next_size"] for line in logs if line["event"] == "bulk failed"]
    assert min(late) < FIRST
    assert proxy.sent <= REPEATED * EVENTS
    assert proxy.goodput(EVENTS) >= GOODPUT


def test_late_answer_is_told_from_a_dead_server(proxy: OpenSearchProxy) -> None:
    proxy.per_second = 1
    with (
        open_client(OpenSearchSettings(opensearch_url=proxy.url)) as client,
        pytest.raises(DependencyTimedOut, match="takes requests but answers too late"),
    ):
        bulk_create(client, [("id", b'{"message": "late"}')], timeout_s=0.2)
