"""After an upgrade the consumers continue at the stored offsets: nothing is lost, nothing counts twice."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from psycopg_pool import ConnectionPool

from shared_types import Tenancy, partition_key
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.publisher import Publisher, open_publisher
from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import Client
from signals.clients.postgres import Connection
from signals.services.detection import IncidentEngine
from signals.services.detection.history_filling import HistoryFilling
from signals.services.indexing import EventIndexer, Writer
from signals.settings import KafkaSettings
from tests.support.events import event
from tests.support.waiting import until
from tests.system.upgrade.fixtures import Fixture, produce

NEW: Final = 40
REPEATED: Final = 5
LATER_MS: Final = 60_000
"""How long after the release stopped the new records come: within the window of known event ids."""
TICK_S: Final = 3600.0  # the first tick is due at once, and comes before the records or after them
ROUTE: Final = "/login|a"
LEARNED: Final = """
SELECT count(DISTINCT hour.series_id), count(*) FILTER (WHERE hour.value <> hour.counted)
FROM (
    SELECT s.id AS series_id, h.value, (
        SELECT coalesce(sum(b.value), 0) FROM metrics_buckets b
        WHERE (b.project_id, b.environment, b.metric_name, b.fingerprint)
              = (s.project_id, s.environment, s.metric_name, s.fingerprint)
          AND b.bucket_start >= h.hour_start AND b.bucket_start < h.hour_start + interval '1 hour') AS counted
    FROM pipeline.metrics_hours h JOIN pipeline.rule_series s ON s.id = h.series_id
) AS hour
"""
"""Series with hours, and hours that differ from the buckets."""
Outcomes = Counter[tuple[str, str, str]]


@pytest.fixture
def publisher(old_topics: KafkaSettings) -> Iterator[Publisher]:
    """A publisher on the old topics."""
    with open_publisher(old_topics) as publisher:
        yield publisher


def _later(old: Fixture) -> datetime:
    """Return the instant of the new records, soon after the release stopped.

    It is the engine's clock too: by the machine's, which is later, silence would end the incident at a tick.
    """
    newest_ms = max(record["timestamp_ms"] for record in old.records)
    return datetime.fromtimestamp((newest_ms + LATER_MS) / 1000, UTC)


def _send_more(old: Fixture, brokers: str) -> None:
    """Append new errors of a fingerprint that has an incident, and some that were counted before."""
    ours = [
        r for r in old.records if r["topic"] == RAW_TOPIC and ROUTE in (r["key"] or "").replace("%7C", "|")
    ]
    at = _later(old)
    at_ms = round(at.timestamp() * 1000)
    more = [
        event("error", at, tenancy=Tenancy("acme", "web"), route=ROUTE, error_code="AUTH%1")
        for _ in range(NEW)
    ]
    assert {partition_key(each) for each in more} == {record["key"] for record in ours}
    records: list[dict[str, Any]] = [
        {**ours[0], "timestamp_ms": at_ms, "value": each.to_json().decode()} for each in more
    ]
    produce(brokers, [*records, *({**record, "timestamp_ms": at_ms} for record in ours[:REPEATED])])


def _drain(session: IncidentEngine | EventIndexer, partitions: int) -> None:
    until(
        lambda: session.step(0.1) == 0 and len(session.owned()) == partitions and session.lag() == 0,
        within_s=120,
    )


def _one(pool: ConnectionPool[Connection], query: str) -> Any:
    with pool.connection() as connection:
        row = connection.execute(query).fetchone()
        assert row is not None
        return row[0] if len(row) == 1 else row


def _outcomes(pool: ConnectionPool[Connection]) -> Outcomes:
    with pool.connection() as connection:
        rows = connection.execute(
            "SELECT project_id, stage, outcome, sum(events)::int FROM pipeline.ledger GROUP BY 1, 2, 3"
        )
        return Counter({(project, stage, outcome): events for project, stage, outcome, events in rows})


def test_engine_counts_new_events_once_and_keeps_the_incident(
    old: Fixture, pool: ConnectionPool[Connection], old_topics: KafkaSettings, publisher: Publisher
) -> None:
    of_series = "FROM metrics_buckets WHERE project_id = 'web' AND fingerprint = 'AUTH%251|/login%7Ca|prod'"
    seen = "SELECT last_seen_at, status FROM incidents WHERE fingerprint = 'AUTH%251|/login%7Ca|prod'"
    everything, series = "SELECT sum(value) FROM metrics_buckets", f"SELECT sum(value) {of_series}"
    before = [_one(pool, everything), _one(pool, series)]
    incidents, outcomes, (last_seen_at, _) = (
        _one(pool, "SELECT count(*) FROM incidents"),
        _outcomes(pool),
        _one(pool, seen),
    )
    _send_more(old, old_topics.kafka_brokers)
    with IncidentEngine(old_topics, pool, publisher, tick_s=TICK_S, clock=lambda: _later(old)) as session:
        _drain(session, old.topics[RAW_TOPIC]["partitions"])
    assert [_one(pool, everything), _one(pool, series)] == [count + NEW for count in before]
    more = _outcomes(pool) - outcomes
    engine = ("web", "incident-engine")
    assert more == {(*engine, "counted"): NEW, (*engine, "duplicate"): REPEATED}
    assert _one(pool, "SELECT count(*) FROM incidents") == incidents
    now_seen_at, status = _one(pool, seen)
    assert now_seen_at > last_seen_at
    assert status == "investigating"


def test_history_that_the_release_counted_is_learned_after_the_upgrade(
    old: Fixture, pool: ConnectionPool[Connection], old_topics: KafkaSettings, publisher: Publisher
) -> None:
    _send_more(old, old_topics.kafka_brokers)
    with IncidentEngine(old_topics, pool, publisher, tick_s=TICK_S, clock=lambda: _later(old)) as session:
        _drain(session, old.topics[RAW_TOPIC]["partitions"])
    incidents = "SELECT array_agg((id, status, title, severity) ORDER BY id) FROM incidents"
    before, waiting = (
        _one(pool, incidents),
        _one(pool, "SELECT count(*) FROM pipeline.rule_state WHERE needs_history"),
    )
    assert waiting >= 2  # signups, which the migration wrote down, and the errors that came now
    assert HistoryFilling(pool).round() == waiting
    assert HistoryFilling(pool).round() == 0
    assert _one(pool, incidents) == before
    learned, wrong = _one(pool, LEARNED)
    assert learned >= waiting - 1  # the errors are of an hour that is not over until a tick comes
    assert wrong == 0


def test_indexer_adds_new_documents_only(
    old: Fixture,
    pool: ConnectionPool[Connection],
    old_topics: KafkaSettings,
    old_index: Client,
    publisher: Publisher,
) -> None:
    outcomes = _outcomes(pool)
    _send_more(old, old_topics.kafka_brokers)
    with EventIndexer(old_topics, pool, Writer(old_index), publisher, tick_s=3600) as session:
        _drain(session, old.topics[RAW_TOPIC]["partitions"])
    old_index.indices.refresh(index=EVENTS_INDEX)
    assert old_index.count(index=EVENTS_INDEX)["count"] == len(old.documents) + NEW
    indexer = ("web", "indexer")
    assert _outcomes(pool) - outcomes == {(*indexer, "indexed"): NEW, (*indexer, "duplicate"): REPEATED}
