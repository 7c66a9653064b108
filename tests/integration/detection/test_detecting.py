"""The incident engine on real Kafka and PostgreSQL."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Message
from psycopg_pool import ConnectionPool

from shared_types.grouping import GROUPING_VERSION
from signals.clients.kafka import DLQ_TOPIC, RAW_TOPIC
from signals.clients.kafka.publisher import OutgoingRecord, Publisher
from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import Series
from signals.domain.detection.severity import IncidentSeverity
from signals.errors import DependencyUnavailable, Fenced
from signals.services.consuming import utc_now
from signals.services.detection import GROUP, IncidentEngine
from signals.services.operations.housekeeping import resolve_stale_incidents
from signals.settings import KafkaSettings
from signals.store.incidents.incidents import NewIncident, open_all
from tests.support.consuming import drain, own_all
from tests.support.events import NOON, errors, event, publish, signups
from tests.support.waiting import until

Open = Callable[..., Any]
STATES = "SELECT kind, verdict, resolve_reason FROM pipeline.incident_states"


@pytest.fixture
def engine(kafka: KafkaSettings, pool: ConnectionPool[Connection], publisher: Publisher) -> Open:
    """Opens sessions of the engine, by the machine's clock unless one is given."""

    @contextmanager
    def open_session(clock: Callable[[], datetime] = utc_now) -> Iterator[IncidentEngine]:
        with IncidentEngine(kafka, pool, publisher, tick_s=0.05, clock=clock) as session:
            own_all(session)
            yield session

    return open_session


def tick(session: IncidentEngine) -> None:
    """Step until silence was judged by the clock in every partition."""
    until(lambda: session.step(0.1) == 0 and session._ticked_minutes.keys() == set(session.owned()))


def rows(pool: ConnectionPool[Connection], query: str) -> list[tuple[Any, ...]]:
    with pool.connection() as connection:
        return connection.execute(query).fetchall()


def test_a_spike_opens_one_incident_with_job_evidence_and_numbers(
    engine: Open, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    publish(publisher, errors(45, NOON))
    with engine() as session:
        drain(session)
    (incident,) = rows(
        pool, "SELECT fingerprint, status, severity, title, opened_at, last_seen_at FROM incidents"
    )
    assert incident[:3] == ("TIMEOUT|/checkout|prod", "open", "warn")
    assert incident[3].startswith("TIMEOUT on /checkout in prod: 45 errors in 5 minutes")
    assert incident[4] == incident[5] == NOON + timedelta(seconds=44)
    assert rows(pool, "SELECT status, attempt_count, max_attempts FROM ai_jobs") == [("queued", 0, 3)]
    assert rows(pool, "SELECT count(*) FROM incident_events") == [(3,)]
    assert rows(pool, "SELECT moment, count, threshold FROM pipeline.incident_evaluations ORDER BY 1") == [
        ("latest", 45, 30.0),
        ("opened", 45, 30.0),
    ]


def test_fewer_than_thirty_errors_open_no_incident(
    engine: Open, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    publish(publisher, errors(29, NOON))
    with engine() as session:
        drain(session)
    assert rows(pool, "SELECT value FROM metrics_buckets") == [(29,)]
    assert rows(pool, "SELECT count(*) FROM incidents") == [(0,)]


def test_repeated_event_counts_once_across_a_restart(
    engine: Open, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    events = list(errors(20, NOON))
    publish(publisher, [*events, *events])
    with engine() as session:
        drain(session)
    publish(publisher, events)
    with engine() as session:
        drain(session)
    assert rows(pool, "SELECT sum(value) FROM metrics_buckets") == [(20,)]


def test_repeat_on_another_partition_is_recognized_during_a_refill(
    engine: Open, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    events = list(errors(8_000, NOON))
    publish(publisher, events)
    with engine() as session:
        drain(session)
    repeats = [event.to_json() for event in events[-50:]]
    keys = [str(number).encode() for number in range(50)]  # on all partitions, as after a growth of the topic
    publisher.publish_and_wait(
        RAW_TOPIC, [OutgoingRecord(key=key, value=value) for key, value in zip(keys, repeats, strict=True)]
    )
    with engine() as session:
        drain(session)
    assert rows(pool, "SELECT sum(value) FROM metrics_buckets") == [(8_000,)]


def test_a_consumer_that_lost_its_offsets_is_fenced_and_counts_nothing(
    engine: Open, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    with engine() as session:
        drain(session)
        publish(publisher, errors(20, NOON))
        with pool.connection() as connection:
            connection.execute("UPDATE pipeline.offsets SET next_offset = next_offset + 1")
        with pytest.raises(Fenced):
            until(lambda: session.step(0.1) and False)
    assert rows(pool, "SELECT count(*) FROM metrics_buckets") == [(0,)]


def test_incident_opened_by_another_writer_fences_the_engine(
    pool: ConnectionPool[Connection],
) -> None:
    series = Series("proj_1", "prod", "error_count", "A|/b|prod", "org_1")
    new = [
        NewIncident(
            id=uuid4(),
            series=series,
            severity=IncidentSeverity.WARN,
            title="first",
            opened_at=NOON,
            last_seen_at=NOON,
        )
    ]
    with transaction(pool) as connection:
        open_all(connection, new)
    with pytest.raises(Fenced), transaction(pool) as connection:
        open_all(connection, [replace(new[0], id=uuid4())])


def test_an_outage_that_became_its_own_baseline_stays_fresh(
    engine: Open, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    publish(publisher, errors(100 * 8, NOON, every_s=7.5))  # 8 a minute, 40 in 5 minutes, for 100 minutes
    with engine() as session:
        drain(session)
    last = NOON + timedelta(seconds=799 * 7.5)
    assert rows(pool, "SELECT last_seen_at FROM incidents") == [(last,)]


def test_a_series_without_history_opens_a_new_incident_while_the_project_learns(
    engine: Open, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    publish(
        publisher, errors(600, NOON, every_s=0.1)
    )  # ten times the threshold and more, of an unknown normal
    with engine() as detecting:
        drain(detecting)
    (incident,) = rows(pool, "SELECT severity, title FROM incidents")
    assert incident == ("warn", "TIMEOUT on /checkout in prod: 600 errors in 5 minutes, a new error")
    assert rows(pool, STATES) == [("new", "learning", None)]


def test_steady_errors_open_only_new_incidents_and_a_rise_is_found(
    engine: Open, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    rates = [4 + 4 * number / 39 for number in range(40)]  # a minute, of 40 fingerprints
    steady = [
        event
        for number, rate in enumerate(rates)
        for event in errors(int(180 * rate), NOON, every_s=60 / rate, code=f"E{number}")
    ]
    publish(publisher, sorted(steady, key=lambda event: event.occurred_at))
    with engine() as detecting:
        drain(detecting)
        assert {state[:2] for state in rows(pool, STATES)} == {("new", "learning")}
        rise = NOON + timedelta(minutes=180)
        publish(publisher, errors(5 * 96, rise, every_s=60 / 96, code="E39"))  # twelve times 8 a minute
        drain(detecting)
    found = rows(
        pool,
        "SELECT i.fingerprint, i.severity, i.opened_at, s.kind, s.verdict FROM incidents i"
        " JOIN pipeline.incident_states s ON s.incident_id = i.id WHERE s.kind = 'change'",
    )
    ((fingerprint, severity, opened_at, *state),) = found
    assert (fingerprint, severity, state) == ("E39|/checkout|prod", "error", ["change", "confirmed"])
    assert opened_at < rise + timedelta(minutes=5)
    assert rows(pool, "SELECT count(*) FROM pipeline.incident_states WHERE resolve_reason IS NOT NULL") == [
        (1,)
    ]
    (times,) = rows(
        pool,
        "SELECT count / baseline FROM pipeline.incident_evaluations e JOIN pipeline.incident_states s"
        " USING (incident_id) WHERE s.kind = 'change' AND e.moment = 'opened'",
    )
    assert times[0] > 2  # frozen at the rise: its own minutes never become its normal


def test_failures_over_many_ids_are_one_incident(
    engine: Open, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    failures = (
        event(
            "error", NOON + timedelta(seconds=n), error_code=f"E_17654321{n:02}", route=f"/orders/{48000 + n}"
        )
        for n in range(60)
    )
    publish(publisher, failures)
    with engine() as detecting:
        drain(detecting)
    assert rows(pool, "SELECT fingerprint FROM incidents") == [("E_{id}|/orders/{id}|prod",)]
    assert rows(pool, "SELECT grouping FROM pipeline.incident_states") == [(GROUPING_VERSION,)]
    sent = rows(
        pool, "SELECT DISTINCT attributes_json ->> 'route_raw' LIKE '/orders/48%' FROM incident_events"
    )
    assert sent == [(True,)]


def test_an_ended_outage_of_a_busy_series_resolves(
    engine: Open, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    # In the afternoon: in the hour after midnight UTC two hours of history tell no outage (docs/not-yet.md).
    now = NOON + timedelta(hours=4)
    busy = errors(235 * 10, NOON, every_s=6)  # 50 in five minutes, above the floor of 30, to the end
    outage = errors(1200, NOON + timedelta(minutes=120), every_s=0.5)
    publish(publisher, sorted([*busy, *outage], key=lambda event: event.occurred_at))
    with engine(lambda: now) as detecting:
        drain(detecting)
        tick(detecting)
    assert ("change", "confirmed", "quiet") in rows(pool, STATES)


def test_a_new_level_becomes_usual_after_a_day(
    engine: Open, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    publish(publisher, errors(25 * 60 * 8, NOON, every_s=7.5))
    with engine() as detecting:
        drain(detecting)
    assert rows(pool, STATES) == [("new", "learning", "became_usual")]
    assert rows(pool, "SELECT status, resolved_at IS NULL FROM incidents") == [("resolved", False)]


def test_missing_signups_open_one_incident_at_a_tick(
    engine: Open, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    start = datetime.now(UTC) - timedelta(minutes=74)
    publish(publisher, signups(480, start, every_s=7))  # 56 minutes of them, then silence
    with engine() as session:
        drain(session)
        until(lambda: session.step(0.1) == 0 and rows(pool, "SELECT id FROM incidents"))
        drain(session)
    (incident,) = rows(pool, "SELECT fingerprint, severity, title FROM incidents")
    assert incident[:2] == ("signup|prod", "critical")
    (representative,) = rows(pool, "SELECT event_type, attributes_json FROM incident_events")
    assert representative[1]["count"] == 0
    assert representative[1]["baseline"] >= 40


def test_a_replay_of_an_old_drop_is_resolved_by_age(
    engine: Open, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    publish(publisher, [*signups(480, NOON, every_s=7), *signups(1, NOON + timedelta(minutes=74), every_s=1)])
    with engine() as session:
        drain(session)
        tick(session)
    assert resolve_stale_incidents(pool) == 1


def test_tick_without_a_drop_opens_no_incident(
    engine: Open, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    now = datetime.now(UTC)  # and stays so: on a slow machine the silence after the last one would grow
    publish(publisher, signups(480, now - timedelta(minutes=74), every_s=9.2))
    with engine(lambda: now) as session:
        drain(session)
        tick(session)
    assert rows(pool, "SELECT count(*) FROM incidents") == [(0,)]


def test_broken_record_is_dead_lettered_and_the_rest_counts(
    engine: Open, pool: ConnectionPool[Connection], publisher: Publisher, kafka: KafkaSettings
) -> None:
    broken = OutgoingRecord(key=b"k", value=b'{"not": "an event"}', headers=[("trace", b"1")])
    publisher.publish_and_wait(RAW_TOPIC, [broken])
    publish(publisher, errors(5, NOON))
    with engine() as session:
        drain(session)
    assert rows(pool, "SELECT sum(value) FROM metrics_buckets") == [(5,)]
    reader = Consumer(
        {"bootstrap.servers": kafka.kafka_brokers, "group.id": "dlq-test", "auto.offset.reset": "earliest"}
    )
    reader.subscribe([DLQ_TOPIC])

    def read() -> Message | None:
        found = reader.poll(0.5)
        return found if found is not None and found.error() is None else None

    letter = until(read)
    reader.close()
    assert letter is not None
    assert letter.value() == broken.value
    headers = dict(letter.headers() or [])
    assert headers["dlq-stage"] == b"incident-engine"
    assert headers["trace"] == b"1"


def test_incidents_not_seen_for_an_hour_are_resolved(
    engine: Open, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    now = datetime.now(UTC)
    publish(publisher, errors(40, now - timedelta(minutes=70), code="OLD"))
    publish(publisher, errors(40, now - timedelta(minutes=50), code="NEW"))
    with engine() as session:
        drain(session)
        tick(session)
    resolve_stale_incidents(pool)
    assert ("new", "learning", "quiet") in rows(pool, STATES)
    assert rows(
        pool, "SELECT fingerprint FROM incidents WHERE status = 'resolved' AND resolved_at IS NOT NULL"
    ) == [("OLD|/checkout|prod",)]


def test_recreated_topic_is_reported_and_not_counted(
    pool: ConnectionPool[Connection], kafka: KafkaSettings, publisher: Publisher
) -> None:
    with pool.connection() as connection:
        connection.execute(
            "INSERT INTO pipeline.offsets (consumer_group, topic, partition, next_offset)"
            " SELECT %s, %s, p, 10 FROM generate_series(0, 2) p",
            (GROUP, RAW_TOPIC),
        )
    with (
        IncidentEngine(kafka, pool, publisher, tick_s=60) as session,
        pytest.raises(DependencyUnavailable, match="recreated"),
    ):
        until(lambda: session.step(0.1) and False)


def test_events_that_no_rule_counts_only_move_the_offset(
    engine: Open, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    publish(publisher, [event("deploy", NOON, release="2"), event("feedback", NOON)])
    with engine() as session:
        drain(session)
    assert rows(pool, "SELECT sum(next_offset) FROM pipeline.offsets") == [(2,)]
    assert rows(pool, "SELECT count(*) FROM metrics_buckets") == [(0,)]
