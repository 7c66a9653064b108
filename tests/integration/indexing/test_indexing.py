"""The indexer on real Kafka and OpenSearch."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from psycopg_pool import ConnectionPool

from shared_types import Envelope, Tenancy
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.publisher import OutgoingRecord, Publisher
from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import Client
from signals.clients.opensearch.index import ensure_index
from signals.clients.postgres import Connection, transaction
from signals.domain.findings.labels import LabelPolicy
from signals.errors import DependencyUnavailable
from signals.local.stack import RunningStack
from signals.services.indexing import EventIndexer, Writer, bulk
from signals.settings import KafkaSettings
from tests.support.consuming import drain, own_all
from tests.support.events import NOON, errors, event, publish
from tests.support.waiting import until

Open = Callable[..., AbstractContextManager[EventIndexer]]


@pytest.fixture
def indexer(
    kafka: KafkaSettings, pool: ConnectionPool[Connection], opensearch: Client, publisher: Publisher
) -> Open:
    """Opens sessions of the indexer."""

    @contextmanager
    def open_session(
        client: Client = opensearch, labels: LabelPolicy | None = None
    ) -> Iterator[EventIndexer]:
        with EventIndexer(kafka, pool, Writer(client), publisher, tick_s=0.05, labels=labels) as session:
            own_all(session)
            yield session

    return open_session


def documents(client: Client) -> dict[str, Any]:
    client.indices.refresh(index=EVENTS_INDEX)
    hits = client.search(index=EVENTS_INDEX, body={"size": 1000})["hits"]["hits"]
    return {hit["_id"]: hit["_source"] for hit in hits}


def test_event_read_twice_is_indexed_once_under_its_id(
    indexer: Open, opensearch: Client, publisher: Publisher
) -> None:
    events = list(errors(50, NOON))
    publish(publisher, [*events, *events])
    with indexer() as session:
        drain(session)
    found = documents(opensearch)
    assert set(found) == {str(e.event_id) for e in events}
    assert found[str(events[0].event_id)]["attributes"]["status_code"] == 503


def test_an_id_that_another_project_used_first_hides_no_event(
    indexer: Open, opensearch: Client, publisher: Publisher
) -> None:
    theirs = event("error", NOON, error_code="THEIRS", tenancy=Tenancy("org_2", "proj_2"))
    ours = event("error", NOON, error_code="OURS", event_id=theirs.event_id)
    publish(publisher, [theirs])
    with indexer() as session:
        drain(session)
        publish(publisher, [ours, ours])
        drain(session)
    found = documents(opensearch)
    assert {(d["project_id"], d["attributes"]["error_code"]) for d in found.values()} == {
        ("proj_2", "THEIRS"),
        ("proj_1", "OURS"),
    }
    assert len(found) == 2


class SecondFirst(Client):
    """Answers its first bulk only after its second one: two must be on their way at once."""

    def __init__(self, url: str) -> None:
        super().__init__(url, max_retries=0)
        self._numbers = count()
        self._second = threading.Event()
        self.overlapped = False

    def bulk(self, *arguments: Any, **options: Any) -> Any:
        number = next(self._numbers)
        if number == 0:
            self.overlapped = self._second.wait(90)
        answer = super().bulk(*arguments, **options)
        if number == 1:
            self._second.set()
        return answer


def test_next_bulk_is_sent_before_the_last_is_answered(
    indexer: Open, opensearch: Client, publisher: Publisher, servers: RunningStack
) -> None:
    client = SecondFirst(servers.environment["OPENSEARCH_URL"])
    with indexer(client) as session:
        for on_their_way in (1, 2):
            publish(publisher, errors(5, NOON))
            until(lambda: session.step(0.1) >= 0 and session.in_flight >= on_their_way)  # noqa: B023  # called here only
        drain(session)
    assert client.overlapped
    assert len(documents(opensearch)) == 10


def test_batch_in_flight_at_the_end_of_a_session_is_read_again_without_duplicates(
    indexer: Open, opensearch: Client, publisher: Publisher, pool: ConnectionPool[Connection]
) -> None:
    with indexer() as session:
        publish(publisher, errors(20, NOON))
        until(lambda: session.step(0.1) == 0 and session.in_flight)  # sent, and not settled yet
    with transaction(pool) as connection:
        settled = connection.execute("SELECT sum(next_offset)::int FROM pipeline.offsets").fetchone()
    assert settled == (0,)
    with indexer() as session:
        drain(session)
    assert len(documents(opensearch)) == 20
    with transaction(pool) as connection:
        rows = connection.execute(
            "SELECT outcome, sum(events) FROM pipeline.ledger GROUP BY outcome"
        ).fetchall()
    assert rows == [("indexed", 20)]


def test_odd_but_valid_events_are_searchable(indexer: Open, opensearch: Client, publisher: Publisher) -> None:
    many: dict[str, Any] = {f"field_{n}": n for n in range(50)}
    clashing: dict[str, Any] = {"route": "/x", "route.x": "clashes"}
    odd: list[Envelope] = [
        event("custom", NOON, status_code="not a number", depth={"a": {"b": [1, 2]}}),
        event("error", NOON, route="/" + "x" * 255, error_code="ü|%", release="-"),
        event("custom", NOON + timedelta(hours=1), **many),
    ]
    odd.append(event("error", NOON, **clashing))
    payload = {"text": "y" * 20_000, "list": [{"k": "v"}, 3, None], "nested": {"a.b": {"c.d": "dots"}}}
    odd.append(odd[0].model_copy(update={"payload": payload, "event_id": event("custom", NOON).event_id}))
    publish(publisher, odd)
    with indexer() as session:
        drain(session)
    found = documents(opensearch)
    assert set(found) == {str(e.event_id) for e in odd}
    clash = found[str(odd[3].event_id)]
    assert clash["attributes"] == {"route": "/x"}
    assert "clashes" in clash["original"]
    fields = opensearch.indices.get_mapping(index=EVENTS_INDEX)[EVENTS_INDEX]["mappings"]["properties"]
    assert set(fields["attributes"]["properties"]) == {
        "route",
        "method",
        "error_code",
        "release",
        "status_code",
    }


def test_broken_record_does_not_block_the_others(
    indexer: Open, opensearch: Client, publisher: Publisher
) -> None:
    publisher.publish_and_wait(RAW_TOPIC, [OutgoingRecord(key=b"k", value=b"no json")])
    publish(publisher, errors(3, NOON))
    with indexer() as session:
        drain(session)
    assert len(documents(opensearch)) == 3


def test_a_second_start_finds_the_index(opensearch: Client) -> None:
    assert ensure_index(opensearch) is False


def test_absent_opensearch_keeps_the_offset(
    indexer: Open, opensearch: Client, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "FIRST_PAUSE_S", 0.01)
    publish(publisher, errors(3, NOON))
    nowhere = Client("http://127.0.0.1:1", max_retries=0)
    with (
        pytest.raises(DependencyUnavailable, match="OpenSearch"),
        indexer(nowhere) as session,
    ):
        until(lambda: session.step(0.1) and False)
    with indexer() as session:
        drain(session)
    assert len(documents(opensearch)) == 3
